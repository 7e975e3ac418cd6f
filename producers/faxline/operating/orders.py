"""Give an order: add it to the account's orders stream and wait until a dispatcher carries it out."""

import hashlib
import json
import secrets
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from faxline.contract.errors import OrderTimeout, OrderUnknown
from faxline.contract.orders import Order
from faxline.steps.commands import Command, Context, Deadline, Steps
from faxline.steps.redis_errors import entries_of
from faxline.steps.redis_user import redis_user


def issue_order(
    context: Context, order: Order, by: str, timeout: float, token: str | None = None, **more: str
) -> Steps[dict[str, str]]:
    """Give an order and wait until a dispatcher has carried it out.

    The dispatcher's script writes the reply to a stream of its own, which is read and not consumed. So no
    reply is lost with a connection. If the reply to the order's own XADD is lost, it is added once more: its
    token tells the dispatcher that both are one order, so the second is answered as the first.

    Args:
        context: of the line.
        order: what to do.
        by: who orders it, for the audit.
        timeout: seconds to wait.
        token: of orders with one token, the first that does something is carried out, for an hour; the
            others are answered as it was. None: no other order has it.
        more: further members of the order.

    Returns:
        The reply: `result`, and what else the script returns.

    Raises:
        OrderTimeout: no dispatcher carried it out in time.
        OrderUnknown: the dispatcher does not know the order.
    """
    keys = context.keys
    until = time.monotonic() + timeout
    yield Deadline(until)
    user = yield from redis_user()
    word = {"order": str(order), **more, "by": by, "user": user, "token": token or new_token()}
    entry = yield from add_order(context, word)
    while True:
        left = until - time.monotonic()
        block = context.block(left)
        look = partial(_look, key=keys.reply(entry), block=block)
        for _, fields in entries_of((yield Command(look, blocks=block / 1000))):
            reply = {name.decode(): value.decode() for name, value in fields.items()}
            if reply["result"] == "unknown":
                raise OrderUnknown(
                    f"the dispatcher does not know '{order}' as it was ordered, so nothing was done: its "
                    "version is older; upgrade the dispatchers first"
                )
            return reply
        if left <= 0:
            raise OrderTimeout(
                f"no dispatcher carried out '{order}' for account {keys.account!r} within {timeout:g} s; "
                "the order stays, and one that runs for this account will carry it out"
            )


def add_order(context: Context, word: Mapping[str, str]) -> Steps[str]:
    """Add an order without waiting for it, and return its entry. Of a removed account another one is told."""
    keys = context.keys
    entry: str = (yield Command(lambda client: client.xadd(keys.orders, word))).decode()
    if context.visit:
        visit = {"order": str(Order.VISIT), "account": keys.account, "entry": entry, "by": word["by"]}
        visit |= {"user": word["user"], "token": new_token()}
        yield Command(lambda client: client.xadd(context.visit, visit))
    return entry


def new_token() -> str:
    """A name for an order that no other has."""
    return secrets.token_hex(16)


def token_of(*parts: object) -> str:
    """The token of an order that stays one order, however often it is given.

    Example:
        >>> token_of("resolve", "invoice-77", 1, "resend")
        'd228c794bbcd9c38e48c0e212e342aad'
    """
    return hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:32]


def _look(client: Any, *, key: str, block: int) -> Any:
    return client.xread({key: "0"}, count=1, block=block)
