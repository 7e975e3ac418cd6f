"""Ends a worker: no further turn begins, and wake-ups that wait here go to other processes."""

from typing import Any

import redis
from dramatiq import Broker
from dramatiq.middleware import Middleware

from faxline.steps.redis_errors import trouble
from faxline_worker.wakeups.account_concurrency import AccountConcurrency
from faxline_worker.wakeups.actors import Wakes
from faxline_worker.wakeups.broker import WakeBroker


class Shutdown(Middleware):
    """Runs when `dramatiq.Worker.stop` begins, before it waits for the calls under way.

    Args:
        broker: the worker's broker, which then takes no message.
        slots: the worker's slots, which are then closed.
        wakes: sends the wake-ups that waited for a slot to other processes.
        log: the worker's logger.
    """

    def __init__(self, broker: WakeBroker, slots: AccountConcurrency, wakes: Wakes, log: Any) -> None:
        self._broker = broker
        self._slots = slots
        self._wakes = wakes
        self._log = log

    def before_worker_shutdown(self, broker: Broker, worker: Any) -> None:
        """Take no further wake-up, and pass on those that wait here."""
        del broker, worker
        self._broker.stop_taking()
        waited = self._slots.close()
        self._log.info("worker stops: finishing the calls under way", count=len(waited))
        try:
            for account, token in waited:
                self._wakes.submit(account, token)
        except redis.RedisError as error:  # the dispatcher sends them again
            self._log.warning("Redis is away", error=trouble(error))
