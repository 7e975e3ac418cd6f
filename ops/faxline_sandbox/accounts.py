"""The state of each account in the sandbox: its limits, its balance and its counts."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from faxline_sandbox.answers import Refusal
from faxline_sandbox.config import Account, Limits
from faxline_sandbox.limits import LIMIT_NAMES, Excess, LimitKeeper


@dataclass
class WebhookCounts:
    """Counts of an account's webhooks.

    Args:
        sent: faxes whose webhook the receiver took.
        failed: faxes whose webhook was given up after the last retry.
        lost: faxes whose webhook was lost on purpose.
        pending: ended faxes whose webhook is none of these yet.
        tries: requests made.
    """

    sent: int = 0
    failed: int = 0
    lost: int = 0
    pending: int = 0
    tries: int = 0


class Customer:
    """An account while the sandbox runs.

    Args:
        account: its configuration.
        limits: its limits.
    """

    def __init__(self, account: Account, limits: Limits) -> None:
        self.account = account
        self.balance = account.balance
        self.accepted = 0
        self.canceled = 0
        self.line_busy = 0
        self.refused: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.webhooks = WebhookCounts()
        self._keeper = LimitKeeper(limits)
        self._arrivals: list[_Arrival] = []

    @property
    def label(self) -> str:
        """The account's name."""
        return self.account.label

    def arrive(self, at: int, call: str) -> Excess | None:
        """Judge a request against the limits, see `LimitKeeper.arrive`."""
        excess = self._keeper.arrive(at)
        self._arrivals.append(_Arrival(time.time(), None if excess is None else excess.limit, call))
        return excess

    def leave(self) -> None:
        """End an admitted request."""
        self._keeper.leave()

    def refuse_unknown(self) -> None:
        """Count a request without a valid token."""
        self._arrivals.append(_Arrival(time.time(), None))

    def pay(self, pages: int) -> None:
        """Take the pages of a fax from the balance.

        Raises:
            Refusal: -3002, the balance is too small.
        """
        if self.balance is not None:
            if pages > self.balance:
                raise Refusal(f"{pages} pages, the balance is {self.balance}", code=-3002)
            self.balance -= pages

    def refund(self, pages: int) -> None:
        """Put the pages of a canceled fax back."""
        if self.balance is not None:
            self.balance += pages

    def arrivals(self) -> list[dict[str, Any]]:
        """Every request by its Unix time `at`, with its `call` and the `limit` it broke or None."""
        return [vars(arrival).copy() for arrival in self._arrivals]

    def stats(self) -> dict[str, Any]:
        """The account's statistics for the control page."""
        broken = Counter(arrival.limit for arrival in self._arrivals)
        return {
            "requests": len(self._arrivals),
            "calls": dict(Counter(arrival.call for arrival in self._arrivals if arrival.call)),
            "accepted": self.accepted,
            "canceled": self.canceled,
            "line_busy": self.line_busy,
            "refused": dict(self.refused),
            "rate_limited": {name: broken[name] for name in LIMIT_NAMES},
            "faults": dict(self.faults),
            "max_concurrent": self._keeper.max_concurrent,
            "max_in_window": self._keeper.max_in_window,
            "webhooks": vars(self.webhooks).copy(),
            "balance": self.balance,
        }


@dataclass(frozen=True)
class _Arrival:
    at: float
    limit: str | None = field(default=None)
    call: str = ""
