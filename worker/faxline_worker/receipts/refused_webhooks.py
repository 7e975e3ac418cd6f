"""Remembers which webhooks a process refused. Its heartbeat carries this to `faxline doctor`.

The process may write only receipts and its heartbeat to Redis (ops/redis/users.acl).
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faxline_worker.ifax.webhook_access import Refusal

SHOWN = 20
"""The most accounts in a heartbeat: those with the latest webhooks."""


@dataclass
class _Account:
    reason: Refusal | None = None
    count: int = 0
    refused_at: float = 0.0
    let_in_at: float | None = None


class RefusedWebhooks:
    """The refusals of each account since its last accepted webhook. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._accounts: dict[str, _Account] = {}

    def refused(self, account: str, reason: Refusal) -> None:
        """Note that a webhook of a configured account was refused."""
        with self._lock:
            known = self._accounts.setdefault(account, _Account())
            known.reason, known.count, known.refused_at = reason, known.count + 1, time.monotonic()

    def let_in(self, account: str) -> None:
        """Note that a webhook was proved to be iFax's."""
        with self._lock:
            self._accounts[account] = _Account(let_in_at=time.monotonic())

    def heartbeat_fields(self) -> Mapping[str, Any]:
        """The heartbeat's member `webhooks`, with times in seconds ago; empty if there is nothing to say."""
        now = time.monotonic()
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
                for name, known in last[:SHOWN]
            }
        return {"webhooks": accounts} if accounts else {}
