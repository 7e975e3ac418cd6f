"""Many accounts on one daemon, and what one that hangs at iFax takes from the others."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from faxline_local.processes import wait_for
from faxline_local.stack import Local
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.figures import admitted, share_between
from tests.benchmarks.pushes import bulk_names
from tests.benchmarks.scale import Scale

HANGING = "hanging"
FIRST_SECONDS = 120.0
"""In which every account's first request must arrive."""


@dataclass(frozen=True)
class Half:
    """The share of their quotas that the sound accounts used in one half of the run."""

    together: float
    least: float
    """Of the account that used the smallest share of its own."""


@dataclass(frozen=True)
class ManyAccounts:
    """What came of it."""

    accounts: int
    requests: int
    window: int
    without: Half
    hanging: Half
    hanging_calls: int
    """Requests of the hanging account that reached the sandbox."""
    rate_limited: int
    most_in_window: int
    """The greatest count of any account."""


def run_accounts(scale: Scale, directory: Path) -> ManyAccounts:
    """Load every account but one, then let that one hang as well.

    The first window is left out, in which each account uses its burst.
    """
    own = scale.of_an_account()
    sound = [f"sound-{i:02}" for i in range(1, scale.accounts)]
    half = float(own.window * own.account_windows)
    parts = Local(
        directory,
        workers=scale.workers,
        threads=scale.threads,
        webhooks=0,
        accounts=[*sound, HANGING],
        settings={**own.settings(), "HTTP_TIMEOUT": f"{scale.http_timeout:g}"},
        sandbox=own.sandbox(),
    )
    with parts as local:
        local.control(
            "POST", "faults", {"action": "hang_before", "match": {"account": HANGING}, "times": None}
        )
        # One window before the halves, and one that may pass until every account has begun.
        names = bulk_names(own.requests * (2 * own.account_windows + 2))
        with redis.Redis.from_url(local.redis_url) as client:
            for account in sound:
                push_entries(client, account, names)
            begin = _all_begun(local, sound) + own.window
            _pass(begin + half)
            push_entries(client, HANGING, names)
            again = _all_begun(local, [HANGING])
            _pass(again + half)
        stats, arrivals = local.stats(), local.arrivals()
    return ManyAccounts(
        accounts=scale.accounts,
        requests=own.requests,
        window=own.window,
        without=_half(arrivals, sound, begin, begin + half, own),
        hanging=_half(arrivals, sound, again, again + half, own),
        hanging_calls=len(arrivals[HANGING]),
        rate_limited=sum(sum(one["rate_limited"].values()) for one in stats.values()),
        most_in_window=max(one["max_in_window"] for one in stats.values()),
    )


def _all_begun(local: Local, accounts: Sequence[str]) -> float:
    """Wait until each account has sent a request; when the last of them sent its first, in Unix seconds."""

    def begun() -> bool:
        stats = local.stats()
        return all(stats[account]["requests"] for account in accounts)

    if not wait_for(begun, FIRST_SECONDS, every=0.25):
        raise TimeoutError(f"not every account sent a request in {FIRST_SECONDS:g} s")
    arrivals = local.arrivals()
    return max(float(arrivals[account][0]["at"]) for account in accounts)


def _pass(until: float) -> None:
    """Let the time pass in which the daemon is measured."""
    threading.Event().wait(max(0.0, until - time.time()))


def _half(
    arrivals: Mapping[str, Sequence[Mapping[str, Any]]],
    accounts: Sequence[str],
    begin: float,
    end: float,
    own: Scale,
) -> Half:
    shares = [
        share_between(admitted(arrivals[account]), begin, end, requests=own.requests, window=own.window)
        for account in accounts
    ]
    return Half(together=sum(shares) / len(shares), least=min(shares))
