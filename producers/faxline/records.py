"""What Redis knows of one job, of a group's jobs, and of a name that may be either's."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from faxline.errors import GroupNotFound, JobNotFound
from faxline.forecast import forecast_of
from faxline.groups import Group
from faxline.jobs import WAITING, Job, JobState
from faxline.listing import BATCH, light_records
from faxline.questions import Ask, Steps, Terms, at_one_moment
from faxline.replies import is_forbidden


def job_of(terms: Terms, name: str) -> Steps[Job]:
    """The record of a job with what holds it or what it waits for; the group, if it is a group's name.

    A user who may not read the queue, such as a producer's, gets the record alone.

    Raises:
        JobNotFound: there is neither.
    """
    keys = terms.keys

    def questions(pipe: Any) -> None:
        pipe.hgetall(keys.job(name))
        pipe.zscore(keys.submitted, name)
        pipe.zscore(keys.in_doubt, name)
        pipe.hmget(keys.account_state, WAITING)

    deadlines: list[float | None]
    try:
        record, *deadlines, account = yield from at_one_moment(questions)
        found, whole = _read(terms, name, record), True
    except Exception as error:
        if not is_forbidden(error):
            raise
        deadlines, account = [], [None, None]
        found, whole = (yield from record_of(terms, name)), False
    if found is None:
        try:
            return (yield from group_of(terms, name))
        except GroupNotFound:
            raise JobNotFound(f"no job {name!r} on account {terms.account!r}") from None
    if found.state is JobState.QUEUED and whole:
        return replace(found, forecast=(yield from forecast_of(keys, name)))
    until = next((at for at in deadlines if at is not None), None)
    return found.waiting(until, account)


def record_of(terms: Terms, name: str) -> Steps[Job | None]:
    """The record alone; None where there is none."""
    record = yield Ask(lambda client: client.hgetall(terms.keys.job(name)))
    return _read(terms, name, record)


def _read(terms: Terms, name: str, record: Mapping[bytes, bytes]) -> Job | None:
    fields = {field.decode(): value.decode() for field, value in record.items()}
    return Job.from_record(terms.account, name, fields) if fields else None


def group_of(terms: Terms, name: str) -> Steps[Group]:
    """A group and its jobs as they are now, read in batches.

    Raises:
        GroupNotFound: no job of it is known.
    """
    members = yield from members_of(terms, name)
    if not members:
        raise GroupNotFound(f"no group {name!r} on account {terms.account!r}")
    jobs = yield from jobs_of(terms, members)
    return Group.from_jobs(terms.account, name, jobs, forgotten=len(members) - len(jobs))


def members_of(terms: Terms, name: str) -> Steps[set[str]]:
    """The ids of a group's jobs; empty where there is no such group."""
    members, cursor = set[str](), 0
    while True:
        cursor, page = yield Ask(partial(_scan, key=terms.keys.group(name), cursor=cursor))
        members.update(member.decode() for member in page)
        if not int(cursor):
            return members


def jobs_of(terms: Terms, names: set[str]) -> Steps[list[Job]]:
    """Those of these jobs that have a record, as light records, in the order of their ids."""
    ordered = sorted(names, key=_place)
    jobs = list[Job]()
    for start in range(0, len(ordered), BATCH):
        found = yield from light_records(terms.keys, ordered[start : start + BATCH])
        jobs += found.values()
    return jobs


def _scan(client: Any, *, key: str, cursor: int) -> Any:
    return client.sscan(key, cursor=cursor, count=BATCH)


def _place(name: str) -> tuple[str, int, str]:
    """ID.2 before ID.10."""
    head, _, tail = name.rpartition(".")
    return (head, int(tail), tail) if tail.isascii() and tail.isdigit() else (name, -1, "")
