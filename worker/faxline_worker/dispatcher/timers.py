"""The thread of the timers: it does what the schedule says, and sends the wake-ups at their moment."""

from collections.abc import Callable
from typing import Any, TypeAlias

import redis

from faxline.contract.redis_keys import ACCOUNTS
from faxline.reading.draining import UNDER_WAY
from faxline_worker.dispatcher.context import BLOCK, PAUSE, DispatcherContext
from faxline_worker.dispatcher.lost_nodes import BrokerAwayError
from faxline_worker.dispatcher.operator_orders import OperatorOrders
from faxline_worker.dispatcher.schedule import Task
from faxline_worker.observability.pulse import Loop
from faxline_worker.receipts.reconciler import count_end
from faxline_worker.state.results import ReconcileLock, TimerRun
from faxline_worker.wakeups.actors import Wakes

Work: TypeAlias = Callable[[str], float | None]
"""Does a task for an account and returns in how many seconds to do it again; None: when it is scheduled."""

OF_FAXES = (Task.PLAN_WAKEUPS, Task.WAKE, Task.POLL)
"""What is not done for an account that is drained."""


class Timers:
    """Does the tasks of the schedule.

    Args:
        context: the dispatcher.
        orders: carries out operators' orders.
        wakes: sends the Dramatiq messages.
        sweep: seconds between two looks at an account for which nothing was scheduled.
        wake_lease: seconds after which a wake-up that no actor took is sent again.
    """

    def __init__(
        self,
        context: DispatcherContext,
        orders: OperatorOrders,
        wakes: Wakes,
        *,
        sweep: float,
        wake_lease: float,
    ) -> None:
        self._context = context
        self._stores = context.stores
        self._schedule = context.schedule
        self._wakes = _Broker(wakes)
        self._sweep = sweep
        self._wake_lease = wake_lease
        self._noted: set[str] = set()
        """The accounts of which it is noted that they are drained."""
        self._by_task: dict[str, Work] = {
            Task.RUN_TIMERS: self.run_timers,
            Task.PLAN_WAKEUPS: self.plan_wakeups,
            Task.GATHER_RECEIPTS: self._gather_receipts,
            Task.CHECK_RECEIPTS: self._check_receipts,
            Task.ORDERS: orders.carry_out,
            Task.TIDY: self._tidy,
            Task.CHECK_STREAMS: self._check_streams,
            Task.POLL: self._poll,
        }

    def run(self, loop: Loop) -> None:
        """Do the next task, if one is due within BLOCK seconds.

        Raises:
            redis.RedisError: Redis is away or refuses. The task stays on the schedule. If only a node of a
                cluster does, the tasks of its accounts wait, and nothing is raised.
        """
        item = self._schedule.next(BLOCK)
        if item is None:
            loop.well()
            return
        task, account, *more = item
        if account not in self._stores or (task in OF_FAXES and not self._stores.takes_faxes(account)):
            return  # the listener schedules it anew once the account is back
        lost = self._context.lost
        if task != Task.WAKE and (rest := lost.rest(account)):
            self._schedule.add(item, rest)
            loop.beat()
            return
        try:
            if task == Task.WAKE:
                self._wakes.submit(account, more[0])
            else:
                again = self._by_task[task](account)
                if again is not None:
                    self._schedule.add(item, again)
        except BaseException as error:
            if task != Task.WAKE:  # a wake-up that could not be sent runs out and is planned anew
                self._schedule.add(item, PAUSE)
            if not isinstance(error, Exception) or task == Task.WAKE or not lost.lost(account, error):
                raise
            loop.beat()
            return
        loop.well()

    def run_timers(self, account: str) -> float:
        """Move on what is due; seconds until the next run."""
        step = self._context.clock_steps.get(account, 0.0)
        run = self._stores[account].timers.run(step=step)
        if step:
            self._context.clock_steps.pop(account, None)
        if run.newer:
            self._stores[account].schema.check()
        for wanted, task in (
            (run.ready, Task.PLAN_WAKEUPS),
            (run.match, Task.CHECK_RECEIPTS),
            (run.poll, Task.POLL),
        ):
            if wanted:
                self._schedule.add((task, account))
        self._count(account, run)
        return run.next

    def _count(self, account: str, run: TimerRun) -> None:
        metrics, log = self._context.metrics, self._context.log
        for change in run.changes:
            if change.event == "fax.failed":
                metrics.outcome(account, "failed")
                metrics.failure(account, "submission", None, change.reason)
            elif change.event == "fax.unconfirmed":
                metrics.outcome(account, "unconfirmed")
            log.info(change.event, account=account, job=change.job, reason=change.reason)
        for job, receipt in run.failures:
            count_end(metrics, account, receipt)
            log.info("held failure applied", account=account, job=job, jobId=receipt["job_id"])

    def plan_wakeups(self, account: str) -> float:
        """Send the wake-ups that are due and schedule the next ones; seconds until the next plan."""
        plan = self._stores[account].timers.plan_wakeups()
        at_once = [token for token, wait in plan.wakes if wait <= 0]
        for token, wait in plan.wakes:
            if wait > 0:
                self._schedule.add((Task.WAKE, account, token), wait)
        if at_once:
            self._wakes.submit(account, *at_once)
        # Never later than a sweep: the clock that the plan went by may step.
        return self._sweep if plan.next is None else min(plan.next, self._sweep)

    def _poll(self, account: str) -> float | None:
        """Let due status questions into the ready set. Workers are woken for them as for any call."""
        polled = self._stores[account].timers.poll()
        if polled.asked:
            self._schedule.add((Task.PLAN_WAKEUPS, account))
        return polled.next

    def _gather_receipts(self, account: str) -> None:
        """Receipts came: send a `reconcile` message unless one is on its way."""
        if self._stores[account].receipts.lock_reconcile_on_news():
            self._wakes.reconcile(account)
        self._schedule.add((Task.CHECK_RECEIPTS, account), self._wake_lease)

    def _check_receipts(self, account: str) -> float | None:
        """Receipts may wait although nobody works on them, or be due to meet the doubts."""
        lock = self._stores[account].receipts.try_lock_reconcile()
        if lock is ReconcileLock.LOCKED:
            self._wakes.reconcile(account)
        return None if lock is ReconcileLock.NONE else self._wake_lease

    def _tidy(self, account: str) -> float:
        self._stores[account].maintenance.tidy()
        if account in self._stores.draining:
            self._check_drained(account)
        else:
            self._noted.discard(account)
        return self._sweep

    def _check_drained(self, account: str) -> None:
        """Take an account that is drained off the list once none of its faxes is under way.

        All processes then forget it (`LiveAccounts.listed`).
        """
        store = self._stores[account]
        state = store.state()
        entries: Any = self._context.client.xlen(store.keys.intake)
        left = any(state.jobs.get(name) for name in UNDER_WAY) or bool(state.receipt_wait)
        waiting = state.jobs.get("queued", 0) + entries
        self._context.lost.attempt(ACCOUNTS, lambda: self._note_drained(account, left, waiting))

    def _note_drained(self, account: str, left: bool, waiting: int) -> None:
        context, accounts = self._context, self._context.accounts
        if left or account not in self._noted:  # each time: a failover may lose the note
            accounts.drain(account)
            self._noted.add(account)
        if left or not context.drained(account):
            return
        if accounts.leave(account):
            context.log.info("no fax of the removed account is under way", account=account, count=waiting)
        if self._stores.takes_faxes(account):  # it came back meanwhile
            accounts.serve([account])

    def _check_streams(self, account: str) -> None:
        """Replace a stream that ran out of ids. What was moved counts as new."""
        if self._context.streams.look(account):
            schedule_moved(self._context, account)


class _Broker:
    """Sends wake-ups, and says that it is the broker that is away."""

    def __init__(self, wakes: Wakes) -> None:
        self._wakes = wakes

    def submit(self, account: str, *tokens: str) -> None:
        """Send wake-ups for the jobs of an account."""
        try:
            self._wakes.submit(account, *tokens)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise BrokerAwayError(type(error).__name__) from error

    def reconcile(self, account: str) -> None:
        """Send a wake-up for the receipts of an account."""
        try:
            self._wakes.reconcile(account)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            raise BrokerAwayError(type(error).__name__) from error


def schedule_moved(context: DispatcherContext, account: str) -> None:
    """Schedule what entries that were moved to a new stream may ask for."""
    for task in (Task.PLAN_WAKEUPS, Task.GATHER_RECEIPTS, Task.ORDERS):
        context.schedule.add((task, account))
