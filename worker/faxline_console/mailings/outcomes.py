"""How the faxes of a group ended, out of the archive: one row a fax, and no more of it than is counted."""

from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import ColumnElement, exists, literal, select

from faxline.contract.states import FINAL_STATES, JobState
from faxline.reading.job import Job
from faxline_archive.privacy import member
from faxline_archive.schema import fax_metadata, faxes
from faxline_console.access.people import Person
from faxline_console.archive.ended import Ended, told
from faxline_console.live.standing import LARGEST
from faxline_console.showing.words import STATES, reason_words, state_of

Told = dict[str, "Outcome | None"]
"""How faxes stand, by their ids; None: another department's."""
_TROUBLE = {JobState.FAILED, JobState.UNCONFIRMED}


class Outcome(NamedTuple):
    """How a fax stands: the segment of a bar, and why it did not arrive."""

    segment: str
    reason: str = ""


OPEN = Outcome("")
"""It has not ended: Redis tells where it is."""
GONE = Outcome("gone")
"""It has ended, and nothing tells how any more."""


def outcome_of(job: Job) -> Outcome:
    """How a fax stands by its record."""
    reason = reason_words(job.reason, job.code) or str(job.state) if job.state in _TROUBLE else ""
    return Outcome(state_of(job)[0], reason)


def read_outcomes(ended: Ended, account: str, group: str, person: Person) -> Told:
    """How the faxes of a group ended; of an id that was used again, the last one. Call it in a thread.

    Raises:
        ArchiveUnavailable: the database is away or refuses.
    """
    mine: ColumnElement[bool] = literal(value=True)
    if person.department is not None:
        key, value = person.department
        same = [fax_metadata.c[part] == faxes.c[part] for part in ("account", "job", "reuse")]
        values = ended.privacy(account).lookups(member(key), value)
        mine = exists().where(*same, fax_metadata.c.key == key, fax_metadata.c.value.in_(values))
    columns = [faxes.c[name] for name in ("job", "reuse", "state", "partial", "reason", "code")]
    those = faxes.c.account == account, faxes.c.group_name == group
    query = select(*columns, mine).where(*those).limit(LARGEST)
    if person.department is None:
        query = query.where(faxes.c.state.in_(FINAL_STATES))
    with told(), ended.engine.connect() as connection:
        rows = connection.execute(query).all()
    found: Told = {}
    last: dict[str, int] = {}
    for row in rows:
        job, reuse, own = row[0], row[1], row[-1]
        if reuse >= last.get(job, 0):
            last[job] = reuse
            found[job] = _outcome(*row[2:-1]) if own else None
    return found


@lru_cache(1000)
def _outcome(state: str, partial: bool | None, reason: str | None, code: int | None) -> Outcome:
    if state not in FINAL_STATES:
        return OPEN
    why = reason_words(reason, code) or state if state in _TROUBLE else ""
    return Outcome(segment_of(state, partial=bool(partial)), why)


def segment_of(state: str, *, partial: bool) -> str:
    """The segment of a bar for a state of the archive."""
    known = "partial" if partial and state == JobState.DELIVERED else state
    return STATES.get(known, ("queued", ""))[0]
