"""A group: the jobs of one list of numbers, or of a mailing, seen as a whole."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from faxline.errors import JobRejected
from faxline.jobs import Job, JobState

_BEHIND = (
    *(JobState.INTAKE, JobState.QUEUED, JobState.SUBMITTING, JobState.IN_DOUBT, JobState.SUBMITTED),
    JobState.UNKNOWN,
)
"""The states that are not final, the one that is furthest from its end first."""
_WORST = (JobState.FAILED, JobState.UNCONFIRMED, JobState.CANCELED, JobState.DELIVERED)
_TOLD = (
    *("id", "state", "priority", "attempt", "jobId", "code", "reason", "message", "to"),
    *("pages", "transferred", "created_at", "updated_at"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group(Job):
    """The jobs of a group, as of one look at them.

    It is a Job, too, which tells of the whole: `id` is the group's name; `state` is, until all have ended,
    that of the job that is furthest behind, and then the worst end (failed, unconfirmed, canceled,
    delivered); `pages` and `transferred` are sums; `created_at` is the first and `updated_at` the last.

    Attributes:
        total: how many jobs it has, those rejected and forgotten among them.
        counts: how many of its jobs are in each state that occurs.
        jobs: they, in the order of their ids, without metadata, history and forecast.
        rejected: why intake took no job of these ids; known to a `wait` for what was pushed.
        forgotten: how many jobs have ended so long ago that their records are gone.
    """

    total: int = 0
    counts: Mapping[JobState, int] = field(default_factory=dict)
    jobs: tuple[Job, ...] = field(default=(), repr=False)
    rejected: Mapping[str, JobRejected] = field(default_factory=dict)
    forgotten: int = 0

    @classmethod
    def from_jobs(
        cls,
        account: str,
        name: str,
        jobs: Iterable[Job],
        *,
        rejected: Mapping[str, JobRejected] | None = None,
        forgotten: int = 0,
    ) -> "Group":
        """Of these jobs and what else is known."""
        members, refused = tuple(jobs), dict(rejected or {})
        counts = Counter(job.state for job in members)
        created = [job.created_at for job in members if job.created_at]
        updated = [job.updated_at for job in members if job.updated_at]
        return cls(
            id=name,
            group=name,
            account=account,
            state=_whole({*counts, *((JobState.FAILED,) if refused else ())}),
            kind="group",
            priority=members[0].priority if members else "normal",
            pages=_sum(job.pages for job in members),
            transferred=_sum(job.transferred for job in members),
            created_at=min(created, default=None),
            updated_at=max(updated, default=None),
            size=len(members) + len(refused) + forgotten,
            total=len(members) + len(refused) + forgotten,
            counts={state: counts[state] for state in JobState if state in counts},
            jobs=members,
            rejected=refused,
            forgotten=forgotten,
        )

    @property
    def name(self) -> str:
        """The group's name."""
        return self.id

    @property
    def ended(self) -> int:
        """How many have come to their end, or were rejected."""
        return self.total - sum(not job.state.final for job in self.jobs)

    @property
    def final(self) -> bool:
        """Whether all have."""
        return self.ended == self.total

    @property
    def delivered(self) -> int:
        """How many were delivered."""
        return self.counts.get(JobState.DELIVERED, 0)

    @property
    def failed(self) -> tuple[Job, ...]:
        """The jobs that ended otherwise than delivered: failed, canceled or unconfirmed."""
        return tuple(job for job in self.jobs if job.state.final and job.state is not JobState.DELIVERED)

    @property
    def partial(self) -> bool:
        """Whether any of them was delivered without all of its pages."""
        return any(job.partial for job in self.jobs)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline group --json`."""
        return {
            "group": self.name,
            "account": self.account,
            "state": str(self.state),
            "final": self.final,
            "total": self.total,
            "ended": self.ended,
            "counts": {str(state): count for state, count in self.counts.items()},
            "forgotten": self.forgotten,
            "pages": self.pages,
            "transferred": self.transferred,
            "created_at": self.created_at.isoformat() if self.created_at else None,
            "updated_at": self.updated_at.isoformat() if self.updated_at else None,
            "jobs": [_light(job.to_dict()) for job in self.jobs],
            "rejected": [
                {"id": name, "member": error.member, "reason": str(error.reason), "message": error.message}
                for name, error in self.rejected.items()
            ],
        }


def _light(job: Mapping[str, Any]) -> dict[str, Any]:
    return {name: job[name] for name in _TOLD}


def _whole(states: set[JobState]) -> JobState:
    return next((state for state in (*_BEHIND, *_WORST) if state in states), JobState.UNKNOWN)


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
