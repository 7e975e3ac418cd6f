"""Operators' orders: a word on the account's orders stream, which a dispatcher carries out."""

import time
from enum import StrEnum
from functools import partial
from typing import Any

from faxline.errors import OrderTimeout
from faxline.keys import AccountKeys
from faxline.replies import asked, entries_of


class Order(StrEnum):
    """What an operator can order."""

    PAUSE = "pause"
    RESUME = "resume"
    RESOLVE = "resolve"
    REDRIVE = "redrive"


def give_order(
    client: Any, keys: AccountKeys, order: Order, by: str, *, timeout: float, longest: float, **more: str
) -> dict[str, str]:
    """Give an order and wait until a dispatcher has carried it out.

    The script that carries it out says what became of it in a stream of its own, which is read and not
    consumed, so that an answer of Redis that is lost on its way is no lost reply.

    Args:
        client: a client with bytes replies.
        keys: the account's.
        order: what to do.
        by: who orders it, for the log.
        timeout: seconds to wait.
        longest: seconds that one read of the client may block.
        more: the order's further members.

    Returns:
        The reply: `result`, and what else the order's script tells.

    Raises:
        OrderTimeout: no dispatcher carried it out in time.
        QueueUnavailable: Redis did not answer, or is full.
    """
    word = {"order": str(order), **more, "by": by}
    entry = asked(lambda: client.xadd(keys.orders, word)).decode()
    until = time.monotonic() + timeout
    while True:
        left = until - time.monotonic()
        block = max(1, round(min(left, longest) * 1000))
        reply = asked(partial(client.xread, {keys.reply(entry): "0"}, count=1, block=block))
        for _, fields in entries_of(reply):
            return {name.decode(): value.decode() for name, value in fields.items()}
        if left <= 0:
            raise OrderTimeout(
                f"no dispatcher carried out '{order}' for account {keys.account!r} within {timeout:g} s; "
                "the order stays, and one that runs for this account will carry it out"
            )
