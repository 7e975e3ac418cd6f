"""Look up one job or one group."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from faxline.contract.errors import GroupNotFound, JobNotFound, JobRejected
from faxline.contract.events import rejection_of
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.states import JobState
from faxline.reading.forecast import read_forecast
from faxline.reading.group import Each, Group, Tally
from faxline.reading.job import WAITING, Job
from faxline.reading.open_jobs import BATCH, read_light_records
from faxline.steps.commands import Command, Context, Steps, at_one_moment
from faxline.steps.redis_errors import is_forbidden


def find_job(context: Context, name: str) -> Steps[Job]:
    """Read the record of a job, and what holds it or what it waits for.

    A Redis user who may not read the queue, such as a producer's, gets the record alone.

    Raises:
        JobNotFound: there is no such job. The message says so if a group has this name.
    """
    keys = context.keys

    def queue_reads(pipe: Any) -> None:
        pipe.hgetall(keys.job(name))
        pipe.zscore(keys.submitted, name)
        pipe.zscore(keys.in_doubt, name)
        pipe.zscore(keys.held, name)
        pipe.zscore(keys.polls, name)
        pipe.hmget(keys.account_state, WAITING)

    deadlines: list[float | None]
    held_until: float | None
    try:
        record, *deadlines, held_until, asked, account = yield from at_one_moment(queue_reads)
        found, whole = _read(context.keys, name, record), True
    except Exception as error:
        if not is_forbidden(error):
            raise
        deadlines, held_until, asked, account = [], None, None, [None, None]
        found, whole = (yield from read_record(context, name)), False
    if found is None:
        hint = ", but a group has this name: group() shows it" if (yield from is_group(context, name)) else ""
        raise JobNotFound(f"no job {name!r} on account {context.account!r}{hint}")
    if found.state is JobState.QUEUED and whole:
        return replace(found, forecast=(yield from read_forecast(keys, name)))
    until = next((at for at in deadlines if at is not None), None)
    return found.waiting(until, account, held_until, asked)


def read_record(context: Context, name: str) -> Steps[Job | None]:
    """Read the record alone; None if there is none."""
    record = yield Command(lambda client: client.hgetall(context.keys.job(name)))
    return _read(context.keys, name, record)


def read_record_from(client: Any, keys: RedisKeys, name: str) -> Job | None:
    """Read the record alone, from a client with bytes replies; None if there is none.

    Raises:
        redis.RedisError: the server did not answer or refused.
    """
    return _read(keys, name, client.hgetall(keys.job(name)))


def is_group(context: Context, name: str) -> Steps[bool]:
    """Whether a group has this name: a job of it was registered or rejected."""
    keys = (context.keys.group(name), context.keys.group_rejected(name))
    return bool((yield Command(lambda client: client.exists(*keys))))


def _read(keys: RedisKeys, name: str, record: Mapping[bytes, bytes]) -> Job | None:
    fields = {field.decode(): value.decode() for field, value in record.items()}
    return Job.from_record(keys.account, name, fields) if fields else None


def find_group(context: Context, name: str, each: Each | None = None) -> Steps[Group]:
    """Read a group and its jobs, in batches.

    Args:
        context: of the line.
        name: the name of the group.
        each: called with each job. The Group then holds no jobs.

    Raises:
        GroupNotFound: no job of it is known.
    """
    members = yield from read_members(context, name)
    facts = yield from read_group_facts(context, name)
    if not members and not facts.rejected:
        raise GroupNotFound(f"no group {name!r} on account {context.account!r}")
    return (yield from read_group(context, name, members, facts, each))


def read_group(
    context: Context, name: str, members: Collection[str], facts: "GroupFacts", each: Each | None = None
) -> Steps[Group]:
    """Read these jobs as a group, together with those that were rejected."""
    tally = Tally(facts.rejected, each)
    yield from _each_job(context, members, tally.add)
    return tally.group(
        context.account,
        name,
        rejected=facts.still(members, tally.since),
        forgotten=len(members) - tally.jobs_seen,
        pushed=facts.size,
    )


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """What Redis knows about a group, besides the ids of its jobs.

    Attributes:
        size: how many faxes the producer pushes, if it said so.
        rejected: why and when (milliseconds since 1970) intake rejected the entries of these ids.
    """

    size: int | None
    rejected: Mapping[str, tuple[JobRejected, float]]

    def still(self, members: Collection[str], since: Mapping[str, datetime | None]) -> dict[str, JobRejected]:
        """Return the rejections that still count: no job of the same id was registered later.

        Args:
            members: the ids of the group's jobs.
            since: when each of them that has a record was registered.
        """

        def holds(name: str, at: float) -> bool:
            if name not in since:
                return name not in members
            registered = since[name]
            return registered is not None and round(registered.timestamp() * 1000) <= at

        return {name: error for name, (error, at) in self.rejected.items() if holds(name, at)}


def read_group_facts(context: Context, name: str) -> Steps[GroupFacts]:
    """Read the size and the rejections of a group."""
    sizes = yield from _set_of(context.keys.group_size(name))
    rejected = dict[str, tuple[JobRejected, float]]()
    for text in (yield from _set_of(context.keys.group_rejected(name))):
        data = json.loads(text)
        if data["id"] not in rejected or data["at"] > rejected[data["id"]][1]:
            rejected[data["id"]] = rejection_of(data), data["at"]
    return GroupFacts(max(map(int, sizes), default=None), rejected)


def read_members(context: Context, name: str) -> Steps[set[str]]:
    """Read the ids of a group's jobs; empty if there is no such group."""
    return _set_of(context.keys.group(name))


def _set_of(key: str) -> Steps[set[str]]:
    members, cursor = set[str](), 0
    while True:
        cursor, page = yield Command(partial(_scan, key=key, cursor=cursor))
        members.update(member.decode() for member in page)
        if not int(cursor):
            return members


def _each_job(context: Context, names: Iterable[str], each: Each) -> Steps[None]:
    """Call `each` with every one of these jobs that has a record, in the order of their ids."""
    ordered = sorted(names, key=_place)
    for start in range(0, len(ordered), BATCH):
        found = yield from read_light_records(context.keys, ordered[start : start + BATCH])
        for job in found.values():
            each(job)


def _scan(client: Any, *, key: str, cursor: int) -> Any:
    return client.sscan(key, cursor=cursor, count=BATCH)


def _place(name: str) -> tuple[str, int, str]:
    """ID.2 before ID.10."""
    head, _, tail = name.rpartition(".")
    return (head, int(tail), tail) if tail.isascii() and tail.isdigit() else (name, -1, "")
