"""The end of a worker: no turn begins any more, and the wake-ups that wait here go to other processes."""

from typing import Any

import redis
from dramatiq import Broker
from dramatiq.middleware import Middleware

from faxline_worker.wakeups.account_concurrency import AccountConcurrency
from faxline_worker.wakeups.actors import Wakes
from faxline_worker.wakeups.broker import WakeBroker


class Shutdown(Middleware):
    """Runs when `dramatiq.Worker.stop` begins, which then waits for the calls under way.

    Args:
        broker: takes no message from then on.
        slots: let no turn begin from then on.
        wakes: sends the wake-ups that waited for a slot to other processes.
        log: says that the worker ends.
    """

    def __init__(self, broker: WakeBroker, slots: AccountConcurrency, wakes: Wakes, log: Any) -> None:
        self._broker = broker
        self._slots = slots
        self._wakes = wakes
        self._log = log

    def before_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        """Take no wake-up from now on, and pass on those that wait here."""
        del broker, worker
        self._broker.stop_taking()
        waited = self._slots.close()
        self._log.info("worker ends: calls under way are finished, no other begins", count=len(waited))
        try:
            for account, token in waited:
                self._wakes.submit(account, token)
        except redis.RedisError as error:  # the dispatcher sends them again
            self._log.warning("Redis is away", error=type(error).__name__)
