"""The settings that all processes of an account must share. Where they differ, the strictest value holds."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BELIEVED = 150.0
"""Seconds without a renewal after which a process no longer counts as being at work."""


@dataclass(frozen=True, slots=True)
class SharedSettings:
    """The settings of some processes of an account, which should be the same for all.

    Attributes:
        requests: how many requests the window allows; 0 turns the limit off.
        window: seconds.
        concurrency: how many requests at once; 0 turns the limit off.
        burst: how many requests in a burst; 0 turns the limit off.
        lease: seconds until a call without an answer is given up.
        doubt: seconds that a doubt waits for its receipt.
        then: what happens to a doubt after that: hold, resend or fail.
        poll_share: the share of the limits that status calls may use; None for an older version.
        asks: whether iFax is asked for results; None for an older version.
        by: the processes at work with these settings, as `role host:pid`; empty if all have ended.
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
        """The environment variables behind these settings, without the prefix, and their values."""
        variables = {
            "LIMITS__REQUESTS": str(self.requests),
            "LIMITS__WINDOW": f"{self.window:g}",
            "LIMITS__CONCURRENCY": str(self.concurrency),
            "LIMITS__BURST": str(self.burst),
            "HTTP_TIMEOUT and LEASE_GRACE (the lease)": f"{self.lease:g}",
            "IN_DOUBT__WAIT": f"{self.doubt:g}",
            "IN_DOUBT__THEN": self.then,
        }
        if self.poll_share is not None:
            variables["POLL__SHARE"] = f"{self.poll_share:g}"
        if self.asks is not None:
            variables["RESULTS"] = "poll or both" if self.asks else "webhook"
        return variables


def read_shared_settings(stored: Mapping[str, Any], steady: int) -> tuple[SharedSettings, ...]:
    """Read the settings that hold now. Those that this version cannot read are left out.

    Args:
        stored: `until` and `by`, for each text of settings.
        steady: milliseconds of the account's steady clock.
    """
    found = []
    for settings, process in sorted(stored.items()):
        try:
            requests, window, concurrency, burst, lease, doubt, then, *more = settings.split()
            share, asks, *_ = [*more[1:], None, None]  # more[0] is the linger
            by = [str(name) for name, at in dict(process["by"]).items() if at + BELIEVED * 1000 > steady]
            if process["until"] > steady:
                found.append(
                    SharedSettings(
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


def find_differences(settings: Iterable[SharedSettings]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Return the variables in which processes differ: each value, and the processes that have it."""
    differ: dict[str, dict[str, tuple[str, ...]]] = {}
    for each in settings:
        for variable, value in each.variables.items():
            values = differ.setdefault(variable, {})
            values[value] = (*values.get(value, ()), *each.by)
    return {variable: values for variable, values in differ.items() if len(values) > 1}


def describe_differences(differ: Mapping[str, Mapping[str, tuple[str, ...]]]) -> str:
    """Describe in one line what `find_differences` returned."""
    return "; ".join(
        f"{variable} is "
        + " and ".join(
            f"{value} ({', '.join(by) or 'of processes that ended'})" for value, by in values.items()
        )
        for variable, values in differ.items()
    )
