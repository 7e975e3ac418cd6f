"""What a webhook process remembers of the webhooks that it refused, for its heartbeat and so for the doctor.

The process may write nothing to Redis but receipts and its heartbeat (ops/redis/users.acl), so it goes there.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from faxline_worker.ifax.webhook_access import Refusal

TOLD = 20
"""Accounts of which a heartbeat tells at the most: those that were refused last."""


@dataclass
class _Account:
    reason: Refusal | None = None
    count: int = 0
    refused_at: float = 0.0
    let_in_at: float | None = None


class RefusedWebhooks:
    """Of each account, the refusals since a webhook was let in. Thread-safe.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}

    def refused(self, account: str, reason: Refusal) -> None:
        """A webhook of a configured account was refused."""
        with self._lock:
            known = self._accounts.setdefault(account, _Account())
            known.reason, known.count, known.refused_at = reason, known.count + 1, self._clock()

    def let_in(self, account: str) -> None:
        """A webhook proved that it is iFax's."""
        with self._lock:
            self._accounts[account] = _Account(let_in_at=self._clock())

    def told(self) -> Mapping[str, Any]:
        """As a heartbeat tells it: seconds ago, and where there is something to tell."""
        now = self._clock()
        with self._lock:
            last = sorted(
                self._accounts.items(), key=lambda one: -max(one[1].refused_at, one[1].let_in_at or 0)
            )
            accounts = {
                name: {
                    "reason": known.reason,
                    "count": known.count,
                    "ago": round(now - known.refused_at, 1) if known.reason else None,
                    "let_in": round(now - known.let_in_at, 1) if known.let_in_at is not None else None,
                }
                for name, known in last[:TOLD]
            }
        return {"webhooks": accounts} if accounts else {}
