"""The Merkle tree of RFC 9162: roots, inclusion and consistency proofs, and how to check them.

No I/O. An account's tree grows by `Frontier.extend`, which keeps one hash for each complete subtree, so that
appending costs two hashes a leaf. It returns the subtrees that the database keeps (every eighth level),
which are 0.4 % of the leaves. A proof is made from them, and reads about a thousand hashes of ten million.

Example:
    >>> frontier, nodes = Frontier().extend([leaf_hash(b"a"), leaf_hash(b"b")])
    >>> frontier.root() == node_hash(leaf_hash(b"a"), leaf_hash(b"b"))
    True
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256

STORED = 8
"""Complete subtrees of every STORED-th level are kept in the database: 256, 65,536 and 16,777,216 leaves."""
EMPTY = sha256(b"").digest()
"""The root of a tree without leaves."""
LONGEST = 64
"""The longest path that is checked: a tree of 2^63 leaves."""


@dataclass(frozen=True, slots=True)
class Node:
    """A complete subtree: the leaves from index * 2^level on, 2^level of them."""

    level: int
    index: int
    hash: bytes


Lookup = Callable[[int, int, int], Sequence[bytes]]
"""(level, index, count) → the hashes of that many neighbouring complete subtrees of a stored level.

Level 0 are the leaves; the others are multiples of STORED.
"""


def leaf_hash(entry: bytes) -> bytes:
    """Hash an entry as a leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: its size, and the roots of its complete subtrees, the largest first.

    Attributes:
        size: how many leaves the tree has.
        hashes: one for each bit of `size` that is set.
    """

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def extend(self, leaves: Iterable[bytes]) -> tuple["Frontier", list[Node]]:
        """Append leaves' hashes.

        Returns:
            the new frontier, and the subtrees that became complete and are to be stored.
        """
        size, stack = self.size, list(self.hashes)
        nodes: list[Node] = []
        for leaf in leaves:
            stack.append(leaf)
            size += 1
            level, rest = 0, size
            while rest % 2 == 0:
                right = stack.pop()
                stack[-1] = node_hash(stack[-1], right)
                level, rest = level + 1, rest // 2
                if level % STORED == 0:
                    nodes.append(Node(level, rest - 1, stack[-1]))
        return Frontier(size, tuple(stack)), nodes

    def root(self) -> bytes:
        """The root of the tree."""
        return _fold(self.hashes) if self.hashes else EMPTY

    def dump(self) -> bytes:
        """The hashes in one text of bytes, for the database."""
        return b"".join(self.hashes)

    @classmethod
    def load(cls, size: int, dumped: bytes) -> "Frontier":
        """Read what `dump` wrote.

        Raises:
            ValueError: the hashes are not those of a tree of this size.
        """
        if len(dumped) != size.bit_count() * len(EMPTY):
            raise ValueError(f"{len(dumped)} bytes are no frontier of a tree of {size} leaves")
        return cls(size, tuple(dumped[i : i + len(EMPTY)] for i in range(0, len(dumped), len(EMPTY))))


class Tree:
    """The proofs of a tree of a size, by the hashes that are stored.

    Args:
        size: how many leaves the tree has; the database may have more.
        lookup: where stored hashes come from.
    """

    def __init__(self, size: int, lookup: Lookup) -> None:
        self.size = size
        self._lookup = lookup

    def root(self) -> bytes:
        """The root (RFC 9162, 2.1.1)."""
        return self._range(0, self.size) if self.size else EMPTY

    def inclusion(self, leaf: int) -> tuple[bytes, ...]:
        """The path of a leaf, counted from 0 (RFC 9162, 2.1.3.1).

        Raises:
            ValueError: the tree has no such leaf.
        """
        if not 0 <= leaf < self.size:
            raise ValueError(f"a tree of {self.size} leaves has no leaf {leaf}")
        path: list[bytes] = []
        start, stop = 0, self.size
        while stop - start > 1:
            middle = start + _split(stop - start)
            if leaf < middle:
                path.append(self._range(middle, stop))
                stop = middle
            else:
                path.append(self._range(start, middle))
                start = middle
        return tuple(reversed(path))

    def consistency(self, first: int) -> tuple[bytes, ...]:
        """The proof that this tree begins with the tree of `first` leaves (RFC 9162, 2.1.4.1).

        Raises:
            ValueError: `first` is not from 1 to the size of this tree.
        """
        if not 0 < first <= self.size:
            raise ValueError(f"a tree of {self.size} leaves does not begin with one of {first}")
        path: list[bytes] = []
        start, stop = 0, self.size
        whole = True  # the part in question is a complete subtree of the older tree from its start on
        while stop != first:
            middle = start + _split(stop - start)
            if first <= middle:
                path.append(self._range(middle, stop))
                stop = middle
            else:
                path.append(self._range(start, middle))
                start, whole = middle, False
        if not whole:
            path.append(self._range(start, stop))
        return tuple(reversed(path))

    def _range(self, start: int, stop: int) -> bytes:
        """The root of the leaves from start to stop, as the RFC splits a tree."""
        roots: list[bytes] = []
        while start < stop:
            level = (stop - start).bit_length() - 1
            roots.append(self._subtree(level, start >> level))
            start += 1 << level
        return _fold(roots)

    def _subtree(self, level: int, index: int) -> bytes:
        above = level % STORED
        row = list(self._lookup(level - above, index << above, 1 << above))
        if len(row) != 1 << above:
            raise ValueError(f"the archive lacks hashes of level {level - above} from {index << above} on")
        while len(row) > 1:
            row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        return row[0]


def verify_inclusion(root: bytes, size: int, leaf: int, hashed: bytes, path: Sequence[bytes]) -> bool:
    """Whether the leaf with this hash is in the tree with this root (RFC 9162, 2.1.3.2)."""
    if not 0 <= leaf < size or len(path) > LONGEST:
        return False
    index, last = leaf, size - 1
    for sibling in path:
        if last == 0:
            return False
        if index % 2 or index == last:
            hashed = node_hash(sibling, hashed)
            while index % 2 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and hashed == root


def verify_consistency(
    first: int, first_root: bytes, second: int, second_root: bytes, path: Sequence[bytes]
) -> bool:
    """Whether the tree of `second` leaves begins with the tree of `first` leaves (RFC 9162, 2.1.4.2)."""
    if not 0 < first <= second or len(path) > LONGEST:
        return False
    if first == second:
        return not path and first_root == second_root
    proof = [first_root, *path] if first.bit_count() == 1 else list(path)
    if not proof:
        return False
    index, last = first - 1, second - 1
    while index % 2:
        index, last = index >> 1, last >> 1
    older = newer = proof[0]
    for sibling in proof[1:]:
        if last == 0:
            return False
        if index % 2 or index == last:
            older, newer = node_hash(sibling, older), node_hash(sibling, newer)
            while index % 2 == 0 and index:
                index, last = index >> 1, last >> 1
        else:
            newer = node_hash(newer, sibling)
        index, last = index >> 1, last >> 1
    return last == 0 and older == first_root and newer == second_root


def _split(size: int) -> int:
    """The largest power of two below the size."""
    return 1 << (size - 1).bit_length() - 1


def _fold(roots: Sequence[bytes]) -> bytes:
    """Join subtrees, the largest first, from the right."""
    return reduce(lambda right, left: node_hash(left, right), reversed(roots))
