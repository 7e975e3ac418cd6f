"""Operators' orders: a word on the account's orders stream, which a dispatcher carries out."""

import time
from enum import StrEnum
from functools import partial
from typing import Any

from faxline.errors import OrderTimeout
from faxline.keys import AccountKeys
from faxline.replies import asked, entries_of

_LOOK = 0.5
"""Seconds between two looks while the doorbell is silent: an order that changes nothing does not ring."""


class Order(StrEnum):
    """What an operator can order."""

    PAUSE = "pause"
    RESUME = "resume"


def give_order(
    client: Any, keys: AccountKeys, order: Order, by: str, *, timeout: float, longest: float
) -> None:
    """Give an order and wait until a dispatcher has carried it out.

    It leaves the stream in the script that carries it out, so its absence is the proof; the doorbell, which
    most orders ring, tells when to look.

    Args:
        client: a client with bytes replies.
        keys: the account's.
        order: what to do.
        by: who orders it, for the log.
        timeout: seconds to wait.
        longest: seconds that one read of the client may block.

    Raises:
        OrderTimeout: no dispatcher carried it out in time.
        QueueUnavailable: Redis did not answer.
    """
    newest = asked(lambda: client.xrevrange(keys.doorbell, count=1))
    rung: Any = newest[0][0] if newest else "0-0"  # from before the order, so that its ring is heard
    entry = asked(lambda: client.xadd(keys.orders, {"order": str(order), "by": by})).decode()
    until = time.monotonic() + timeout
    while asked(lambda: client.xrange(keys.orders, entry, entry, count=1)):
        left = until - time.monotonic()
        if left <= 0:
            raise OrderTimeout(
                f"no dispatcher carried out '{order}' for account {keys.account!r} within {timeout:g} s; "
                "the order stays, and one that runs for this account will carry it out"
            )
        block = max(1, round(min(left, longest, _LOOK) * 1000))
        reply = asked(partial(client.xread, {keys.doorbell: rung}, block=block))
        for ring, _ in entries_of(reply):
            rung = ring
