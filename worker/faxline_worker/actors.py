"""The two Dramatiq actors. A message says "account X may have work"; the work itself lies in Redis.

Every actor may run twice, late or not at all: `submit` takes what `admit` gives it, `reconcile` what the
status stream holds. Neither retries by Dramatiq: the dispatcher sends a new wake-up where one is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import dramatiq
import redis
import structlog
from dramatiq import Broker

from faxline_worker.reconciling import Reconciler
from faxline_worker.submitting import Submitter

SUBMIT = "submit"
RECONCILE = "reconcile"
QUEUE = "faxline"


@dataclass(frozen=True)
class Wakes:
    """Sends the wake-ups. Arguments of a message are opaque: an account's name and a wake-up's token."""

    broker: Broker

    def submit(self, account: str, token: str) -> None:
        """Wake an actor for one admission."""
        self._send(SUBMIT, account, token)

    def reconcile(self, account: str) -> None:
        """Wake an actor for the receipts of an account."""
        self._send(RECONCILE, account)

    def _send(self, actor: str, *args: str) -> None:
        self.broker.enqueue(
            dramatiq.Message(queue_name=QUEUE, actor_name=actor, args=args, kwargs={}, options={})
        )


def declare_actors(
    broker: Broker,
    submitters: Callable[[str], Submitter],
    reconcilers: Callable[[str], Reconciler],
    log: structlog.stdlib.BoundLogger,
) -> None:
    """Declare `submit` and `reconcile` on a broker.

    Args:
        broker: where the messages come from.
        submitters: the submitter of an account; raises KeyError for an account that is not in the settings.
        reconcilers: likewise for receipts.
        log: told when Redis is away; the dispatcher sends a new wake-up then.
    """

    def submit(account: str, token: str) -> None:
        try:
            submitters(account).turn(token)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            log.warning("Redis is away", account=account, actor=SUBMIT, error=type(error).__name__)

    def reconcile(account: str) -> None:
        try:
            reconcilers(account).turn()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            log.warning("Redis is away", account=account, actor=RECONCILE, error=type(error).__name__)

    dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name=SUBMIT)(submit)
    dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name=RECONCILE)(reconcile)
