"""What a line offers operators about single things: a doubt, an entry that was set aside."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from faxline.errors import EntryNotFound, JobIdTaken, JobNotFound, NotInDoubt
from faxline.jobs import Job
from faxline.keys import AccountKeys
from faxline.orders import Order, give_order
from faxline.replies import asked

_PAGE = 10
"""Entries in one read: their content comes along, and one may have megabytes."""
_ABOUT = 3
"""Fields that tell about the entry (stream, entry, why); its own follow."""
MOST_DIGITS = 18
"""Of a jobId of iFax."""


@dataclass(frozen=True, slots=True)
class DeadEntry:
    """An entry that was set aside: what is known about it, never what it says.

    Attributes:
        id: its id among those set aside; `redrive` takes it.
        stream: where it came from, intake or status (a receipt).
        entry: its id there.
        why: malformed, unknown_status, or the name of what our code raised.
        at: when it was set aside.
        size: bytes of its content.
    """

    id: str
    stream: str
    entry: str
    why: str
    at: datetime
    size: int

    @classmethod
    def from_entry(cls, entry: bytes, fields: dict[bytes, bytes]) -> "DeadEntry":
        """Read what the daemon keeps."""
        stream, origin, why = (value.decode("utf-8", "replace") for value in list(fields.values())[:_ABOUT])
        return cls(
            id=entry.decode(),
            stream=stream,
            entry=origin,
            why=why,
            at=datetime.fromtimestamp(int(entry.partition(b"-")[0]) / 1000, tz=UTC),
            size=sum(len(name) + len(value) for name, value in list(fields.items())[_ABOUT:]),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline dead --json`."""
        return {
            "id": self.id,
            "stream": self.stream,
            "entry": self.entry,
            "why": self.why,
            "at": self.at.isoformat(),
            "size": self.size,
        }


class Operators:
    """The operators' part of `FaxLine`."""

    account: str
    keys: AccountKeys
    _client: Any
    _longest: float

    if TYPE_CHECKING:  # `FaxLine` has it

        def job(self, job: str) -> Job: ...  # noqa: D102 - told there

    def resolve(
        self,
        job: str,
        *,
        accepted: int | None = None,
        resend: bool = False,
        fail: bool = False,
        by: str,
        timeout: float = 5.0,
    ) -> Job:
        """Settle a doubt by an operator's word: one of accepted, resend and fail. The job after that.

        Args:
            job: the job in doubt.
            accepted: iFax took it, under this jobId; its receipt settles the rest.
            resend: iFax did not take it, or once more does no harm: it is sent again.
            fail: it is given up.
            by: who decides, for the dispatcher's log.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotInDoubt: the job is in another state, which the error tells; nothing was changed.
            JobIdTaken: the jobId belongs to another job; nothing was changed.
            JobNotFound: there is no such job.
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
            ValueError: none or several of the three were given, or the jobId is none.
        """
        if (accepted is not None) + resend + fail != 1:
            raise ValueError("one of accepted, resend and fail settles a doubt")
        more = {"job": job, "how": "resend" if resend else "fail"}
        if accepted is not None:
            if not 0 <= accepted < 10**MOST_DIGITS:
                raise ValueError("a jobId is a whole number that is not negative")
            more |= {"how": "accepted", "jobId": str(accepted)}
        reply = self._order(Order.RESOLVE, by, timeout, **more)
        match reply["result"]:
            case "taken":
                raise JobIdTaken(f"jobId {accepted} belongs to job {reply['job']!r}", reply["job"])
            case "refused" if not reply["state"]:
                raise JobNotFound(f"no job {job!r} on account {self.account!r}")
            case "refused":
                raise NotInDoubt(f"job {job!r} is not in doubt: it is {reply['state']}", reply["state"])
        return self.job(job)

    def dead(self, limit: int = 100) -> list[DeadEntry]:
        """The entries that were set aside because they could not be worked on, the newest first.

        Args:
            limit: how many at most.

        Raises:
            QueueUnavailable: Redis did not answer.
            ValueError: the limit is below 1.
        """
        if limit < 1:
            raise ValueError("the limit is 1 or more")
        found: list[DeadEntry] = []
        before = "+"
        while len(found) < limit:
            count = min(_PAGE, limit - len(found))
            entries = asked(partial(self._client.xrevrange, self.keys.dead, before, "-", count=count))
            if not entries:
                break
            found += [DeadEntry.from_entry(entry, fields) for entry, fields in entries]
            before = "(" + found[-1].id
        return found

    def redrive(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        """Put an entry that was set aside back on its stream, where it is worked on like a new one.

        Args:
            entry: its id, as `dead` gives it.
            by: who orders it, for the dispatcher's log.
            timeout: seconds to wait for a dispatcher.

        Raises:
            EntryNotFound: there is no such entry.
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
        """
        if self._order(Order.REDRIVE, by, timeout, entry=entry)["result"] == "refused":
            raise EntryNotFound(f"no entry {entry!r} is set aside on account {self.account!r}")

    def _order(self, order: Order, by: str, timeout: float, **more: str) -> dict[str, str]:
        return give_order(self._client, self.keys, order, by, timeout=timeout, longest=self._longest, **more)
