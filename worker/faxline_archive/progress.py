"""How far a stream is archived: the marks, what was read from one to the next, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from faxline.contract.events import position
from faxline_archive.entries import Entry


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of one stream.

    Attributes:
        account, stream: which.
        before, after: the marks before and after these entries.
        entries: what it had, the oldest first.
        lost: how many entries Redis had dropped before.
    """

    account: str
    stream: str
    before: str
    after: str
    entries: Sequence[Entry]
    lost: int = 0


@dataclass(slots=True)
class Written:
    """What a transaction wrote.

    Attributes:
        entries: how many new entries, by account.
        known: how many entries were stored before.
        twice: how many had an id that other entries have.
        faxes: how many rows of faxes were made.
        records_missing: how many faxes began without their record, by account.
        ordered: the accounts in which orders to forget were stored, each with the number of its leaves.
        unopened: how many faxes could not be opened to add a receipt, by account, as a key is missing
            or the row was changed. The leaf has the receipt.
        lost: how many entries Redis had dropped that the archive lacks, by account.
    """

    entries: dict[str, int] = field(default_factory=dict)
    known: int = 0
    twice: int = 0
    faxes: int = 0
    records_missing: dict[str, int] = field(default_factory=dict)
    ordered: dict[str, int] = field(default_factory=dict)
    unopened: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)


class DatabaseBehindError(Exception):
    """The database is older than Redis' mark: it was restored. The marks are to be compared again."""


def mark_id(mark: str) -> tuple[int, int]:
    """The entry of a mark; 0-0 if there is none."""
    return position(mark.partition(" ")[0]) if mark else (0, 0)


def mark_number(mark: str) -> int:
    """How many entries the stream had been given up to a mark."""
    return int(mark.split(" ")[1]) if mark else 0
