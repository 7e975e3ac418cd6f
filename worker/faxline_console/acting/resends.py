"""Which faxes were sent again already, and the id under which each would go next.

A resend's id is its fax's with a number: two forms that know of the same resends take the same id, which
intake registers once. So two people, or one in two tabs, cannot both send a fax again without knowing of each
other.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from faxline.operating.audit import AuditEntry
from faxline.reading.job import Job
from faxline_console.access.people import Person
from faxline_console.live.line import ConsoleLine
from faxline_console.showing.formats import Times
from faxline_console.telling.acts import FIRST

LATEST = 5000
"""The most entries of the audit, from the newest back, that are read for resends under other ids."""
LONGEST_ID = 128
AHEAD = timedelta(minutes=1)
"""How far the clock of Redis may be ahead."""


@dataclass(frozen=True, slots=True)
class Resends:
    """The resends of a fax.

    Attributes:
        next: the id of the next one.
        count: how many there are.
        last: the id of the last one; empty if this person may not see it.
        at: when it was pushed.
        who: who did it, if the audit has that and this person may see the fax.
        unread: before when no resends by other programs were looked for; None: all since the push were.
    """

    next: str
    count: int = 0
    last: str = ""
    at: datetime | None = None
    who: str = ""
    unread: datetime | None = None


def why_resent(resends: Resends, times: Times) -> str:
    """When and by whom a fax was resent, for those who would do it once more; empty if it was not.

    Example:
        >>> why_resent(Resends("a.r2", 1, "a.r1", at, "ada"), times)
        'was resent already (a.r1, 13:58:40 UTC, by ada)'
    """
    if not resends.count:
        return ""
    by = f"by {resends.who}" if resends.who else ""
    told = ", ".join(filter(None, [resends.last, times.moment(resends.at), by]))
    return f"was resent already ({told})"


def not_looked_for(found: Iterable[Resends], times: Times) -> str:
    """What is said where the audit was not read back to the push; empty if it was."""
    unread = max((one.unread for one in found if one.unread), default=None)
    if unread is None:
        return ""
    return (
        f"Resends by other programs before {times.moment(unread)} were not looked for, as the account has "
        "too many calls since: search for the number first."
    )


def again(job: Job, number: int) -> str:
    """The id of a resend.

    Example:
        >>> again(job, 1)
        'invoice-77.r1'
    """
    end = f".r{number}"
    if len(job.id) + len(end) > LONGEST_ID:  # two long ids may begin alike
        end = f".{sha256(f'{job.account}/{job.id}'.encode()).hexdigest()[:16]}{end}"
    return f"{job.id[: LONGEST_ID - len(end)]}{end}"


async def resends_of(line: ConsoleLine, jobs: Sequence[Job], person: Person) -> dict[str, Resends]:
    """The resends of faxes of one account, by the ids of these.

    Redis has those of the console by their ids, and the audit those under any other.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    if not jobs:
        return {}
    noted, unread = await _noted(line, jobs)
    found = {
        job.id: [_Resend(new, entry.at, entry.who) for new, entry in noted[job.id].items()] for job in jobs
    }
    numbered = {job.id: 1 for job in jobs}
    waiting = list(jobs)
    while waiting:
        names = {again(job, numbered[job.id]): job for job in waiting}
        taken = {one.id: one for one in await line.named([*names])}
        for name, job in names.items():
            if name in taken and name not in noted[job.id] and _repeats(taken[name], job):
                found[job.id].append(_Resend(name, taken[name].created_at or FIRST))
        waiting = [job for name, job in names.items() if name in taken or name in noted[job.id]]
        numbered |= {job.id: numbered[job.id] + 1 for job in waiting}
    last = {name: max(some, key=lambda one: one.at) for name, some in found.items() if some}
    own = await _seen(line, [one.id for one in last.values()], person)
    return {
        job.id: replace(
            _told(again(job, numbered[job.id]), found[job.id], last.get(job.id), own),
            unread=unread if unread and (job.created_at or FIRST) < unread else None,
        )
        for job in jobs
    }


class _Resend(NamedTuple):
    id: str
    at: datetime
    who: str = ""


async def _noted(
    line: ConsoleLine, jobs: Sequence[Job]
) -> tuple[dict[str, dict[str, AuditEntry]], datetime | None]:
    """What the audit has of the resends of each fax, by the new id, and before when it was not read."""
    begun = {job.id: job.created_at or FIRST for job in jobs}
    since, until = min(begun.values()), datetime.now(UTC) + AHEAD
    noted = {job.id: dict[str, AuditEntry]() for job in jobs}
    read = await line.orders_before(_ms(until), _ms(since), LATEST)
    for entry in read.entries:
        about = entry.about or ""
        done = entry.what == "resend" and entry.outcome == "done"
        if done and entry.job and about in noted and entry.at >= begun[about]:
            noted[about][entry.job] = entry
    return noted, datetime.fromtimestamp(read.reached / 1000, UTC) if read.cut else None


async def _seen(line: ConsoleLine, names: Sequence[str], person: Person) -> set[str]:
    """Which of these this person may see."""
    if person.department is None:
        return {*names}
    return {job.id for job in await line.named(names) if person.sees(line.account, job.metadata)}


def _repeats(new: Job, job: Job) -> bool:
    """Whether a fax is a resend of this one, and not of another that had its id before."""
    return new.of == job.id and (new.created_at or FIRST) >= (job.created_at or FIRST)


def _told(following: str, some: Sequence[_Resend], last: _Resend | None, own: set[str]) -> Resends:
    if last is None:
        return Resends(following)
    if last.id not in own:
        return Resends(following, len(some), at=last.at)
    return Resends(following, len(some), last.id, last.at, last.who.partition(":")[0])


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
