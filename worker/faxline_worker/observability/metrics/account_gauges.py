"""What a dispatcher reads in Redis about each account: its limits, and why it makes no calls."""

from functools import partial
from typing import get_args

from prometheus_client import CollectorRegistry

from faxline_worker.observability.metrics.account_labels import AccountLabels
from faxline_worker.observability.metrics.families import TAKE_MAX, gauge
from faxline_worker.observability.metrics.labels import ClosedFor, Limit


class AccountGauges:
    """What a dispatcher reads in Redis about each account: its limits, and why it makes no calls."""

    def __init__(self, registry: CollectorRegistry, accounts: AccountLabels) -> None:
        made = partial(gauge, registry, account=accounts)
        self._used = made("fax_limit_used", f"Use of a limit of iFax{TAKE_MAX}", limit=get_args(Limit))
        self._capacity = made(
            "fax_limit_capacity",
            f"Capacity of a limit of iFax, as now in effect; 0 if the limit is off{TAKE_MAX}",
            limit=get_args(Limit),
        )
        self._polls_used = made(
            "fax_polls_used", f"Status polls that count against polling's share of the requests{TAKE_MAX}"
        )
        self._polls_capacity = made(
            "fax_polls_capacity",
            f"Status polls in a window that polling's share allows; 0 if none is scheduled{TAKE_MAX}",
        )
        self._closed = made(
            "fax_account_closed",
            f"1 while the account makes no calls but single probes, for this reason; else 0{TAKE_MAX}",
            reason=get_args(ClosedFor),
        )
        self._paused = made("fax_account_paused", f"1 while the account is paused, else 0{TAKE_MAX}")
        self._rolled_back = made(
            "fax_state_rolled_back",
            f"1 while the account is paused because Redis went back to an older state, else 0{TAKE_MAX}",
        )
        self._draining = made(
            "fax_account_draining_seconds",
            f"Seconds since the account's folder was removed, while its faxes end; else 0{TAKE_MAX}",
        )
        self._settings_differ = made(
            "fax_settings_differ",
            f"Settings that differ between the account's running processes; the strictest apply{TAKE_MAX}",
        )

    def set_limit(self, account: str, limit: Limit, used: float, capacity: float) -> None:
        """Set how much of a limit is used, and its capacity."""
        self._used.labels(account, limit).set(used)
        self._capacity.labels(account, limit).set(capacity)

    def set_polls(self, account: str, used: float, capacity: float) -> None:
        """Set how much of polling's share of the requests is used."""
        self._polls_used.labels(account).set(used)
        self._polls_capacity.labels(account).set(capacity)

    def set_closed(self, account: str, reason: str) -> None:
        """Set why the account makes no calls; "" if it makes calls."""
        known = get_args(ClosedFor)
        label = reason if not reason or reason in known else "other"
        for each in known:
            self._closed.labels(account, each).set(each == label)

    def set_paused(self, account: str, paused: bool) -> None:
        """Set whether the account is paused."""
        self._paused.labels(account).set(paused)

    def set_rolled_back(self, account: str, rolled_back: bool) -> None:
        """Set whether the account is paused because Redis went back."""
        self._rolled_back.labels(account).set(rolled_back)

    def set_draining(self, account: str, seconds: float) -> None:
        """Set for how long the account has been drained; 0 if it is not."""
        self._draining.labels(account).set(seconds)

    def set_settings_differ(self, account: str, n: int) -> None:
        """Set the number of settings in which the account's processes differ."""
        self._settings_differ.labels(account).set(n)
