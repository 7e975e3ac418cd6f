"""Forecasts a queued job: what holds it, and when it is expected to start.

The forecast goes through the jobs before it, in order, and computes when the limits allow each of them. It
does not know which jobs will overtake this one or be retried. If there are many, the job starts later.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from faxline.contract.redis_keys import RedisKeys
from faxline.reading.account_reader import read_account_state
from faxline.reading.account_state import HELD, AccountState, from_micros
from faxline.steps.commands import Command, Pipeline, Steps

_USUAL = 1.0
"""The assumed seconds of a call, before the first one was measured."""


class Hold(StrEnum):
    """What holds a queued job."""

    NOTHING = "nothing"
    """Nothing: it is next, or about to be submitted."""
    PLACE = "place"
    """The jobs before it take the free slots."""
    CONCURRENCY = "concurrency"
    WINDOW = "window"
    BURST = "burst"
    COOLDOWN = "cooldown"
    """iFax answered 429, and the whole account waits."""
    VERIFYING = "verifying"
    """Redis was restarted or replaced: every process checks whether its state went back."""
    PAUSED = "paused"
    RETRY = "retry"
    """An earlier attempt or delivery failed. The job waits for its next try."""
    DATE = "date"
    """Faxline holds it until its send_at."""
    LINE = "line"
    """Other faxes to the same number are under way."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """When one queued job is expected to start.

    Example:
        >>> line.job("invoice-77").forecast.hold
        <Hold.WINDOW: 'window'>

    Attributes:
        hold: what holds it now.
        place: how many jobs are before it.
        expected_start: when it is expected to start; None if unknown.
        paused: the reason of the account's pause; empty if it is not paused.
        free_at: when the hold ends: the cooldown after a 429, the check of a new server, the wait for a
            probe, a retry or a date; for `line`, at the latest. None for the other holds.
        behind: the id of the job whose fax to the same number is under way.
    """

    hold: Hold
    place: int
    expected_start: datetime | None
    paused: str = ""
    free_at: datetime | None = None
    behind: str | None = None


def read_forecast(keys: RedisKeys, job: str) -> Steps[Forecast | None]:
    """Forecast a queued job. Return None for any other."""

    def queue_reads(pipe: Any) -> None:
        pipe.zrank(keys.ready, job)
        pipe.zscore(keys.delayed, job)
        pipe.hmget(keys.job(job), ("place", "number", "send_at"))

    rank, retry_at, (place, number, send_at) = yield Pipeline(queue_reads)
    if rank is None and place is not None and number is not None and retry_at is None:
        return (yield from _line(keys, job, place, number))
    if rank is None and (retry_at is None or place is None):
        return None
    before = rank
    if before is None:
        before = yield Command(lambda client: client.zcount(keys.ready, "-inf", f"({place.decode()}"))
    state = yield from read_account_state(keys)
    nth = _awaited(state, before + 1)
    leaves = 0.0
    if nth:
        since = state.now + state.skew - state.window_us
        found = yield Command(
            lambda client: client.zrangebyscore(
                keys.answers, since, "+inf", start=nth - 1, num=1, withscores=True
            )
        )
        leaves = float(found[0][1] - since) if found else 0.0
    made = forecast(state, before, lambda _: leaves, retry_at=retry_at)
    if made.hold is Hold.RETRY and send_at and float(send_at) == retry_at:
        return replace(made, hold=Hold.DATE)
    return made


def _line(keys: RedisKeys, job: str, place: bytes, number: bytes) -> Steps[Forecast | None]:
    """Forecast a job that waits for its number. Return None if it does not."""
    member = b"|".join((number, place.zfill(17), job.encode()))
    range_ = b"[" + number + b"|", b"(" + member

    def queue_reads(pipe: Any) -> None:
        pipe.zscore(keys.waiting, member)
        pipe.zlexcount(keys.waiting, *range_)
        pipe.hget(keys.lines, number)
        pipe.zscore(keys.lines_until, number)

    waits, before, held, until = yield Pipeline(queue_reads)
    if waits is None:
        return None
    holders = re.findall(r"([^ @*]+)@\d+", held.decode() if held else "")
    free_at = from_micros(until * 1000) if until is not None else None
    return Forecast(Hold.LINE, before, None, free_at=free_at, behind=holders[0] if holders else None)


def forecast(
    state: AccountState, before: int, leaves: Callable[[int], float], *, retry_at: float | None = None
) -> Forecast:
    """Compute the forecast of a job.

    Args:
        state: of the account.
        before: how many ready jobs are before it.
        leaves: returns the microseconds until the n-th oldest answer leaves the window, n from 1.
        retry_at: when a retry is due, in milliseconds since 1970.
    """
    waits = {
        Hold.CONCURRENCY: _concurrency(state, before + 1),
        Hold.WINDOW: _window(state, before + 1, leaves),
        Hold.BURST: _burst(state, before + 1),
    }
    wait = max(waits.values())
    cooldown = max(0.0, max(state.cooldown_until, state.verified_at) - state.now)
    start: datetime | None = from_micros(state.now + max(wait, cooldown))
    free_at = None
    if state.paused:
        hold, start = Hold.PAUSED, None
        free_at = from_micros(max(state.now, state.probe_at)) if state.paused not in HELD else None
    elif retry_at is not None:
        hold, free_at = Hold.RETRY, from_micros(retry_at * 1000)
        start = max(free_at, start) if start else free_at
    elif cooldown:
        hold, free_at = (
            Hold.COOLDOWN if state.cooling_down else Hold.VERIFYING,
            from_micros(state.now + cooldown),
        )
    elif wait <= 0:
        hold = Hold.NOTHING if before == 0 else Hold.PLACE
    else:
        hold = max(waits, key=lambda limit: waits[limit])
    return Forecast(hold, before, start, state.paused, free_at)


def _call(state: AccountState) -> float:
    """The microseconds of a call."""
    return (state.seconds if state.seconds is not None else _USUAL) * 1e6


def _concurrency(state: AccountState, n: int) -> float:
    """Microseconds until the n-th admission from now finds a free permit."""
    most = state.concurrency.effective
    over = state.held + n - most
    return over * _call(state) / most if most and over > 0 else 0.0


def _burst(state: AccountState, n: int) -> float:
    """Microseconds until the bucket has drained enough for the n-th admission."""
    over = state.burst.used + n - state.burst.effective
    if not state.window.effective or not state.burst.effective or over <= 0:
        return 0.0
    return over * state.window_us / state.window.effective


def _window(state: AccountState, n: int, leaves: Callable[[int], float]) -> float:
    """Microseconds until the n-th admission fits in the window.

    The first `requests` admissions wait until past answers leave the window. Each later one waits for the
    admission that is `requests` places before it: its start, its call, and the window.
    """
    requests = state.window.effective
    if not requests:
        return 0.0
    rounds, first = divmod(n - 1, requests)
    first += 1
    if (nth := _awaited(state, n)) > 0:
        wait = leaves(nth)
    elif int(state.window.used) + first <= requests:
        wait = 0.0
    else:
        wait = _call(state) + state.window_us
    for i in range(rounds):
        slot = wait + _call(state) + state.window_us
        wait = max(slot, _burst(state, first + (i + 1) * requests))
    return wait


def _awaited(state: AccountState, n: int) -> int:
    """Which past answer (the oldest is 1) must leave the window before the n-th admission; 0 if none."""
    requests = state.window.effective
    if not requests:
        return 0
    gone = int(state.window.used) + (n - 1) % requests + 1 - requests
    answered = int(state.window.used) - state.held
    return gone if 0 < gone <= answered else 0
