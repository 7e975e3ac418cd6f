"""Every kind of line behind one synchronous interface, and what a test says becomes of its faxes."""

import asyncio
import inspect
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Protocol, Self
from unittest.mock import patch

import redis

from faxline import AsyncFaxLine, Event, FaxLine, JobNotFound
from faxline.testing import AsyncMemoryLine, MemoryLine
from faxline_worker.config.settings import read_settings
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import make_dispatcher

SETTINGS = {
    "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token",
    "FAXLINE_LIMITS__REQUESTS": "0",
    "FAXLINE_LIMITS__CONCURRENCY": "0",
    "FAXLINE_LIMITS__BURST": "0",
    "FAXLINE_NUMBERS__CONCURRENT": "0",  # a line in memory lets a number receive any number at once
}


class Outcomes(Protocol):
    """What becomes of a fax."""

    def deliver(self, job: str) -> None: ...
    def fail(self, job: str, *, reason: str, code: int) -> None: ...
    def submit(self, job: str) -> None: ...
    def doubt(self, job: str) -> None: ...
    def drop_events(self, keep: int) -> None: ...


class Loop:
    """An event loop in a thread of its own."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)


class Awaited:
    """An asyncio line whose methods are awaited for the caller."""

    def __init__(self, line: AsyncFaxLine, loop: Loop) -> None:
        self._line = line
        self._loop = loop

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._line, name)
        if not inspect.iscoroutinefunction(method):
            return method
        return lambda *args, **options: self._loop.run(method(*args, **options))

    def events(self, **options: Any) -> "AwaitedEvents":
        return AwaitedEvents(self._line, self._loop, options)


class AwaitedEvents(Iterator[Event]):
    """The events of an asyncio line, likewise."""

    def __init__(self, line: AsyncFaxLine, loop: Loop, options: dict[str, Any]) -> None:
        async def begin() -> Any:
            return await line.events(**options)

        self._loop = loop
        self._events = loop.run(begin())

    def __next__(self) -> Event:
        async def following() -> Event | None:
            return await anext(self._events, None)

        event: Event | None = self._loop.run(following())
        if event is None:
            raise StopIteration
        return event

    def close(self) -> None:
        self._loop.run(self._events.aclose())


class Daemon:
    """A dispatcher that takes entries and orders, and a store that the test drives: jobs really move."""

    def __init__(self, url: str, wait_until: Callable[..., Any]) -> None:
        self._client = redis.Redis.from_url(url)
        self._store = Store(self._client, read_settings(SETTINGS), "default")
        self._wait_until = wait_until
        self._numbers = itertools.count(1001)
        self._short = ExitStack()
        self._dispatcher = make_dispatcher(redis.Redis.from_url(url), {"default": self._store})

    def __enter__(self) -> Self:
        self._store.timers.run()
        for part in ("intake_threads", "listener", "timers", "operator_orders"):  # they end as soon
            self._short.enter_context(patch(f"faxline_worker.dispatcher.{part}.BLOCK", 0.1))
        self._dispatcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._dispatcher.stop()
        self._short.close()
        self._client.close()

    def cancel(self, job: str) -> None:
        """iFax cancels a fax that it keeps for a date, once it is asked to."""
        self._wait_until(lambda: self._client.hget(self._store.keys.job(job), "canceling"))
        admitted = self._store.submission.admit(f"permit-{next(self._numbers)}", "")
        assert isinstance(admitted, Admitted), admitted
        assert (admitted.job, bool(admitted.control_call)) == (job, True)
        self._store.submission.report(admitted, {"decision": "accepted"})

    def _admitted(self, job: str) -> Admitted:
        """Take this job, whatever its place."""
        self._wait_until(lambda: self._client.exists(self._store.keys.job(job)))
        others = []
        while True:
            admitted = self._store.submission.admit(f"permit-{next(self._numbers)}", "")
            assert isinstance(admitted, Admitted), admitted
            if admitted.job == job:
                break
            others.append(admitted)
        for other in others:
            self._store.submission.settle(other, {"decision": "released"})
        self._store.submission.mark(admitted)
        return admitted

    def _state(self, job: str) -> str:
        return (self._client.hget(self._store.keys.job(job), "state") or b"").decode()  # type: ignore[union-attr]

    def submit(self, job: str) -> None:
        self._store.submission.settle(
            self._admitted(job), {"decision": "accepted", "job_id": str(next(self._numbers))}
        )

    def doubt(self, job: str) -> None:
        self._store.submission.settle(self._admitted(job), {"decision": "in_doubt", "reason": "read_timeout"})

    def deliver(self, job: str) -> None:
        self._end(
            job, {"outcome": "delivered", "code": 0, "reason": "delivered", "pages": 1, "transferred": 1}
        )

    def fail(self, job: str, *, reason: str, code: int) -> None:
        self._end(job, {"outcome": "failed", "code": code, "reason": reason, "pages": 1, "transferred": 0})

    def drop_events(self, keep: int) -> None:
        self._client.xtrim(self._store.keys.events, maxlen=keep, approximate=False)

    def _end(self, job: str, receipt: dict[str, Any]) -> None:
        if self._state(job) in {"", "queued"}:
            self.submit(job)
        job_id: Any = self._client.hget(self._store.keys.job(job), "job_id")
        entry: Any = self._client.xadd(self._store.keys.status, {"body": b"{}", "kind": "receipt"})
        self._store.receipts.apply([(entry.decode(), receipt | {"job_id": job_id.decode()})])


class World:
    """A line of one kind and what becomes of its faxes."""

    def __init__(self, line: Any, outcomes: Outcomes, wait_until: Callable[..., Any]) -> None:
        self.line = line
        self.outcomes = outcomes
        self._wait_until = wait_until

    def canceled_at_ifax(self, job: str) -> None:
        """iFax does as it is asked to; in memory it does so at once."""
        if isinstance(self.outcomes, Daemon):
            self.outcomes.cancel(job)

    def registered(self, *jobs: str) -> None:
        """Wait until these are jobs."""

        def there(job: str) -> bool:
            try:
                self.line.job(job)
            except JobNotFound:
                return False
            return True

        for job in jobs:
            self._wait_until(lambda job=job: there(job))


@contextmanager
def real(url: str, wait_until: Callable[..., Any]) -> Iterator[World]:
    with Daemon(url, wait_until) as daemon, FaxLine(url) as line:
        yield World(line, daemon, wait_until)


@contextmanager
def real_async(url: str, wait_until: Callable[..., Any]) -> Iterator[World]:
    with Daemon(url, wait_until) as daemon, Loop() as loop:
        line = AsyncFaxLine(url)
        yield World(Awaited(line, loop), daemon, wait_until)
        loop.run(line.close())


@contextmanager
def memory(_url: str, wait_until: Callable[..., Any]) -> Iterator[World]:
    line = MemoryLine(deliver=False)
    yield World(line, line, wait_until)


@contextmanager
def memory_async(_url: str, wait_until: Callable[..., Any]) -> Iterator[World]:
    with Loop() as loop:
        line = AsyncMemoryLine(deliver=False)
        yield World(Awaited(line, loop), line, wait_until)


KINDS = {"FaxLine": real, "AsyncFaxLine": real_async, "MemoryLine": memory, "AsyncMemoryLine": memory_async}
