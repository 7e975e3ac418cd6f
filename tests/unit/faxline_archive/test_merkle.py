"""The Merkle tree of RFC 9162, beside the RFC's own recursive definitions."""

from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faxline_archive.merkle import (
    EMPTY,
    STORED,
    Frontier,
    Node,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

# The leaves, roots and paths of the test vectors that Certificate Transparency's implementations share
# (transparency-dev/merkle, from Google's certificate-transparency).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
}
CONSISTENCY = {
    (1, 8): INCLUSION[0, 8],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}


def mth(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162, 2.1.1, word for word."""
    if not leaves:
        return EMPTY
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return node_hash(mth(leaves[:k]), mth(leaves[k:]))


class Stored:
    """What a database keeps: leaves, and the subtrees of one level in eight."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.frontier, nodes = Frontier().extend(leaves)
        self.rows = {(0, index): leaf for index, leaf in enumerate(leaves)}
        self.rows |= {(node.level, node.index): node.hash for node in nodes}
        self.read = 0

    def lookup(self, level: int, index: int, count: int) -> list[bytes]:
        self.read += count
        return [self.rows[level, place] for place in range(index, index + count)]

    def tree(self, size: int) -> Tree:
        return Tree(size, self.lookup)


def hashes(count: int) -> list[bytes]:
    return [leaf_hash(str(number).encode()) for number in range(count)]


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_known_vectors(size: int) -> None:
    leaves = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    assert Frontier().extend(leaves)[0].root().hex() == ROOTS[size - 1]
    assert Stored(leaves).tree(size).root().hex() == ROOTS[size - 1]


def test_paths_are_those_of_the_known_vectors() -> None:
    stored = Stored([leaf_hash(leaf) for leaf in LEAVES])
    for (leaf, size), path in INCLUSION.items():
        assert [step.hex() for step in stored.tree(size).inclusion(leaf)] == path
    for (first, second), path in CONSISTENCY.items():
        assert [step.hex() for step in stored.tree(second).consistency(first)] == path


def test_a_tree_without_leaves_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == Tree(0, Stored([]).lookup).root() == sha256(b"").digest()


@given(st.integers(0, 300), st.integers(0, 700))
def test_a_tree_that_grew_in_two_steps_is_the_one_of_the_definition(first: int, more: int) -> None:
    leaves = hashes(first + more)
    frontier, nodes = Frontier().extend(leaves[:first])
    again = Frontier.load(frontier.size, frontier.dump())
    grown, further = again.extend(leaves[first:])
    assert grown.root() == mth(leaves)
    assert [*nodes, *further] == Frontier().extend(leaves)[1]


@settings(max_examples=100)
@given(st.data())
def test_each_leaf_is_proved_and_no_other_place_hash_root_or_path(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 1200))
    leaf = data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    stored = Stored(leaves)
    root, path = mth(leaves), stored.tree(size).inclusion(leaf)
    assert verify_inclusion(root, size, leaf, leaves[leaf], path)
    other = data.draw(st.integers(0, size + 3))
    if other != leaf:
        assert not verify_inclusion(root, size, other, leaves[leaf], path)
    assert not verify_inclusion(root, size, leaf, leaf_hash(b"other"), path)
    assert not verify_inclusion(EMPTY, size, leaf, leaves[leaf], path)
    assert not verify_inclusion(root, size, leaf, leaves[leaf], [*path, EMPTY])
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        assert not verify_inclusion(root, size, leaf, leaves[leaf], [*path[:place], *path[place + 1 :]])
        assert not verify_inclusion(
            root, size, leaf, leaves[leaf], [*path[:place], leaf_hash(b"other"), *path[place + 1 :]]
        )


@settings(max_examples=100)
@given(st.data())
def test_a_tree_is_proved_to_begin_with_its_older_self_and_with_no_other(data: st.DataObject) -> None:
    second = data.draw(st.integers(1, 1200))
    first = data.draw(st.integers(1, second))
    leaves = hashes(second)
    path = Stored(leaves).tree(second).consistency(first)
    older, newer = mth(leaves[:first]), mth(leaves)
    assert verify_consistency(first, older, second, newer, path)
    assert not verify_consistency(first, leaf_hash(b"other"), second, newer, path)
    assert not verify_consistency(first, older, second, leaf_hash(b"other"), path)
    assert not verify_consistency(first, older, second, newer, [*path, EMPTY])
    changed = [*leaves[: first - 1], leaf_hash(b"changed"), *leaves[first:]]
    assert not verify_consistency(
        first, older, second, mth(changed), Stored(changed).tree(second).consistency(first)
    )


def test_a_proof_in_a_tree_of_many_leaves_reads_few_hashes() -> None:
    stored = Stored(hashes(70_000))
    tree = stored.tree(69_999)
    path = tree.inclusion(12_345)
    assert verify_inclusion(tree.root(), 69_999, 12_345, stored.rows[0, 12_345], path)
    assert stored.read < 4 * 3 * 256
    assert {level for level, _ in stored.rows} == {0, STORED, 2 * STORED}


def test_a_missing_leaf_and_a_missing_hash_are_said() -> None:
    with pytest.raises(ValueError, match="no leaf 3"):
        Stored(hashes(3)).tree(3).inclusion(3)
    with pytest.raises(ValueError, match="does not begin with one of 4"):
        Stored(hashes(3)).tree(3).consistency(4)
    with pytest.raises(ValueError, match="lacks hashes of level 0"):
        Tree(3, lambda _level, _index, _count: []).root()
    with pytest.raises(ValueError, match="no frontier"):
        Frontier.load(3, b"")


def test_the_first_stored_subtree_has_256_leaves() -> None:
    frontier, nodes = Frontier().extend(hashes(256))
    assert nodes == [Node(8, 0, frontier.root())]
