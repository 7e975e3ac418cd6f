"""List the jobs of an account that have not ended, through its indexes."""

from collections.abc import Sequence
from typing import Any

from faxline.contract.redis_keys import RedisKeys
from faxline.contract.states import JobState
from faxline.reading.account_reader import holders_of
from faxline.reading.job import WAITING, Job
from faxline.steps.commands import Pipeline, Steps, at_one_moment

OPEN = (JobState.IN_DOUBT, JobState.SUBMITTING, JobState.SUBMITTED, JobState.QUEUED)
"""The states that can be listed, in the order of the list."""
_FIELDS = (
    *("state", "priority", "attempt", "job_id", "code", "reason", "message", "pages", "transferred"),
    *("created_at", "updated_at", "kind", "of", "group", "number", "in_doubt", "deliveries", "send_at"),
    *("admitted_at", "known_pages", "also", "named"),
)
BATCH = 500
"""How many records to read in one round trip."""


def read_open_jobs(
    keys: RedisKeys,
    states: Sequence[JobState],
    limit: int,
    *,
    metadata: bool = False,
    each: bool = False,
    only: Sequence[str] = (),
) -> Steps[list[Job]]:
    """Read the open jobs: in doubt (held ones first), submitting, submitted by deadline, queued by place.

    With `each` the limit is of every state, and without, of all together. With `only` no more of the records
    is read than the state and these fields, and not what the jobs wait for.

    The indexes are read as of one moment and the records just after. A job that moves in between to a state
    that was not asked for is left out.
    """

    def queue_reads(pipe: Any) -> None:
        pipe.hmget(keys.account_state, WAITING)
        pipe.zrangebyscore(keys.in_doubt, "inf", "inf", 0, limit)
        pipe.zrangebyscore(keys.in_doubt, "-inf", "(inf", 0, limit, withscores=True)
        pipe.zrange(keys.permits, 0, -1)
        pipe.zrange(keys.submitted, 0, limit - 1, withscores=True)
        pipe.zrange(keys.ready, 0, limit - 1)
        pipe.zrange(keys.delayed, 0, limit - 1)
        pipe.zrange(keys.waiting, 0, limit - 1)

    replies = yield from at_one_moment(queue_reads)
    account, held, in_doubt, permits, submitted, ready, delayed, waiting = replies
    until = dict([*submitted, *in_doubt])
    found = {
        JobState.IN_DOUBT: [*held, *(name for name, _ in in_doubt)],
        JobState.SUBMITTING: holders_of(permits),
        JobState.SUBMITTED: [name for name, _ in submitted],
        JobState.QUEUED: [*ready, *delayed, *(member.split(b"|", 2)[2] for member in waiting)],
    }
    most = limit if each else None
    wanted = [name for state in OPEN if state in states for name in found[state][:most]]
    names = list(dict.fromkeys(name.decode() for name in wanted))
    limit *= len(states) if each else 1
    jobs: list[Job] = []
    size = min(limit, BATCH)
    for start in range(0, len(names), size):
        batch = names[start : start + size]
        for name, job in (yield from read_light_records(keys, batch, metadata=metadata, only=only)).items():
            if job.state in states:
                jobs.append(job if only else job.waiting(until.get(name.encode()), account))
        if len(jobs) >= limit:
            break
    return jobs[:limit]


def read_light_records(
    keys: RedisKeys, names: Sequence[str], *, metadata: bool = False, only: Sequence[str] = ()
) -> Steps[dict[str, Job]]:
    """Read the records of these jobs, without history and forecast, and without metadata unless it is wanted.

    Jobs without a record are left out. This takes one round trip, so give at most BATCH names. With `only`
    no more is read than the state and these fields, as to name a field takes longer than to find it.
    """
    fields = ("state", *only) if only else (*_FIELDS, "metadata") if metadata else _FIELDS

    def queue_reads(pipe: Any) -> None:
        for name in names:
            pipe.hmget(keys.job(name), fields)

    found: dict[str, Job] = {}
    for name, values in zip(names, (yield Pipeline(queue_reads)), strict=True):
        record = {f: v.decode() for f, v in zip(fields, values, strict=True) if v is not None}
        if "state" in record:
            found[name] = Job.from_record(keys.account, name, record)
    return found
