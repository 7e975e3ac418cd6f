"""How a long-running order ends: with a reply, or later."""

from typing import Any

Outcome = tuple[str, dict[str, Any]]
"""The result of an order, and what else the reply says."""


class MaintenanceBusyError(Exception):
    """An order stays: another dispatcher works on the account, or this one is to stop."""
