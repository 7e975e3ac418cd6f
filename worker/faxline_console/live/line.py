"""An account's line with what only the console reads: its latest events, and the next of all accounts."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from faxline.contract.orders import Order
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.states import JobState
from faxline.operating.operations import GIVE_ORDERS
from faxline.operating.orders import add_order, issue_order, new_token
from faxline.reading.draining import Drained, read_draining
from faxline.reading.job import Job
from faxline.reading.lookup import GroupFacts, read_group_facts, read_members
from faxline.reading.open_jobs import BATCH, read_light_records, read_open_jobs
from faxline.reading.servers import Server, read_servers
from faxline.steps.commands import Command, Context, Pipeline, Steps
from faxline.steps.redis_user import redis_user
from faxline_console.live.kept_request import KeptRequest, read_request
from faxline_console.live.news import News, read_newest, read_next
from faxline_console.live.orders import Orders, read_orders
from faxline_console.live.pushing import PushingLine
from faxline_console.live.standing import Standing, read_standing
from faxline_console.live.unarchived import Unarchived, read_archived_until, read_unarchived
from faxline_console.spending import counted, spend

_T = TypeVar("_T")
PARTIAL = re.compile(rb'"partial":\s*true')
"""What the event of a fax says that was delivered in part."""
IDS = 50
"""How many ids of a group cost Redis as much as a command."""
TIMEOUT = 5.0
"""Seconds to wait until a dispatcher has carried out an order."""


class ConsoleLine(PushingLine):
    """The line of an account.

    Example:
        >>> await line.lately(1000, 100)
        ['clinic-north.4660']
    """

    async def _run(self, steps: Steps[_T], right: str = "") -> _T:
        return await super()._run(counted(steps), right)

    async def on_their_way(
        self, states: Sequence[JobState], most: int, only: Sequence[str] = ()
    ) -> list[Job]:
        """The jobs in these states, so many of each, with their metadata, in the order of `jobs`.

        With `only` they have no more than their state and these fields of their records.
        """
        return await self._run(read_open_jobs(self.keys, states, most, metadata=True, each=True, only=only))

    async def named(self, names: Sequence[str], only: Sequence[str] = ()) -> list[Job]:
        """The jobs of these ids that have a record, with their metadata, or with no more than some fields."""
        found: list[Job] = []
        for start in range(0, len(names), BATCH):
            some = names[start : start + BATCH]
            found += (await self._run(read_light_records(self.keys, some, metadata=True, only=only))).values()
        return found

    async def members(self, group: str) -> set[str]:
        """The ids of a group's jobs; empty if there is no such group."""
        return await self._run(read_members(self._context, group))

    async def standing(self, group: str) -> Standing:
        """Where a group's jobs stand; it has none if there is no such group."""
        found = await self._run(read_standing(self.keys, group))
        spend(len(found.members) // IDS)
        return found

    async def drained(self) -> Mapping[str, Drained]:
        """The accounts that were removed and are drained, each with since when."""
        return await self._run(read_draining())

    async def group_facts(self, group: str) -> GroupFacts:
        """How many jobs of a group are pushed, and which were rejected."""
        return await self._run(read_group_facts(self._context, group))

    async def orders_before(self, before: int, since: int, most: int, job: str = "") -> Orders:
        """The orders of the audit between two times (ms), the newest first. Calls are not among them.

        With `job` it is all that is about that fax, calls as well.

        Args:
            before: the end, not included.
            since: the beginning.
            most: how many entries are gone through, calls as well.
            job: the id of a fax.
        """
        return await self._run(read_orders(self.keys.audit, before, since, most, job))

    async def lately(self, count: int, most: int) -> list[str]:
        """The jobs of which the latest events say that they were delivered in part or never confirmed.

        Args:
            count: how many events are read, one page of the stream.
            most: how many jobs are named, the latest first.
        """
        return (await self._run(_lately(self.keys.events, count)))[:most]

    async def note_reveal(self, job: str, *, by: str) -> None:
        """Have the audit note that somebody is shown the numbers of a job that Redis may have forgotten.

        Raises:
            OrderTimeout: no dispatcher noted it in time, so show nothing.
        """
        steps = issue_order(self._context, Order.REVEAL, by, TIMEOUT, jobs=job)
        await self._run(steps, GIVE_ORDERS)

    async def note(self, what: str, *, by: str, jobs: Sequence[str] = (), about: str = "") -> None:
        """Have the audit note what somebody is about to do, as soon as a dispatcher reads of it.

        Args:
            what: `send`, `leave`, or `mailing`, which has no jobs.
            by: who does it.
            jobs: the faxes.
            about: what it is about besides.

        Raises:
            QueueUnavailable: Redis did not take the note, so do not do it.
        """
        word = {"order": str(Order.REVEAL), "what": what, "jobs": " ".join(jobs), "about": about, "by": by}
        word["token"] = new_token()
        await self._run(_add(self._context, word), GIVE_ORDERS)

    async def request(self, job: str) -> KeptRequest:
        """What is kept of a fax as it was pushed."""
        return await self._run(read_request(self.keys, self._context.seals, job))

    async def senders(self, names: Sequence[str]) -> dict[str, str]:
        """The caller ids of these jobs, where they have one of their own."""
        return await self._field(names, "sender")

    async def numbers(self, names: Sequence[str]) -> dict[str, str]:
        """The numbers of these jobs, to compare them. To show one is `reveal`, which the audit notes."""
        return await self._field(names, "number")

    async def _field(self, names: Sequence[str], field: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for start in range(0, len(names), BATCH):
            some = names[start : start + BATCH]
            read: list[Any] = await self._run(_fields(self.keys, some, field))
            found |= {name: value.decode() for name, value in zip(some, read, strict=True) if value}
        return found

    async def archived_until(self) -> int | None:
        """When the oldest event was written that the archive has not read, in milliseconds since 1970.

        0 if it has read all of them; None if no archive reads this account.
        """
        return await self._run(read_archived_until(self.keys))

    async def unarchived(self, few: int, most: int) -> Unarchived | None:
        """What the archive has not read yet, as `read_unarchived` tells it."""
        return await self._run(read_unarchived(self.keys, few, most))

    async def servers(self) -> list[Server]:
        """What Redis says about itself; of a cluster each primary."""
        return await self._run(read_servers(in_cluster=self._context.in_cluster))

    async def newest(self, keys: list[str]) -> dict[str, str]:
        """The id of the newest entry of each stream; 0-0 of one that has none."""
        return {key: await self._run(read_newest(key)) for key in keys}

    async def next_of(self, after: Mapping[str, str], seconds: float) -> dict[str, News]:
        """Wait for events after these, and return what is new by stream.

        Args:
            after: the id of the last known entry of each stream. On a cluster they share a slot.
            seconds: how long to wait.
        """
        return await self._run(read_next(dict(after), seconds))


def _add(context: Context, word: dict[str, str]) -> Steps[None]:
    yield from add_order(context, word | {"user": (yield from redis_user())})


def _fields(keys: RedisKeys, names: Sequence[str], field: str) -> Steps[list[Any]]:
    def queue_reads(pipe: Any) -> None:
        for name in names:
            pipe.hget(keys.job(name), field)

    found: list[Any] = yield Pipeline(queue_reads)
    return found


def _lately(key: str, count: int) -> Steps[list[str]]:
    found: Any = yield Command(lambda client: client.xrevrange(key, count=count))
    names: dict[str, None] = {}
    for _, fields in found:
        data = b"job" in fields and fields.get(b"data", b"")
        if data and (fields.get(b"event") == b"fax.unconfirmed" or PARTIAL.search(data)):
            names[fields[b"job"].decode()] = None
    return list(names)
