"""The telephone calls: each accepted fax waits for its time, is sent, ends, and has its webhook delivered."""

import asyncio
import logging
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from faxline_sandbox.accounts import Customer
from faxline_sandbox.causes import BUSY, CANCELED, CAUSES
from faxline_sandbox.config import SandboxConfig
from faxline_sandbox.faults import FaultPlan, WebhookFault
from faxline_sandbox.inbound import InboundFax
from faxline_sandbox.ledger import Entry
from faxline_sandbox.lines import Lines
from faxline_sandbox.numbers import Numbers
from faxline_sandbox.outcomes import Outcome
from faxline_sandbox.webhooks import WebhookSender

LINE_BUSY = Outcome("failed", CAUSES[BUSY], BUSY)
"""The outcome of a fax whose number has no free line."""
BUSY_SHARE = 0.1
"""The length of a busy call, as a share of a call without its pages."""

_log = logging.getLogger("faxline_sandbox")


@dataclass(frozen=True)
class _Call:
    """A call that has begun.

    Args:
        outcome: how it will end.
        seconds: how long it takes.
        line: the number whose line it holds; None if no line was free.
    """

    outcome: Outcome
    seconds: float
    line: str | None


class Calls:
    """Runs the calls as tasks of the event loop.

    Args:
        config: the length of a call.
        numbers: decides the outcome of a call when it begins.
        lines: a call takes one for its duration.
        faults: decides the fault of a webhook.
        sender: delivers the webhooks.
    """

    def __init__(
        self,
        config: SandboxConfig,
        numbers: Numbers,
        lines: Lines,
        faults: FaultPlan[WebhookFault],
        sender: WebhookSender,
    ) -> None:
        self._config = config
        self._numbers = numbers
        self._lines = lines
        self._faults = faults
        self._sender = sender
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, asyncio.Task[None]] = {}

    @property
    def pending(self) -> int:
        """The number of calls and webhooks that have not ended."""
        return len(self._tasks)

    async def start(self, entry: Entry, customer: Customer, outcome: Outcome | None) -> None:
        """Begin a fax's call, or its wait for `send_at`.

        It returns at once, or after the first try of a webhook that is to come early.

        Args:
            entry: the fax.
            customer: its account.
            outcome: its outcome; None if that is decided when the call begins.
        """
        now = entry.accepted_at
        if self._faults.take(entry.marks, _is_early) or (outcome and outcome.early):
            call = self._begin(entry, customer, outcome)
            tried = asyncio.Event()
            self._spawn(self._end(entry, customer, call, tried))
            await tried.wait()
        elif entry.send_at is None or entry.send_at <= now:
            self._spawn(self._run(entry, customer, self._begin(entry, customer, outcome)))
        else:
            entry.enter("scheduled", now)
            self._waiting[entry.job_id] = self._spawn(self._wait(entry, customer, outcome, entry.send_at))

    def cancel(self, entry: Entry, customer: Customer) -> bool:
        """Cancel a fax that waits for its date; False if it does not wait.

        A call begins in the step of the event loop that takes the fax off the list. So a fax that is found
        here was not sent and will not be, even if its date has just come.
        """
        waiting = self._waiting.pop(entry.job_id, None)
        if waiting is None:
            return False
        waiting.cancel()
        entry.message, entry.code = CAUSES[CANCELED], CANCELED
        entry.enter("canceled", time.time())
        if self._config.webhook_on_cancel:
            fault = self._faults.take(entry.marks, _is_not_early)
            self._spawn(self._sender.deliver(entry, customer, fault, asyncio.Event()))
        return True

    def receive(self, fax: InboundFax, customer: Customer) -> None:
        """Send an account the webhook of a received fax."""
        self._spawn(self._sender.deliver(fax, customer, None, asyncio.Event()))

    async def drain(self, seconds: float | None) -> bool:
        """Wait until every call and webhook has ended; False if that takes longer than `seconds`."""
        try:
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
        except TimeoutError:
            return not self._tasks
        return True

    async def close(self) -> None:
        """Cancel all calls and webhooks."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wait(self, entry: Entry, customer: Customer, outcome: Outcome | None, send_at: float) -> None:
        await asyncio.sleep(send_at - time.time())
        del self._waiting[entry.job_id]
        await self._run(entry, customer, self._begin(entry, customer, outcome))

    def _begin(self, entry: Entry, customer: Customer, outcome: Outcome | None) -> _Call:
        number = entry.to_number
        entry.enter("sending", time.time() if entry.history else entry.accepted_at)
        if not self._lines.take(number):
            entry.line_busy = True
            customer.line_busy += 1
            return _Call(LINE_BUSY, call_length(self._config, entry, pages=0) * BUSY_SHARE, None)
        outcome = outcome or self._numbers.take(number)
        seconds = call_length(self._config, entry) * outcome.factor + outcome.seconds
        return _Call(outcome, seconds, number)

    async def _run(self, entry: Entry, customer: Customer, call: _Call) -> None:
        await asyncio.sleep(call.seconds)
        await self._end(entry, customer, call, asyncio.Event())

    async def _end(self, entry: Entry, customer: Customer, call: _Call, tried: asyncio.Event) -> None:
        outcome = call.outcome.of_quality(entry.quality)
        entry.forms = frozenset(outcome.forms)
        for redial in range(outcome.redials):  # iFax reports each of its own calls that failed
            entry.word, entry.redial = "failed", redial
            entry.message, entry.code = CAUSES[BUSY], BUSY
            await self._sender.deliver(entry, customer, None, asyncio.Event())
            await asyncio.sleep(call.seconds)
        entry.word, entry.redial = outcome.word, outcome.redials or None
        entry.transferred = outcome.transferred_pages(entry.pages)
        entry.message, entry.code = outcome.message, outcome.code
        entry.enter(outcome.status, time.time())
        if call.line is not None:
            self._lines.free(call.line)
        fault = self._faults.take(entry.marks, _is_not_early) or outcome.webhook
        await self._sender.deliver(entry, customer, fault, tried)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a call broke off", exc_info=error)


def call_length(config: SandboxConfig, entry: Entry, pages: int | None = None) -> float:
    """The length (s) of a fax's call. It depends only on the seed, the jobId and the pages.

    Args:
        config: the seed, and how long a call and each page take.
        entry: the fax.
        pages: how many are sent; None is all of them.
    """
    chance = random.Random(f"{config.seed}:{entry.job_id}")  # noqa: S311 - no secret
    length = config.call_seconds + (entry.pages if pages is None else pages) * config.page_seconds
    return length * (1 + chance.uniform(-config.spread, config.spread))


def _is_early(fault: WebhookFault) -> bool:
    return fault.action == "early"


def _is_not_early(fault: WebhookFault) -> bool:
    return fault.action != "early"
