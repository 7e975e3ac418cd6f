"""Carries out operators' orders: short ones at once, long-running ones in a thread of their own."""

from collections.abc import Mapping
from functools import partial

import redis

from faxline.contract.orders import MOST_DIGITS, Order
from faxline_worker.dispatcher.context import BLOCK, PAUSE, DispatcherContext
from faxline_worker.dispatcher.long_orders import LongOrderQueue
from faxline_worker.maintenance.long_orders import LEASE, LONG_ORDERS, Maintenance
from faxline_worker.maintenance.outcome import MaintenanceBusyError
from faxline_worker.observability.pulse import Loop
from faxline_worker.receipts.reconciler import count_end
from faxline_worker.state.orders import ORDERS_AT_ONCE, OrderStore
from faxline_worker.state.store import Store

HOW = ("accepted", "resend", "fail")
"""How an operator may settle a doubt."""


class OperatorOrders:
    """Carries out short orders.

    Args:
        context: the dispatcher.
        long_orders: gets the orders that take their time.
    """

    def __init__(self, context: DispatcherContext, long_orders: "LongOrders") -> None:
        self._context = context
        self._long_orders = long_orders
        self._last: dict[str, str] = {}
        """The last order that was read, for accounts where more wait behind it."""

    def carry_out(self, account: str) -> float | None:
        """Carry out some orders; 0 seconds until the next call where more may wait, None where not."""
        store = self._context.stores[account]
        after = self._last.pop(account, "")
        page = store.orders.read(after)
        for entry, fields in page:
            order = fields_of(fields)
            if order.get("order") in LONG_ORDERS:
                self._long_orders.queue.add(account, entry)
                continue
            result = self._carry_out(store, entry, order)
            self._context.log.info("operator's order", account=account, result=result, **_logged(order))
        if len(page) < ORDERS_AT_ONCE:
            return 0.0 if after and not page else None  # the stream may have been replaced
        self._last[account] = page[-1][0]
        return 0.0

    def _carry_out(self, store: Store, entry: str, order: Mapping[str, str]) -> str:
        by, dead, orders = order.get("by", ""), order.get("entry", ""), store.orders
        match order.get("order", ""):
            case "resolve" if is_resolution(order):
                return self._resolve(store, entry, order)
            case "redrive":
                return orders.redrive(entry, dead, by)
            case "drop":
                return orders.drop(entry, dead, by)
            case "ask":
                return orders.ask(entry, order.get("job", ""), by)
            case Order.REVEAL | Order.VISIT as kind:
                if kind == Order.VISIT:
                    self._visit(orders, order)
                return orders.reveal(entry, by)  # a visit names no fax: nothing is noted
            case other:
                return orders.pause_or_resume(entry, other, by, order.get("seen", ""))

    def _visit(self, orders: OrderStore, visit: Mapping[str, str]) -> None:
        """Have the audit of an account that was removed note a reveal. No other order is carried out there.

        Who gave it waits in vain if this fails: no order of this account waits for another's.
        """
        account, entry = visit.get("account", ""), visit.get("entry", "")
        log = self._context.log.bind(account=account, result="gone")
        try:
            others = orders.of(account)
            order = fields_of(others.get(entry) or {})
            if order.get("order") == Order.REVEAL:
                log = log.bind(result=others.reveal(entry, order.get("by", "")))
        except (ValueError, redis.RedisError) as error:
            log = log.bind(result="refused", error=type(error).__name__)
        log.info("order of a removed account", by=visit.get("by", ""))

    def _resolve(self, store: Store, entry: str, order: Mapping[str, str]) -> str:
        account, metrics = store.account, self._context.metrics

        def failed() -> None:
            metrics.outcome(account, "failed")
            metrics.failure(account, "submission", None, "operator")

        return store.orders.resolve(
            *(entry, order.get("job", ""), order["how"], job_id_of(order), order.get("by", "")),
            user=order.get("user", ""),
            attempt=order.get("attempt", ""),
            created_at=order.get("created_at", ""),
            applied=partial(count_end, metrics, account),
            failed=failed,
        )


class LongOrders:
    """Carries out long-running orders, one after the other; the accounts take turns."""

    def __init__(self, context: DispatcherContext) -> None:
        self._context = context
        self.queue = LongOrderQueue()

    def run(self, loop: Loop) -> None:
        """Carry out the next order, if one comes within BLOCK seconds.

        Raises:
            redis.RedisError: Redis is away or refuses. The order stays in the queue.
        """
        loop.well()
        found = self.queue.take(BLOCK)
        if found is None:
            return
        account, entry = found
        try:
            self._carry_out(account, entry, loop)
        except MaintenanceBusyError:  # later: has the dispatcher that began it carried it out?
            self.queue.later(account, entry, LEASE / 3)
        except BaseException:
            self.queue.later(account, entry, PAUSE)
            raise
        else:
            self.queue.done(account, entry)

    def _carry_out(self, account: str, entry: str, loop: Loop) -> None:
        context = self._context
        if account not in context.stores:
            return
        store = context.stores[account]
        fields = store.orders.get(entry)
        if fields is None:  # another dispatcher carried it out
            return
        order, log = fields_of(fields), context.log.bind(account=account)
        if store.orders.is_repeat(order):  # it is answered as the first one was
            result = store.maintenance.complete_order(entry, order, "gone", {}, context.consumer)
        else:
            maintenance = Maintenance(store, log, context.consumer, context.stopping.is_set, loop.beat)
            result = maintenance.carry_out(entry, order)
        context.log.info("operator's order", account=account, result=result, **_logged(order))


def fields_of(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """The fields of an order as text, each cut to 128 characters."""
    return {name.decode("utf-8", "replace"): fields[name].decode("utf-8", "replace")[:128] for name in fields}


def is_resolution(order: Mapping[str, str]) -> bool:
    """Whether an order says how a doubt is settled: by a jobId where it needs one."""
    how, seen = order.get("how"), (order.get("attempt", "0"), order.get("created_at", "0"))
    return (
        how in HOW
        and (how != "accepted" or bool(job_id_of(order)))
        and all(one.isascii() and one.isdigit() for one in seen)
    )


def job_id_of(order: Mapping[str, str]) -> str:
    """The iFax jobId of an order without leading zeros, which JSON does not allow; "" if it has none."""
    digits = order.get("jobId", "")
    return str(int(digits)) if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS else ""


def _logged(order: Mapping[str, str]) -> dict[str, str | None]:
    return {
        "order": order.get("order", "")[:16],
        "by": order.get("by", ""),
        "job": order.get("job") or None,
        "how": order.get("how") or None,
    }
