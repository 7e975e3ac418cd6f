"""The telephone calls: each accepted fax waits for its time, is sent, ends, and has its webhook delivered."""

import asyncio
import logging
import random
import time
from collections.abc import Coroutine
from typing import Any

from faxline_sandbox.accounts import Customer
from faxline_sandbox.config import SandboxConfig
from faxline_sandbox.faults import FaultPlan, WebhookFault
from faxline_sandbox.ledger import Entry
from faxline_sandbox.outcomes import Outcome
from faxline_sandbox.webhooks import WebhookSender

CANCELED_MESSAGE = "ORIGINATOR_CANCEL"
CANCELED_CODE = 487

_log = logging.getLogger("faxline_sandbox")


class Calls:
    """Runs the calls as tasks of the event loop.

    Args:
        config: the length of a call.
        faults: asked for the webhook's fault.
        sender: delivers the webhooks.
    """

    def __init__(self, config: SandboxConfig, faults: FaultPlan[WebhookFault], sender: WebhookSender) -> None:
        self._config = config
        self._faults = faults
        self._sender = sender
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, asyncio.Task[None]] = {}

    @property
    def pending(self) -> int:
        """Calls and webhooks that are not over."""
        return len(self._tasks)

    async def start(self, entry: Entry, customer: Customer, outcome: Outcome) -> None:
        """Begin a fax's call, or its wait for `send_at`.

        Returns at once, except when the webhook is to come early: then after its first try.
        """
        now = entry.accepted_at
        entry.enter("sending" if entry.send_at is None or entry.send_at <= now else "scheduled", now)
        if self._faults.take(entry.marks, _is_early) or (outcome.webhook and _is_early(outcome.webhook)):
            tried = asyncio.Event()
            self._spawn(self._end(entry, customer, outcome, tried))
            await tried.wait()
        else:
            task = self._spawn(self._run(entry, customer, outcome))
            if entry.state == "scheduled":
                self._waiting[entry.job_id] = task

    def cancel(self, entry: Entry, customer: Customer) -> bool:
        """Cancel a fax that waits for its time; False when it does not (any more)."""
        waiting = self._waiting.pop(entry.job_id, None)
        if waiting is None:
            return False
        waiting.cancel()
        entry.message, entry.code = CANCELED_MESSAGE, CANCELED_CODE
        entry.enter("canceled", time.time())
        if self._config.webhook_on_cancel:
            fault = self._faults.take(entry.marks, _is_not_early)
            self._spawn(self._sender.deliver(entry, customer, fault, asyncio.Event()))
        return True

    async def drain(self, seconds: float | None) -> bool:
        """Wait until every call and webhook is over; False when that takes longer than the seconds."""
        try:
            async with asyncio.timeout(seconds):
                while self._tasks:
                    await asyncio.wait(set(self._tasks))
        except TimeoutError:
            return not self._tasks
        return True

    async def close(self) -> None:
        """Break off everything."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, entry: Entry, customer: Customer, outcome: Outcome) -> None:
        if entry.state == "scheduled":
            await asyncio.sleep((entry.send_at or 0) - time.time())
            del self._waiting[entry.job_id]
            entry.enter("sending", time.time())
        await asyncio.sleep(call_length(self._config, entry))
        await self._end(entry, customer, outcome, asyncio.Event())

    async def _end(self, entry: Entry, customer: Customer, outcome: Outcome, tried: asyncio.Event) -> None:
        entry.transferred = outcome.transferred_pages(entry.pages)
        entry.message, entry.code = outcome.message, outcome.code
        entry.enter(outcome.status, time.time())
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


def call_length(config: SandboxConfig, entry: Entry) -> float:
    """Seconds of a fax's call: the same for the same seed, jobId and pages, whatever else goes on."""
    chance = random.Random(f"{config.seed}:{entry.job_id}")  # noqa: S311 - no secret
    length = config.call_seconds + entry.pages * config.page_seconds
    return length * (1 + chance.uniform(-config.spread, config.spread))


def _is_early(fault: WebhookFault) -> bool:
    return fault.action == "early"


def _is_not_early(fault: WebhookFault) -> bool:
    return fault.action != "early"
