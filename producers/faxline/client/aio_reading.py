"""The methods of `AsyncFaxLine` that read: a job, a group, the end of either, the events."""

from functools import partial
from typing import overload

from faxline.client.aio_base import Asynchronous, twin_of
from faxline.client.sync_reading import Reading
from faxline.reading.consumer_groups import CLAIM_AFTER, RIGHT
from faxline.reading.event_iterators import AsyncEvents
from faxline.reading.event_stream import open_events
from faxline.reading.group import Each, Group
from faxline.reading.job import Job
from faxline.reading.lookup import find_group, find_job
from faxline.sending.mailing import Mailing, Progress
from faxline.steps.drivers import translate_errors
from faxline.waiting.wait_one import wait_for


@twin_of(Reading)
class AsyncReading(Asynchronous):
    """Follow jobs and groups to their end."""

    async def job(self, job: str) -> Job:
        return await self._run(find_job(self._context, job))

    async def group(self, name: str, *, each: Each | None = None) -> Group:
        return await self._run(find_group(self._context, name, each))

    @overload
    async def wait(
        self, job: Mailing | Group, timeout: float, *, progress: Progress | None = None
    ) -> Group: ...

    @overload
    async def wait(
        self, job: str | Job, timeout: float, *, progress: Progress | None = None, each: Each | None = None
    ) -> Job: ...

    async def wait(
        self,
        job: str | Job | Mailing,
        timeout: float,
        *,
        progress: Progress | None = None,
        each: Each | None = None,
    ) -> Job:
        return await self._run(wait_for(self._context, job, timeout, progress, each))

    def events(
        self,
        *,
        after: str = "$",
        group: str | None = None,
        consumer: str | None = None,
        claim_after: float = CLAIM_AFTER,
        timeout: float | None = None,
    ) -> AsyncEvents:
        """Follow the events from the first one that is asked for, or at once: `await line.events()`.

        The arguments and errors are those of `FaxLine.events`.

        Example:
            >>> async for event in line.events(group="billing"):
            ...     print(event.name, event.job)
        """
        translate = partial(
            translate_errors, right=RIGHT if group is not None else "", place=self._context.place
        )
        begin = open_events(self._context, after, group, consumer, claim_after, timeout)
        return AsyncEvents(self._here, begin, translate, self._is_open)
