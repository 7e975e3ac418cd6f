"""The jobs of an account that have not come to their end, found through its indexes."""

from collections.abc import Sequence
from typing import Any

from faxline.jobs import Job, JobState
from faxline.keys import AccountKeys

OPEN = (JobState.IN_DOUBT, JobState.SUBMITTING, JobState.SUBMITTED, JobState.QUEUED)
"""The states that have an index, in the order in which they are listed."""
_FIELDS = (
    *("state", "priority", "attempt", "job_id", "code", "reason", "created_at", "updated_at"),
    *("kind", "of", "group", "number"),
)
_BATCH = 500


def read_jobs(client: Any, keys: AccountKeys, states: Sequence[JobState], limit: int) -> list[Job]:
    """Read them: those in doubt that are held first, submitted ones by deadline, queued ones by place.

    The indexes are read at one moment, the records just after it; a job that moved between to a state that
    was not asked for is left out.

    Raises:
        redis.RedisError: the server did not answer or refused.
    """
    with client.pipeline(transaction=True) as pipe:
        pipe.zrange(keys.in_doubt, 0, limit - 1, desc=True)
        pipe.hvals(keys.holders)
        pipe.zrange(keys.submitted, 0, limit - 1)
        pipe.zrange(keys.ready, 0, limit - 1)
        pipe.zrange(keys.delayed, 0, limit - 1)
        in_doubt, submitting, submitted, ready, delayed = pipe.execute()
    found = {
        JobState.IN_DOUBT: in_doubt,
        JobState.SUBMITTING: submitting,
        JobState.SUBMITTED: submitted,
        JobState.QUEUED: [*ready, *delayed],
    }
    names = list(dict.fromkeys(name.decode() for state in OPEN if state in states for name in found[state]))
    jobs: list[Job] = []
    for start in range(0, len(names), _BATCH):
        batch = names[start : start + _BATCH]
        with client.pipeline(transaction=False) as pipe:
            for name in batch:
                pipe.hmget(keys.job(name), _FIELDS)
            records = pipe.execute()
        for name, values in zip(batch, records, strict=True):
            record = {f: v.decode() for f, v in zip(_FIELDS, values, strict=True) if v is not None}
            if record.get("state") in states:
                jobs.append(Job.from_record(keys.account, name, record))
        if len(jobs) >= limit:
            break
    return jobs[:limit]
