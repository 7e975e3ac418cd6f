"""A group: the jobs of a list of numbers or of a mailing, as a whole."""

from collections import Counter
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from faxline.contract.errors import JobRejected
from faxline.contract.states import JobState
from faxline.reading.job import Job

if TYPE_CHECKING:
    from datetime import datetime

Each: TypeAlias = Callable[[Job], object]
"""Called with each job of a group, one after the other."""

_BEHIND = (
    *(JobState.INTAKE, JobState.QUEUED, JobState.SUBMITTING, JobState.IN_DOUBT, JobState.SUBMITTED),
    JobState.UNKNOWN,
)
"""The states that are not final, the one furthest from the end first."""
_WORST = (JobState.FAILED, JobState.UNCONFIRMED, JobState.CANCELED, JobState.DELIVERED)
_TOLD = (
    *("id", "state", "priority", "attempt", "jobId", "code", "reason", "message", "to"),
    *("pages", "transferred", "partial", "created_at", "updated_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Job):
    """The jobs of a group at one moment.

    Example:
        >>> line.group("june").ended
        98

    The fields of a Job describe the group as a whole: `id` is its name. `state` is that of the job furthest
    from its end and, once all have ended, the worst end (failed, unconfirmed, canceled, delivered). `pages`
    and `transferred` are sums. `created_at` is the earliest, `updated_at` the latest.

    Attributes:
        total: how many faxes it has, with those rejected, forgotten, and not registered yet.
        counts: how many jobs are in each state; `intake` counts those not registered yet.
        jobs: the jobs in the order of their ids, without metadata, history and forecast.
        rejected: why intake rejected the entries of these ids.
        forgotten: how many jobs ended so long ago that their records have expired.
        partly_delivered: how many delivered jobs lack some of their pages.
        pushed: how many faxes the producer pushes in all, if it said so.
    """

    total: int = 0
    counts: Mapping[JobState, int] = field(default_factory=dict)
    jobs: tuple[Job, ...] = field(default=(), repr=False)
    rejected: Mapping[str, JobRejected] = field(default_factory=dict)
    forgotten: int = 0
    pushed: int | None = None
    partly_delivered: int = 0

    @property
    def name(self) -> str:
        """The group's name."""
        return self.id

    @property
    def ended(self) -> int:
        """How many faxes have ended or were rejected."""
        return self.total - sum(count for state, count in self.counts.items() if not state.final)

    @property
    def final(self) -> bool:
        """Whether all faxes have ended or were rejected."""
        return self.ended == self.total

    @property
    def delivered(self) -> int:
        """How many faxes were delivered."""
        return self.counts.get(JobState.DELIVERED, 0)

    @property
    def failed(self) -> tuple[Job, ...]:
        """The jobs that ended without delivery: failed, canceled or unconfirmed."""
        return tuple(job for job in self.jobs if job.state.final and job.state is not JobState.DELIVERED)

    @property
    def partial(self) -> bool:
        """Whether any fax was delivered without all of its pages."""
        return self.partly_delivered > 0

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline group --json`."""
        return {
            "group": self.name,
            "account": self.account,
            "state": str(self.state),
            "final": self.final,
            "total": self.total,
            "pushed": self.pushed,
            "ended": self.ended,
            "counts": {str(state): count for state, count in self.counts.items()},
            "partly_delivered": self.partly_delivered,
            "forgotten": self.forgotten,
            "pages": self.pages,
            "transferred": self.transferred,
            "created_at": self.created_at.isoformat() if self.created_at else None,
            "updated_at": self.updated_at.isoformat() if self.updated_at else None,
            "jobs": [light_dict(job) for job in self.jobs],
            "rejected": [
                {"id": name, "member": error.member, "reason": str(error.reason), "message": error.message}
                for name, error in self.rejected.items()
            ],
        }


class Tally:
    """Counts the jobs of a group, one after the other.

    Args:
        rejected: ids that were ever rejected. `since` has those of them that became jobs after all.
        each: called with each job. Without it, the jobs are kept for the Group.
    """

    def __init__(self, rejected: Container[str] = (), each: Each | None = None) -> None:
        self.jobs_seen = 0
        self.since: dict[str, datetime | None] = {}
        self._rejected = rejected
        self._each = each
        self._jobs: list[Job] = []
        self._counts: Counter[JobState] = Counter()
        self._priority = "normal"
        self._pages: int | None = None
        self._transferred: int | None = None
        self._partly = 0
        self._first: datetime | None = None
        self._last: datetime | None = None

    def add(self, job: Job) -> None:
        """Count one more job."""
        self._priority = self._priority if self.jobs_seen else job.priority
        self.jobs_seen += 1
        self._counts[job.state] += 1
        self._partly += job.partial
        if job.id in self._rejected:
            self.since[job.id] = job.created_at
        if job.pages is not None:
            self._pages = (self._pages or 0) + job.pages
        if job.transferred is not None:
            self._transferred = (self._transferred or 0) + job.transferred
        if job.created_at:
            self._first = min(self._first or job.created_at, job.created_at)
        if job.updated_at:
            self._last = max(self._last or job.updated_at, job.updated_at)
        (self._each or self._jobs.append)(job)

    def group(
        self,
        account: str,
        name: str,
        *,
        rejected: Mapping[str, JobRejected],
        forgotten: int,
        pushed: int | None,
    ) -> Group:
        """Return the group of the jobs counted so far."""
        known = self.jobs_seen + forgotten + len(rejected.keys() - self.since.keys())
        counts = self._counts.copy()
        counts[JobState.INTAKE] += max(0, (pushed or 0) - known)
        counts = +counts
        return Group(
            id=name,
            group=name,
            account=account,
            state=_whole({*counts, *((JobState.FAILED,) if rejected else ())}),
            kind="group",
            priority=self._priority,
            pages=self._pages,
            transferred=self._transferred,
            created_at=self._first,
            updated_at=self._last,
            size=max(known, pushed or 0),
            total=max(known, pushed or 0),
            counts={state: counts[state] for state in JobState if state in counts},
            jobs=tuple(self._jobs),
            rejected=dict(rejected),
            forgotten=forgotten,
            pushed=pushed,
            partly_delivered=self._partly,
        )


def light_dict(job: Job) -> dict[str, Any]:
    """The JSON of a job within its group."""
    content = job.to_dict()
    return {name: content[name] for name in _TOLD}


def _whole(states: set[JobState]) -> JobState:
    return next((state for state in (*_BEHIND, *_WORST) if state in states), JobState.UNKNOWN)
