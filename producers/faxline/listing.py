"""The jobs of an account that have not come to their end, found through its indexes."""

from collections.abc import Sequence
from typing import Any

from faxline.jobs import Job, JobState
from faxline.keys import AccountKeys
from faxline.replies import at_one_moment

OPEN = (JobState.IN_DOUBT, JobState.SUBMITTING, JobState.SUBMITTED, JobState.QUEUED)
"""The states that have an index, in the order in which they are listed."""
_FIELDS = (
    *("state", "priority", "attempt", "job_id", "code", "reason", "created_at", "updated_at"),
    *("kind", "of", "group", "number", "in_doubt"),
)
_BATCH = 500


def read_jobs(client: Any, keys: AccountKeys, states: Sequence[JobState], limit: int) -> list[Job]:
    """Read them: in doubt (held, then by the end of the wait), submitted by deadline, queued by place.

    The indexes are read at one moment, the records just after it; a job that moved between to a state that
    was not asked for is left out.

    Raises:
        redis.RedisError: the server did not answer or refused.
    """

    def questions(pipe: Any) -> None:
        pipe.hget(keys.account_state, "then")
        pipe.zrangebyscore(keys.in_doubt, "inf", "inf", 0, limit)
        pipe.zrangebyscore(keys.in_doubt, "-inf", "(inf", 0, limit, withscores=True)
        pipe.hvals(keys.holders)
        pipe.zrange(keys.submitted, 0, limit - 1, withscores=True)
        pipe.zrange(keys.ready, 0, limit - 1)
        pipe.zrange(keys.delayed, 0, limit - 1)

    then, held, in_doubt, submitting, submitted, ready, delayed = at_one_moment(client, questions)
    policy = then.decode() if then else None
    until = dict([*submitted, *in_doubt])
    found = {
        JobState.IN_DOUBT: [*held, *(name for name, _ in in_doubt)],
        JobState.SUBMITTING: submitting,
        JobState.SUBMITTED: [name for name, _ in submitted],
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
                job = Job.from_record(keys.account, name, record)
                jobs.append(job.waiting(until.get(name.encode()), policy))
        if len(jobs) >= limit:
            break
    return jobs[:limit]
