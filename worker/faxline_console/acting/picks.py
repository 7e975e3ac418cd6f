"""What somebody picked on a page: which fax, and as what it was seen there.

An id is free again when Redis forgets its fax, and a fax may end or change while a page is open. So every
form that acts on a fax says which one its page showed, and in which state.
"""

from dataclasses import dataclass

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_archive.intersection import milliseconds
from faxline_console.asking.query import state_word
from faxline_console.showing.words import state_of

ANOTHER = "is another fax's id now"
PARTS = 5
LONGEST_NUMBER = 16


@dataclass(frozen=True, slots=True)
class Pick:
    """A fax as a page showed it.

    Example:
        >>> Pick.read("north/1790000000000/failed/1/invoice-77").why_not(job)
        'is delivered since'

    Attributes:
        account: whose it is.
        pushed: when it was pushed, in milliseconds since 1970: it tells faxes of one id apart.
        state: the word of its state.
        attempt: its last attempt: it tells two doubts about one fax apart.
        job: its id.
    """

    account: str
    pushed: int
    state: str
    attempt: int
    job: str

    @classmethod
    def of(cls, job: Job) -> "Pick":
        """The pick of a fax that is shown now."""
        pushed = milliseconds(job.created_at) if job.created_at else 0
        return cls(job.account, pushed, state_word(job), job.attempt, job.id)

    @classmethod
    def read(cls, text: str) -> "Pick | None":
        """The pick that a form has; None if it is none."""
        parts = text.split("/")
        if len(parts) != PARTS:
            return None
        account, pushed, state, attempt, job = parts
        numbers = (pushed, attempt)
        if not all(part.isascii() and part.isdecimal() and len(part) <= LONGEST_NUMBER for part in numbers):
            return None
        return cls(account, int(pushed), state, int(attempt), job)

    @property
    def place(self) -> tuple[str, str]:
        """The account and the id."""
        return self.account, self.job

    def is_same(self, job: Job) -> bool:
        """Whether this fax is the one that was shown, in whatever state."""
        now = Pick.of(job)
        return (*self.place, self.pushed) == (*now.place, now.pushed)

    def why_not(self, job: Job) -> str:
        """Why a fax is not what was shown; empty if it is."""
        if not self.is_same(job):
            return ANOTHER
        now = Pick.of(job)
        if now.state != self.state:
            return f"is {state_of(job)[1].lower()} since"
        if job.state is JobState.IN_DOUBT and now.attempt != self.attempt:
            return "was sent again since, and is in doubt about that"
        return ""

    def __str__(self) -> str:
        return f"{self.account}/{self.pushed}/{self.state}/{self.attempt}/{self.job}"


def pick(job: Job) -> str:
    """The pick of a fax, as a form has it."""
    return str(Pick.of(job))
