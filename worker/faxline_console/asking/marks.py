"""The place of a fax in the list, behind which the next page begins."""

from dataclasses import dataclass

from faxline.reading.job import Job
from faxline_archive.intersection import milliseconds
from faxline_archive.places import Place


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a page of the list ended: the place of its last fax.

    Faxes are in the order of their time, the latest first; those of the same millisecond by account.
    """

    at: int
    account: str
    job: str

    @classmethod
    def of(cls, job: Job) -> "Mark":
        """The place of a fax."""
        return cls(milliseconds(job.created_at) if job.created_at else 0, job.account, job.id)

    @classmethod
    def read(cls, text: str) -> "Mark | None":
        """The place in an address; None if it is none."""
        at, _, rest = text.partition("~")
        account, _, job = rest.partition("~")
        return cls(int(at), account, job) if at.isdecimal() and len(at) < 16 and account and job else None  # noqa: PLR2004

    @property
    def order(self) -> tuple[int, str, tuple[int, ...]]:
        """For sorting: what is pushed later is first."""
        return -self.at, self.account, (*(-ord(letter) for letter in self.job), 1)

    def place(self, account: str) -> Place:
        """Behind which the faxes of an account follow."""
        if account == self.account:
            return self.at, self.job
        return (self.at, "") if account < self.account else (self.at + 1, "")

    def __str__(self) -> str:
        return f"{self.at}~{self.account}~{self.job}"
