"""What the tests of the daemon's parts have in common."""

import pytest

from faxline_worker.dispatcher import account_listener, intake_threads, listener, operator_orders, timers


@pytest.fixture(autouse=True)
def a_dispatcher_stops_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the reads of a dispatcher: it stops when the one it is in ends."""
    for module in (account_listener, intake_threads, listener, operator_orders, timers):
        monkeypatch.setattr(module, "BLOCK", 0.1)
