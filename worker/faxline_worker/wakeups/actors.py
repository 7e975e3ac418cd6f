"""The two Dramatiq actors. A message says "account X may have work"; the work itself is in Redis.

An actor may run twice, late or not at all: `submit` takes what `admit` gives it, `reconcile` what is on the
status stream. Dramatiq's retries are off, because the dispatcher sends a new wake-up when one is needed.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import dramatiq
import redis
from structlog.typing import FilteringBoundLogger

from faxline.steps.redis_errors import trouble
from faxline_worker.observability.pulse import Loops, Pool
from faxline_worker.receipts.reconciler import Reconciler
from faxline_worker.state.redis_clients import unserved
from faxline_worker.submission.standing import PASSES, REST, Standing
from faxline_worker.submission.submitter import Submitter
from faxline_worker.wakeups.account_concurrency import AccountConcurrency, Slot
from faxline_worker.wakeups.broker import WakeBroker, send

SUBMIT = "submit"
RECONCILE = "reconcile"
QUEUE = "faxline"


@dataclass(frozen=True)
class Wakes:
    """Sends wake-ups. A message holds an account's name and a token, and no data of a fax."""

    broker: WakeBroker
    who: str = ""
    """The name of this process, by which it recognises wake-ups that it passed on."""

    def submit(self, account: str, *tokens: str) -> None:
        """Send a wake-up for each token."""
        send(self.broker, QUEUE, SUBMIT, *((account, token) for token in tokens))

    def pass_on(self, account: str, token: str, by: tuple[str, ...]) -> None:
        """Send a wake-up on to another process.

        Args:
            account: the account's name.
            token: the wake-up's token.
            by: the processes that passed it on so far.
        """
        send(self.broker, QUEUE, SUBMIT, (account, token, " ".join(by)))

    def reconcile(self, account: str) -> None:
        """Wake an actor for the receipts of an account."""
        send(self.broker, QUEUE, RECONCILE, (account,))


def passed_on(wakes: Wakes, standing: Standing, account: str, token: str, by: tuple[str, ...]) -> bool:
    """Pass a wake-up on to another process, unless this one takes it.

    Args:
        wakes: sends wake-ups, and names this process.
        standing: decides whether this process takes it.
        account: the account's name.
        token: the wake-up's token.
        by: the processes that passed it on so far.

    Returns:
        Whether it was passed on.

    Raises:
        redis.RedisError: the wake-up could not be sent. The dispatcher sends a new one.
    """
    count = by.count(wakes.who)
    if standing.takes(count):
        return False
    if standing.away is not None:
        time.sleep(REST)
    wakes.pass_on(account, token, (*by, wakes.who) if count < PASSES else by)
    return True


def declare_actors(
    broker: WakeBroker,
    submitters: Callable[[str], Submitter | None],
    reconcilers: Callable[[str], Reconciler | None],
    slots: AccountConcurrency,
    log: FilteringBoundLogger,
    *,
    who: str = "",
    busy: Callable[[], AbstractContextManager[None]] = nullcontext,
    threads: Pool | None = None,
) -> None:
    """Declare `submit` and `reconcile` on a broker.

    Args:
        broker: the broker that the messages come from.
        submitters: returns an account's submitter; None if this process submits nothing for the account. The
            dispatcher sends a wake-up again if no process took it.
        reconcilers: returns an account's reconciler, likewise.
        slots: shares the threads among the accounts.
        log: the worker's logger.
        who: the name of this process.
        busy: a context in which a thread works.
        threads: the pool whose threads beat while they work.
    """
    turns = _Turns(
        *(submitters, reconcilers, slots, log),
        wakes=Wakes(broker, who),
        busy=busy,
        pool=threads or Loops().pool("threads", 0.0),
    )

    # A newer version may send more arguments.
    def submit(account: str, token: str, passed: str = "", *_: object, **__: object) -> None:
        turns.submit(account, token, tuple(passed.split()))

    def reconcile(account: str, *_: object, **__: object) -> None:
        turns.reconcile(account)

    dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name=SUBMIT)(submit)
    dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name=RECONCILE)(reconcile)


@dataclass(frozen=True)
class _Turns:
    """What the actors do."""

    submitters: Callable[[str], Submitter | None]
    reconcilers: Callable[[str], Reconciler | None]
    slots: AccountConcurrency
    log: FilteringBoundLogger
    wakes: Wakes
    busy: Callable[[], AbstractContextManager[None]]
    pool: Pool

    def submit(self, account: str, token: str, by: tuple[str, ...]) -> None:
        """Submit in the account's slot, and in that of wake-ups that waited for it."""
        slot = self.slots.take(account, token)
        if slot is Slot.CLOSED:
            self._guarded(SUBMIT, account, lambda: self.wakes.submit(account, token))  # for another process
        wake = token if slot is Slot.TAKEN else None
        while wake is not None:
            try:
                self._guarded(SUBMIT, account, partial(self._work, account, wake, by))
            finally:
                wake, by = self.slots.leave(account), ()

    def reconcile(self, account: str) -> None:
        """Apply receipts of the account."""
        self._guarded(RECONCILE, account, lambda: self._receive(account))

    def _work(self, account: str, wake: str, by: tuple[str, ...]) -> None:
        submitter = self.submitters(account)
        if submitter is not None and not passed_on(self.wakes, submitter.standing, account, wake, by):
            submitter.turn(wake)

    def _receive(self, account: str) -> None:
        if (reconciler := self.reconcilers(account)) is not None:
            reconciler.turn()

    def _guarded(self, actor: str, account: str, turn: Callable[[], None]) -> None:
        try:
            with self.busy(), self.pool.working():
                turn()
            self.pool.well()
        except redis.RedisError as error:
            if not unserved(error):
                raise
            self.pool.failed()
            self.log.warning("Redis is away", account=account, actor=actor, error=trouble(error))
