"""How far mailings are: each state's share of a bar, out of the archive, or of Redis where there is none."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, exists, func, select
from starlette.concurrency import run_in_threadpool

from faxline.contract.errors import ArchiveUnavailable
from faxline.reading.job import Job
from faxline_archive.privacy import member
from faxline_archive.schema import fax_metadata, faxes
from faxline_archive.search import moment_of
from faxline_console.access.people import Person
from faxline_console.archive.ended import Ended, told
from faxline_console.live.lines import Lines
from faxline_console.mailings.outcomes import segment_of
from faxline_console.mailings.store import Pushed
from faxline_console.showing.words import state_of

SEGMENTS = (
    ("delivered", "Delivered"),
    ("partial", "Partly delivered"),
    ("unconfirmed", "Unconfirmed"),
    ("failed", "Failed"),
    ("canceled", "Canceled"),
    ("in-doubt", "In doubt"),
    ("sending", "Sending"),
    ("queued", "Queued"),
)
OPEN = ("in-doubt", "sending", "queued")
MOST_ARCHIVED, MOST_LIVE = 20_000, 2_000
"""The most faxes of mailings that are counted for a list, out of the archive and out of Redis."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a bar, in percent of its width."""

    state: str
    word: str
    count: int
    left: float
    share: float


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a mailing is.

    Attributes:
        counts: how many faxes are in each state of SEGMENTS.
        ended_at: when the last one ended.
    """

    counts: Counter[str]
    ended_at: datetime | None = None

    @property
    def open(self) -> int:
        """How many have not ended."""
        return sum(self.counts[state] for state in OPEN)

    def is_over(self, total: int) -> bool:
        """Whether all have ended; a fax that is not known yet has not."""
        return not self.open and sum(self.counts.values()) >= total

    @property
    def trouble(self) -> str:
        """What went wrong, such as `12 failed, 1 unconfirmed`; empty if nothing did."""
        named = [(state, word) for state, word in SEGMENTS if state in {"partial", "unconfirmed", "failed"}]
        return ", ".join(
            f"{self.counts[state]:,} {word.lower()}" for state, word in named if self.counts[state]
        )

    def segments(self, total: int) -> list[Segment]:
        """The parts of the bar that have faxes; what was never taken stays empty."""
        return list(segments(self.counts, total))


def segments(counts: Counter[str], total: int) -> Iterator[Segment]:
    """The parts of a bar."""
    left = 0.0
    for state, word in SEGMENTS:
        share = 100 * counts[state] / max(total, 1)
        if counts[state]:
            yield Segment(state, word, counts[state], left, share)
        left += share


async def progress_of(
    mailings: Sequence[Pushed], person: Person, ended: Ended | None, lines: Lines
) -> dict[tuple[str, str], Progress]:
    """How far the latest of these mailings are, by account and name; of the others it is not looked at.

    Of an account that was removed only the archive tells.
    """
    chosen = list(_within(mailings, MOST_ARCHIVED if ended else MOST_LIVE))
    if ended is not None:
        try:
            return await run_in_threadpool(_archived, ended, chosen, person)
        except ArchiveUnavailable:
            return {}
    found: dict[tuple[str, str], Progress] = {}
    there = set(lines.accounts)
    for one in chosen:
        if one.account not in there:
            continue
        line = lines.of(one.account)
        jobs = await line.named(sorted(await line.members(one.name)))
        mine = [job for job in jobs if person.sees(one.account, job.metadata)]
        found[one.account, one.name] = Progress(Counter(state_of(job)[0] for job in mine), _last(mine))
    return found


def _within(mailings: Sequence[Pushed], most: int) -> Iterator[Pushed]:
    for one in mailings:
        most -= one.pushed
        if most < 0:
            return
        yield one


def _last(jobs: Sequence[Job]) -> datetime | None:
    return max((job.updated_at for job in jobs if job.state.final and job.updated_at), default=None)


def _archived(ended: Ended, mailings: Sequence[Pushed], person: Person) -> dict[tuple[str, str], Progress]:
    found: dict[tuple[str, str], Progress] = {}
    with told(), ended.engine.connect() as connection:
        for account in sorted({one.account for one in mailings}):
            names = [one.name for one in mailings if one.account == account]
            found |= {(account, name): Progress(Counter()) for name in names}
            for row in connection.execute(_counted(ended, account, names, person)):
                known = found[account, row.group_name]
                known.counts[segment_of(row.state, partial=bool(row.partial))] += row.faxes
                at = max(filter(None, (moment_of(row.ended_at), known.ended_at)), default=None)
                found[account, row.group_name] = Progress(known.counts, at)
    return found


def _counted(
    ended: Ended, account: str, names: Sequence[str], person: Person
) -> Select[tuple[str, str, bool, int, int]]:
    """The faxes of groups by state; of somebody with a department only its own."""
    key = (faxes.c.group_name, faxes.c.state, faxes.c.partial)
    counted = func.count().label("faxes"), func.max(faxes.c.ended_at).label("ended_at")
    query = select(*key, *counted).where(faxes.c.account == account, faxes.c.group_name.in_(names))
    if person.department is not None:
        name, value = person.department
        same = [fax_metadata.c[part] == faxes.c[part] for part in ("account", "job", "reuse")]
        values = ended.privacy(account).lookups(member(name), value)
        mine = exists().where(*same, fax_metadata.c.key == name, fax_metadata.c.value.in_(values))
        query = query.where(mine)
    return query.group_by(*key)
