"""Grows the accounts' trees in the database, signs their heads, and makes proofs of what is in them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, Engine, Row, insert, select, update
from sqlalchemy.exc import IntegrityError

from faxline.contract.errors import ProofRefused
from faxline_archive.checkpoints import Checkpoint, sign_checkpoint
from faxline_archive.merkle import Frontier, Tree, verify_consistency
from faxline_archive.proof import Signed
from faxline_archive.schema import accounts, checkpoints, entries, tree_nodes
from faxline_archive.signing_key import SigningKey, SigningKeyInvalid

PIECE = 50_000
"""The most leaves that one transaction adds to a tree: about half a second."""


class ArchiveAltered(ProofRefused):
    """The entries in the database are not those that were hashed when they came."""


_ADVICE = "somebody changed the database. Restore it from a backup, and compare their checkpoints"


def sign_due(
    engine: Engine,
    key: SigningKey,
    interval_ms: int,
    now_ms: int,
    *,
    served: Iterable[str] = (),
    kept: Callable[[str], Checkpoint | None] = lambda _: None,
) -> Iterator[tuple[str, "Signed | ArchiveAltered"]]:
    """Sign a checkpoint of each account that has new entries and whose last one is old enough.

    Args:
        engine: of `open_database` with `writes`.
        key: the archive's key.
        interval_ms: how old the last checkpoint must be, in milliseconds.
        now_ms: the time now, in milliseconds since 1970.
        served: accounts that are looked at also if the database knows nothing of them.
        kept: the last checkpoint of an account that is kept elsewhere.

    Yields:
        the accounts that were due, each with its checkpoint, or why it was not signed. An account whose
        entries were changed keeps no other from its checkpoint.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    with engine.connect() as connection:
        sizes = dict.fromkeys(served, 0)
        sizes |= {row.account: row.size for row in connection.execute(select(accounts))}
        due = [
            name
            for name, size in sorted(sizes.items())
            if _is_due(connection, name, size, key, now_ms - interval_ms)
        ]
    for account in due:
        try:
            head = sign_head(engine, account, key, now_ms, kept=kept(account))
        except ArchiveAltered as error:
            yield account, error
        else:
            if head is not None:
                yield account, head


