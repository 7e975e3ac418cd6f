"""What a search found, and what its page says of what it did not."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from faxline.contract.phone_numbers import EXAMPLE
from faxline.reading.job import Job
from faxline_console.asking.marks import Mark

NO_ARCHIVE = (
    "There is no archive: faxes that have ended are found by their id or group, as long as Redis has them."
)
NOT_ALL = "Not all faxes on their way are shown here. Search for a state, a group or an id to see more."
REDIS_AWAY = "Redis does not answer: faxes on their way are missing here, ended ones are not."
NO_PLUS = (
    f"Write a number whole, with + and its country code, such as {EXAMPLE}. Without the plus, faxes on their "
    "way are found by its end, but those that have ended only if it begins with its country code."
)
LAST_FOUR = (
    "Your role does not reveal numbers: they are compared by their last four digits, and only those of faxes "
    "on their way. Who may reveal numbers finds ended faxes by a whole number."
)
ENDED_ONLY = "Account {} was removed: its faxes that have ended are found, out of the archive, and no others."
NOT_NOTED = "The audit notes a search for a number, and Redis does not take the note now: nothing is shown."

TOO_MANY = (
    "This leaves out more faxes to a number than the audit notes of one search: nothing is shown. Search for "
    "fewer days, or leave out no number."
)


@dataclass(slots=True)
class Found:
    """A part of the list.

    Attributes:
        jobs: the latest first.
        more: whether there are older ones.
        notes: what is missing, and why.
        away: whether nothing could be searched at all.
        live: how many faxes on their way match in each state; None if Redis is away.
        whole: whether all of these were gone through.
        missing: whether Redis or the archive is away, so that their faxes are missing.
        told: all faxes of which the search tells that they match but for their state.
    """

    jobs: list[Job]
    more: bool = False
    live: Mapping[str, int] | None = None
    whole: bool = True
    notes: list[str] = field(default_factory=list)
    away: bool = False
    missing: bool = False
    told: list[Job] = field(default_factory=list)

    @property
    def last(self) -> Mark | None:
        """Where it ended."""
        return Mark.of(self.jobs[-1]) if self.jobs else None
