"""The faxes on their way that a person sees, however many of others stand before them."""

from collections import Counter
from collections.abc import Sequence

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_console.line import ConsoleLine
from faxline_console.people import Person

MOST_READ = 2000
"""The most faxes of a state and an account that are gone through for somebody with a department."""


async def on_their_way(
    line: ConsoleLine, states: Sequence[JobState], person: Person, most: int, only: Sequence[str] = ()
) -> tuple[list[Job], bool]:
    """The faxes of these states that a person sees, and whether they are all.

    Args:
        line: to the account.
        states: open ones.
        person: who asks. For somebody with a department more are read, as those of others may stand before.
        most: how many of each state are enough.
        only: the fields of the records that are read, with the metadata among them; empty: all.
    """
    if not states:
        return [], True
    if person.department is not None:
        most = MOST_READ
    found = await line.on_their_way(states, most, only)
    whole = all(count < most for count in Counter(job.state for job in found).values())
    return [job for job in found if person.sees(line.account, job.metadata)], whole
