"""Which faxes were pushed here lately, by number and documents: who pushes the same again is told before.

No number is kept: with sealing keys a fax is found by an HMAC of its number, as in the archive.
"""

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from time import time

from sqlalchemy import BigInteger, Column, Engine, Integer, String, Table, delete, insert, select

from faxline.contract.sealing.keyring import Keyring
from faxline_archive.database import reading
from faxline_archive.privacy import NUMBER, Privacy
from faxline_console.tables import metadata

sent_lately = Table(
    "sent_lately",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("mark", String(64), nullable=False, index=True),
    Column("account", String(64), nullable=False),
    Column("job", String(128), nullable=False),
    Column("mailing", String(128), nullable=False),
    Column("at", BigInteger, nullable=False, index=True),
)
"""mark: of `marks`. mailing: the name of its mailing, or empty."""
HOUR = 3600
KEPT = 24 * HOUR
"""Seconds that this is kept."""
AT_ONCE = 500
"""The most marks that a query names."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A fax that was pushed here.

    Attributes:
        account, job: whose, and its id.
        mailing: the name of its mailing; empty of a single fax.
        at: when.
    """

    account: str
    job: str
    mailing: str
    at: datetime


class SentLately:
    """Knows what was pushed here in the last day.

    Example:
        >>> marks = lately.marks("north", "ada", [("+12025550147", [digest])])
        >>> lately.note("north", zip(marks, ["a"]))
        >>> lately.find(marks)[marks[0]].job
        'a'

    Args:
        engine: of the console's own database.
        keyring: by which numbers are hidden; None without keys.
        now: the clock, in seconds since 1970.
    """

    def __init__(self, engine: Engine, keyring: Keyring | None, now: Callable[[], float] = time) -> None:
        self._engine = engine
        self._keyring = keyring
        self._now = now

    def marks(self, account: str, of: str, faxes: Iterable[tuple[str, Sequence[str]]]) -> list[str]:
        """By what each fax is found again: its number and its documents' digests.

        Args:
            account: whose.
            of: the person or the department whose faxes they are: no other is told of them.
            faxes: of each the number in E.164 and the digests.
        """
        privacy = Privacy(self._keyring, account)
        told = ([account, of, privacy.index(NUMBER, to), sorted(some)] for to, some in faxes)
        return [sha256(json.dumps(one).encode()).hexdigest() for one in told]

    def note(self, account: str, faxes: Iterable[tuple[str, str]], mailing: str = "") -> None:
        """Note faxes (mark and id) that are about to be pushed."""
        at = round(self._now() * 1000)
        rows = [
            {"mark": mark, "account": account, "job": job, "mailing": mailing, "at": at}
            for mark, job in faxes
        ]
        with self._engine.begin() as database:
            database.execute(insert(sent_lately), rows)

    def find(self, marks: Sequence[str], seconds: int = KEPT, but: Collection[str] = ()) -> dict[str, Sent]:
        """The latest fax of each mark.

        Args:
            marks: those that are looked for.
            seconds: how long ago at most.
            but: ids that do not count.
        """
        found: dict[str, Sent] = {}
        since = (self._now() - seconds) * 1000
        with reading(self._engine).begin() as database:
            for some in _batches(marks):
                query = select(sent_lately).where(sent_lately.c.mark.in_(some), sent_lately.c.at >= since)
                for row in database.execute(query.order_by(sent_lately.c.at)):
                    if row.job not in but:
                        at = datetime.fromtimestamp(row.at / 1000, UTC)
                        found[row.mark] = Sent(row.account, row.job, row.mailing, at)
        return found

    def purge(self) -> None:
        """Erase what was kept long enough."""
        with self._engine.begin() as database:
            database.execute(delete(sent_lately).where(sent_lately.c.at < (self._now() - KEPT) * 1000))


def _batches(marks: Sequence[str]) -> Iterator[Sequence[str]]:
    return (marks[start : start + AT_ONCE] for start in range(0, len(marks), AT_ONCE))
