"""Carries out long-running orders in small steps: erasure, key rotation, recovery.

At the end, the reply is stored and the order leaves its stream. If the dispatcher dies before, another one
begins the order again and finds less to do.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from faxline.contract.orders import Order
from faxline.contract.texts import clean_actor
from faxline_worker.maintenance.erasure import Erasure
from faxline_worker.maintenance.outcome import MaintenanceBusyError
from faxline_worker.maintenance.recovery import recover
from faxline_worker.maintenance.rotation import Rotation
from faxline_worker.state.store import Store

LONG_ORDERS = frozenset({Order.FORGET, Order.ROTATE, Order.KEYS, Order.RECOVER})
"""The orders that are carried out in a thread of their own."""
LEASE = 30.0
"""Seconds after which an unrenewed lock on the maintenance of an account runs out."""


@dataclass
class Maintenance:
    """Carries out the long-running orders of one account.

    Args:
        store: the state of the account.
        log: gets the progress.
        who: this dispatcher, unique among those that run.
        stopping: whether the dispatcher is to stop; the order then stays for the next one.
        beat: called between steps.
    """

    store: Store
    log: structlog.typing.FilteringBoundLogger
    who: str
    stopping: Callable[[], bool] = lambda: False
    beat: Callable[[], None] = lambda: None
    _said: float = field(default=0.0, init=False)

    def carry_out(self, entry: str, order: Mapping[str, str]) -> str:
        """Carry out one order. Returns its result, or gone.

        Raises:
            MaintenanceBusyError: another dispatcher has the lock, a process has not yet compared its actions
                with the state, or this dispatcher is to stop. The order stays.
            redis.RedisError: Redis is away or refuses the command. The order stays.
        """
        self._said = 0.0
        self._go_on()
        erasure = Erasure(self.store, self._go_on)
        match order.get("order"):
            case Order.FORGET if order.get("number"):
                result, reply = erasure.forget_number(order["number"])
            case Order.FORGET:
                result, reply = erasure.forget(order.get("job", ""))
            case Order.ROTATE:
                result, reply = Rotation(self.store, self.log, self._go_on).rotate()
            case Order.RECOVER:
                by = clean_actor(order.get("user"), order.get("by"))
                result, reply = recover(self.store, self.log, by, self._go_on)
            case _:
                result, reply = "done", {"sealed": self.sealed()}
        return self.store.maintenance.complete_order(entry, order, result, reply, self.who)

    def _go_on(self) -> None:
        """Renew the lock now and then, and stop if the dispatcher is to stop."""
        self.beat()
        if self.stopping():
            raise MaintenanceBusyError
        if time.monotonic() - self._said > LEASE / 6:
            if not self.store.maintenance.lock(self.who, LEASE):
                raise MaintenanceBusyError
            self._said = time.monotonic()

    def sealed(self) -> dict[str, dict[str, int]]:
        """Count the values of each kind by the id of their sealing key; "" counts those in clear."""
        return Rotation(self.store, self.log, self._go_on).sealed()
