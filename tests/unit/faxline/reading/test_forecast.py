"""When a queued job is expected to start, and what holds it: by hand on small numbers."""

from datetime import UTC, datetime
from typing import Any

import pytest

from faxline.reading.account_state import AccountState, LimitState
from faxline.reading.forecast import Forecast, Hold, forecast

NOW = 1_800_000_000_000_000
MINUTE = 60_000_000


def account(**changes: Any) -> AccountState:
    """10 requests a minute, 2 at once, bursts of 4, calls of half a second, nothing used."""
    values: dict[str, Any] = {
        "name": "default",
        "known": True,
        "now": NOW,
        "jobs": {},
        "oldest": {},
        "concurrency": LimitState(0, 2, 2),
        "window": LimitState(0, 10, 10),
        "burst": LimitState(0, 4, 4),
        "window_us": MINUTE,
        "limit_factor": 1.0,
        "concurrency_backoff": 0,
        "cooldown_until": 0,
        "paused": "",
        "probe_at": 0,
        "seconds": 0.5,
        "dead": 0,
    }
    return AccountState(**values | changes)


def look(
    state: AccountState, before: int = 0, *, leaves: float = 0.0, retry_at: float | None = None
) -> Forecast:
    return forecast(state, before, lambda _: leaves, retry_at=retry_at)


def wait(found: Forecast) -> float:
    """Seconds until the expected start."""
    assert found.expected_start is not None
    return round((found.expected_start - datetime.fromtimestamp(NOW / 1e6, tz=UTC)).total_seconds(), 3)


def test_the_next_job_of_an_idle_account_starts_now() -> None:
    forecast = look(account())
    assert (forecast.hold, forecast.place, wait(forecast)) == (Hold.NOTHING, 0, 0)


def test_a_job_behind_others_that_fit_is_held_by_its_place() -> None:
    assert look(account(), before=1).hold is Hold.PLACE


def test_with_all_permits_held_a_job_waits_for_one_of_the_calls() -> None:
    forecast = look(account(concurrency=LimitState(2, 2, 2)))
    assert (forecast.hold, wait(forecast)) == (Hold.CONCURRENCY, 0.25)


def test_a_full_bucket_drains_one_place_in_six_seconds() -> None:
    forecast = look(account(burst=LimitState(4, 4, 4), concurrency=LimitState(0, 0, 0)), before=2)
    assert (forecast.hold, wait(forecast)) == (Hold.BURST, 18)


def test_a_full_window_is_left_by_its_oldest_answer() -> None:
    forecast = look(account(window=LimitState(10, 10, 10)), leaves=42_000_000)
    assert (forecast.hold, wait(forecast)) == (Hold.WINDOW, 42)


@pytest.mark.parametrize(("before", "rounds"), [(9, 0), (10, 1), (29, 2)])
def test_a_long_backlog_takes_a_window_and_a_call_for_each_ten(before: int, rounds: int) -> None:
    state = account(burst=LimitState(0, 0, 0), concurrency=LimitState(0, 0, 0))
    assert wait(look(state, before)) == rounds * 60.5


def test_after_a_429_nothing_starts_before_the_gate_opens() -> None:
    forecast = look(account(cooldown_until=NOW + 30_000_000))
    assert (forecast.hold, wait(forecast), forecast.free_at) == (Hold.COOLDOWN, 30, forecast.expected_start)


def test_a_paused_account_names_its_reason_and_the_next_probe_but_no_start() -> None:
    forecast = look(account(paused="invalid_key", probe_at=NOW + 60_000_000))
    assert (forecast.hold, forecast.paused, forecast.expected_start) == (Hold.PAUSED, "invalid_key", None)
    assert forecast.free_at == datetime.fromtimestamp((NOW + 60_000_000) / 1e6, tz=UTC)


def test_an_operators_pause_has_no_probe() -> None:
    assert look(account(paused="operator")).free_at is None


def test_a_retry_starts_when_it_is_due_or_when_the_limits_allow_whichever_is_later() -> None:
    forecast = look(account(), retry_at=NOW / 1000 + 5_000)
    assert (forecast.hold, wait(forecast)) == (Hold.RETRY, 5)
    later = look(account(window=LimitState(10, 10, 10)), leaves=42_000_000, retry_at=NOW / 1000 + 5_000)
    assert wait(later) == 42


def test_the_share_and_the_strain_are_what_counts_not_what_the_settings_say() -> None:
    forecast = look(account(concurrency=LimitState(1, 1, 2), concurrency_backoff=1))
    assert (forecast.hold, wait(forecast)) == (Hold.CONCURRENCY, 0.5)
