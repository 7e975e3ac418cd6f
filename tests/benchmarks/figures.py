"""The arithmetic of the figures; no input, no output."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import Any


@dataclass(frozen=True)
class Spread:
    """Seconds (or shares) of many faxes: their number, the median, the 95th percentile, the greatest."""

    count: int
    median: float
    p95: float
    greatest: float


def spread_of(values: Sequence[float]) -> Spread | None:
    """The spread of some values; None without any."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Spread(len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.95), ordered[-1])


def percentile(ordered: Sequence[float], share: float) -> float:
    """The least of the ordered values that so large a share of them does not exceed."""
    return ordered[max(0, ceil(share * len(ordered)) - 1)]


def share_of_quota(
    arrivals: Sequence[float], *, requests: int, window: float, until: float
) -> tuple[float, int] | None:
    """How much of what the window allows arrived, after the first window, over whole windows only.

    The first window is left out because a fresh account may use its whole burst in it; a part of a window is
    left out because a window's requests may come early or late in it.

    Args:
        arrivals: when each accepted request arrived, in order.
        requests, window: the limit.
        until: the end of the run.

    Returns:
        The share and over how many windows; None when not two windows have passed.
    """
    if not arrivals:
        return None
    windows = floor((until - arrivals[0]) / window + 1e-9) - 1
    if windows < 1:
        return None
    begin = arrivals[0] + window
    return share_between(arrivals, begin, begin + windows * window, requests=requests, window=window), windows


def share_between(
    arrivals: Sequence[float], begin: float, end: float, *, requests: int, window: float
) -> float:
    """How much of what the window allows arrived from `begin` until before `end`."""
    arrived = bisect_left(arrivals, end) - bisect_left(arrivals, begin)
    return arrived / (requests * (end - begin) / window)


def admitted(arrivals: Sequence[Mapping[str, Any]]) -> list[float]:
    """When each request arrived that broke no limit, in order."""
    return sorted(arrival["at"] for arrival in arrivals if arrival["limit"] is None)


def first_arrivals(ledger: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """When each fax was accepted first, by its subject."""
    first: dict[str, float] = {}
    for fax in ledger:
        first.setdefault(fax["subject"], fax["accepted_at"])
    return first


def sent_twice(ledger: Sequence[Mapping[str, Any]]) -> int:
    """How many faxes were accepted more than once."""
    return sum(1 for n in Counter(fax["subject"] for fax in ledger).values() if n > 1)


def waits(pushed: Mapping[str, float], arrived: Mapping[str, float], until: float) -> list[float]:
    """Seconds from each push to its arrival; of one that has not arrived, what it has waited so far."""
    return [max(0.0, arrived.get(name, until) - at) for name, at in pushed.items()]