def sign_head(
    engine: Engine,
    account: str,
    key: SigningKey,
    now_ms: int,
    *,
    same_key: bool = False,
    kept: Checkpoint | None = None,
) -> Signed | None:
    """Sign the head of an account's tree as it is now, unless this key has signed it already.

    Args:
        engine: of `open_database` with `writes`.
        account: the account's name.
        key: the archive's key.
        now_ms: the time now, in milliseconds since 1970.
        kept: a checkpoint that is kept elsewhere, from which the tree must have grown, too.
        same_key: refuse if another key signed the newest checkpoint. Only the archive itself changes its key.

    Returns:
        the checkpoint; None if the account has no entries.

    Raises:
        ArchiveAltered: entries are missing, or the tree did not grow from the newest checkpoint's.
        SigningKeyInvalid: another key signed the newest checkpoint.
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    while True:
        with engine.begin() as connection:
            if same_key:
                _require_key(connection, account, key)
            frontier, size = _grow(connection, account)
            if frontier.size == size:
                if kept is not None:
                    _require_growth(connection, account, frontier, kept.size, kept.root)
                return _sign(connection, account, frontier, key, now_ms) if size else None


def signed_head(connection: Connection, account: str, key: SigningKey, *, above: int) -> Signed | None:
    """The oldest checkpoint by this key that has more than so many leaves."""
    row = connection.execute(
        select(checkpoints)
        .where(
            checkpoints.c.account == account,
            checkpoints.c.size > above,
            checkpoints.c.key_id == key_id(key.public),
        )
        .order_by(checkpoints.c.size)
        .limit(1)
    ).one_or_none()
    if row is None:
        return None
    at = datetime.fromtimestamp(row.at / 1000, UTC)
    return Signed(Checkpoint(account, row.size, bytes(row.root), at), bytes(row.signature))


def tree_of(connection: Connection, account: str, size: int) -> Tree:
    """An account's tree of a size, from the hashes in the database.

    Its methods raise ArchiveAltered where the database lacks hashes.
    """

    def lookup(level: int, index: int, count: int) -> Sequence[bytes]:
        table, place = (tree_nodes, tree_nodes.c.position) if level else (entries, entries.c.leaf)
        hashed = tree_nodes.c.hash if level else entries.c.leaf_hash
        asked = select(place, hashed).where(table.c.account == account, place >= index, place < index + count)
        if level:
            asked = asked.where(tree_nodes.c.level == level)
        found = [bytes(row[1]) for row in connection.execute(asked.order_by(place))]
        if len(found) != count:
            raise ArchiveAltered(f"the archive of account {account} lacks hashes of its tree: {_ADVICE}")
        return found

    return Tree(size, lookup)


def key_id(public: Ed25519PublicKey) -> str:
    """The SHA-256 of a public key: 64 hexadecimal digits."""
    return hashlib.sha256(public.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()


def _newest(connection: Connection, account: str) -> Row[Any] | None:
    """The newest checkpoint, by whatever key."""
    asked = select(checkpoints).where(checkpoints.c.account == account)
    return connection.execute(asked.order_by(checkpoints.c.size.desc()).limit(1)).one_or_none()


def _is_due(connection: Connection, account: str, size: int, key: SigningKey, before: int) -> bool:
    last = _newest(connection, account)
    if last is None or last.key_id != key_id(key.public):
        return True
    return bool(last.size < size and last.at <= before)


def _require_key(connection: Connection, account: str, key: SigningKey) -> None:
    last, mine = _newest(connection, account), key_id(key.public)
    if last is not None and last.key_id != mine:
        raise SigningKeyInvalid(
            f"this key (SHA-256 {mine[:16]}…) is not the one that signs the archive of account {account} "
            f"(SHA-256 {last.key_id[:16]}…): give FAXLINE_ARCHIVE__SIGNING_KEY_FILE the key of the archive"
        )


def _grow(connection: Connection, account: str) -> tuple[Frontier, int]:
    """Add a piece of the leaves that the tree does not have yet. Returns how far it is, and its goal."""
    row = connection.execute(
        select(accounts.c.size, accounts.c.frontier).where(accounts.c.account == account).with_for_update()
    ).one_or_none()
    if row is None:
        return Frontier(), 0
    held, _, hashes = (row.frontier or "0 ").partition(" ")
    try:
        frontier = Frontier.load(int(held), bytes.fromhex(hashes))
    except ValueError:
        raise ArchiveAltered(f"the tree of account {account} makes no sense: {_ADVICE}") from None
    if frontier.size > row.size:
        raise ArchiveAltered(f"account {account} has fewer entries than its tree: {_ADVICE}")
    leaves = connection.scalars(
        select(entries.c.leaf_hash)
        .where(entries.c.account == account, entries.c.leaf >= frontier.size, entries.c.leaf < row.size)
        .order_by(entries.c.leaf)
        .limit(PIECE)
    ).all()
    if len(leaves) < min(PIECE, row.size - frontier.size):
        raise ArchiveAltered(f"the archive of account {account} lacks entries after leaf {frontier.size}")
    grown, nodes = frontier.extend(map(bytes, leaves))
    if nodes:
        made = [
            {"account": account, "level": node.level, "position": node.index, "hash": node.hash}
            for node in nodes
        ]
        try:
            connection.execute(insert(tree_nodes), made)
        except IntegrityError:
            raise ArchiveAltered(f"the tree of account {account} was set back: {_ADVICE}") from None
    if leaves:
        dumped = f"{grown.size} {grown.dump().hex()}"
        connection.execute(update(accounts).where(accounts.c.account == account).values(frontier=dumped))
    return grown, row.size


def _sign(connection: Connection, account: str, frontier: Frontier, key: SigningKey, now_ms: int) -> Signed:
    _check_growth(connection, account, frontier, key)
    kept = signed_head(connection, account, key, above=frontier.size - 1)
    if kept is not None:
        return kept
    head = Checkpoint(account, frontier.size, frontier.root(), datetime.fromtimestamp(now_ms // 1000, UTC))
    made = Signed(head, sign_checkpoint(head, key))
    values = {
        "root": head.root,
        "at": now_ms // 1000 * 1000,
        "signature": made.signature,
        "key_id": key_id(key.public),
    }
    place = (checkpoints.c.account == account) & (checkpoints.c.size == frontier.size)
    if connection.execute(select(checkpoints.c.size).where(place)).first() is not None:
        connection.execute(update(checkpoints).where(place).values(values))  # by a former key
    else:
        connection.execute(insert(checkpoints).values(account=account, size=frontier.size, **values))
    return made


def _check_growth(connection: Connection, account: str, frontier: Frontier, key: SigningKey) -> None:
    """Refuse to sign a tree that did not grow from the newest checkpoint's."""
    last = _newest(connection, account)
    if last is None:
        return
    _require_growth(connection, account, frontier, last.size, bytes(last.root))
    if last.key_id == key_id(key.public):
        head = Checkpoint(account, last.size, bytes(last.root), datetime.fromtimestamp(last.at / 1000, UTC))
        try:
            key.public.verify(bytes(last.signature), head.text().encode())
        except InvalidSignature:
            raise _not_grown(account, last.size) from None


def _require_growth(connection: Connection, account: str, frontier: Frontier, size: int, root: bytes) -> None:
    """Refuse a tree that did not grow from one of a size with a root."""
    grown = 0 < size <= frontier.size and verify_consistency(
        *(size, root, frontier.size, frontier.root()),
        tree_of(connection, account, frontier.size).consistency(size),
    )
    if not grown:
        raise _not_grown(account, size)


def _not_grown(account: str, size: int) -> ArchiveAltered:
    return ArchiveAltered(
        f"the tree of account {account} did not grow from its checkpoint of {size} entries: {_ADVICE}"
    )
