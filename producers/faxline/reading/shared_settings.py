"""What the processes of an account offer: the settings by which each works. The strictest holds for all."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BELIEVED = 150.0
"""Seconds without a renewal after which a process is no longer believed to be at work."""


@dataclass(frozen=True, slots=True)
class Offer:
    """Settings that must be the same for all processes of an account, as some of them have them.

    Attributes:
        requests, window, concurrency, burst: the limits; the window in seconds, and 0 turns a limit off.
        lease: seconds for which a call is held without news.
        doubt: seconds that a doubt waits for its receipt.
        then: what happens then: hold, resend or fail.
        poll_share: the share of the limits that questions how faxes stand may use; None of an older version.
        asks: whether iFax is asked for results; None likewise.
        by: those at work with these settings, as `role host:pid`; nobody where all have ended.
    """

    requests: int
    window: float
    concurrency: int
    burst: int
    lease: float
    doubt: float
    then: str
    poll_share: float | None = None
    asks: bool | None = None
    by: tuple[str, ...] = ()

    @property
    def variables(self) -> Mapping[str, str]:
        """The variables that make it up, without the prefix, and their values."""
        told = {
            "LIMITS__REQUESTS": str(self.requests),
            "LIMITS__WINDOW": f"{self.window:g}",
            "LIMITS__CONCURRENCY": str(self.concurrency),
            "LIMITS__BURST": str(self.burst),
            "HTTP_TIMEOUT and LEASE_GRACE (the lease)": f"{self.lease:g}",
            "IN_DOUBT__WAIT": f"{self.doubt:g}",
            "IN_DOUBT__THEN": self.then,
        }
        if self.poll_share is not None:
            told["POLL__SHARE"] = f"{self.poll_share:g}"
        if self.asks is not None:
            told["RESULTS"] = "poll or both" if self.asks else "webhook"
        return told


def read_offers(told: Mapping[str, Any], steady: int) -> tuple[Offer, ...]:
    """The offers that hold, as `offer` stores them; what makes no sense to this version is left out.

    Args:
        told: by their settings: `until` and `by`.
        steady: the account's steady clock, ms.
    """
    found = []
    for settings, offer in sorted(told.items()):
        try:
            requests, window, concurrency, burst, lease, doubt, then, *more = settings.split()
            share, asks, *_ = [*more[1:], None, None]  # the first is the linger
            by = [str(name) for name, at in dict(offer["by"]).items() if at + BELIEVED * 1000 > steady]
            if offer["until"] > steady:
                found.append(
                    Offer(
                        requests=int(requests),
                        window=int(window) / 1e6,
                        concurrency=int(concurrency),
                        burst=int(burst),
                        lease=int(lease) / 1000,
                        doubt=int(doubt) / 1000,
                        then=then,
                        poll_share=None if share is None else int(share) / 1e6,
                        asks=None if asks is None else asks == "1",
                        by=tuple(sorted(by)),
                    )
                )
        except (ValueError, KeyError, TypeError):
            continue
    return tuple(found)


def differing(offers: Iterable[Offer]) -> dict[str, dict[str, tuple[str, ...]]]:
    """The variables in which offers differ: each value, and who works by it."""
    differ: dict[str, dict[str, tuple[str, ...]]] = {}
    for offer in offers:
        for variable, value in offer.variables.items():
            values = differ.setdefault(variable, {})
            values[value] = (*values.get(value, ()), *offer.by)
    return {variable: values for variable, values in differ.items() if len(values) > 1}


def told(differ: Mapping[str, Mapping[str, tuple[str, ...]]]) -> str:
    """One line about them."""
    return "; ".join(
        f"{variable} is "
        + " and ".join(
            f"{value} ({', '.join(by) or 'of processes that ended'})" for value, by in values.items()
        )
        for variable, values in differ.items()
    )
