"""Grows the accounts' trees in the database, signs their heads, and makes proofs of what is in them."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from sqlalchemy import Connection, Engine, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from faxline.contract.errors import FaxlineError
from faxline_archive.checkpoints import Checkpoint, sign_checkpoint
from faxline_archive.merkle import Frontier, Tree, verify_consistency
from faxline_archive.proof import Signed
from faxline_archive.schema import accounts, checkpoints, entries, tree_nodes
from faxline_archive.signing_key import SigningKey, SigningKeyInvalid

PIECE = 50_000
"""The most leaves that one transaction adds to a tree: about half a second."""


class ArchiveAltered(FaxlineError):  # noqa: N818 - as the errors of the library
    """The entries in the database are not those that were hashed when they came."""


_ADVICE = "somebody changed the database. Restore it from a backup, and compare their checkpoints"


def signing_key(url: str, pem: str) -> SigningKey:
    """The key that signs: the one of the settings, or the one beside a SQLite archive, made at its first use.

    Args:
        url: FAXLINE_ARCHIVE__URL.
        pem: FAXLINE_ARCHIVE__SIGNING_KEY; empty if it is not set.

    Raises:
        SigningKeyInvalid: it is no key, cannot be read or written, or is missing beside PostgreSQL.
    """
    if pem:
        return SigningKey.parse(pem.encode())
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise SigningKeyInvalid(
            "an archive in PostgreSQL needs FAXLINE_ARCHIVE__SIGNING_KEY_FILE: "
            "openssl genpkey -algorithm ed25519 -out archive.pem"
        )
    return SigningKey.load_or_make(Path(parsed.database).with_suffix(".pem"))


def sign_due(
    engine: Engine, key: SigningKey, interval_ms: int, now_ms: int
) -> Iterator[tuple[str, "Signed | ArchiveAltered"]]:
    """Sign a checkpoint of each account that has new entries and whose last one is old enough.

    Args:
        engine: of `open_database` with `writes`.
        key: the archive's key.
        interval_ms: how old the last checkpoint must be, in milliseconds.
        now_ms: the time now, in milliseconds since 1970.

    Yields:
        the accounts that were due, each with its checkpoint, or why it was not signed. An account whose
        entries were changed keeps no other from its checkpoint.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    with engine.connect() as connection:
        sizes = connection.execute(
            select(accounts.c.account, accounts.c.size).order_by(accounts.c.account)
        ).all()
        due = [account for account, size in sizes if _is_due(connection, account, size, now_ms - interval_ms)]
    for account in due:
        try:
            head = sign_head(engine, account, key, now_ms)
        except ArchiveAltered as error:
            yield account, error
        else:
            if head is not None:
                yield account, head


def sign_head(engine: Engine, account: str, key: SigningKey, now_ms: int) -> Signed | None:
    """Sign the head of an account's tree as it is now, unless this key has signed it already.

    Returns:
        the checkpoint; None if the account has no entries.

    Raises:
        ArchiveAltered: entries are missing, or the tree did not grow from the newest checkpoint's.
    """
    while True:
        with engine.begin() as connection:
            frontier, size = _grow(connection, account)
            if frontier.size == size:
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


def _is_due(connection: Connection, account: str, size: int, before: int) -> bool:
    last = connection.execute(
        select(checkpoints.c.size, checkpoints.c.at)
        .where(checkpoints.c.account == account)
        .order_by(checkpoints.c.size.desc())
        .limit(1)
    ).one_or_none()
    return size > 0 and (last is None or (last.size < size and last.at <= before))


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
    last = connection.execute(
        select(checkpoints)
        .where(checkpoints.c.account == account)
        .order_by(checkpoints.c.size.desc())
        .limit(1)
    ).one_or_none()
    if last is None:
        return
    grown = 0 < last.size <= frontier.size and verify_consistency(
        *(last.size, bytes(last.root), frontier.size, frontier.root()),
        tree_of(connection, account, frontier.size).consistency(last.size),
    )
    if grown and last.key_id == key_id(key.public):
        head = Checkpoint(account, last.size, bytes(last.root), datetime.fromtimestamp(last.at / 1000, UTC))
        try:
            key.public.verify(bytes(last.signature), head.text().encode())
        except InvalidSignature:
            grown = False
    if not grown:
        raise ArchiveAltered(
            f"the tree of account {account} did not grow from its checkpoint of {last.size} entries: "
            + _ADVICE
        )
