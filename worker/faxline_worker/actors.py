"""The two Dramatiq actors. A message says "account X may have work"; the work itself lies in Redis.

Every actor may run twice, late or not at all: `submit` takes what `admit` gives it, `reconcile` what the
status stream holds. Neither retries by Dramatiq: the dispatcher sends a new wake-up where one is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass

import dramatiq
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
    broker: Broker, submitters: Callable[[str], Submitter], reconcilers: Callable[[str], Reconciler]
) -> None:
    """Declare `submit` and `reconcile` on a broker.

    Args:
        broker: where the messages come from.
        submitters: the submitter of an account; raises KeyError for an account that is not in the settings.
        reconcilers: likewise for receipts.
    """

    def submit(account: str, token: str) -> None:
        submitters(account).turn(token)

    def reconcile(account: str) -> None:
        reconcilers(account).turn()

    dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name=SUBMIT)(submit)
    dramatiq.actor(broker=broker, queue_name=QUEUE, actor_name=RECONCILE)(reconcile)
