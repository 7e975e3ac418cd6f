"""What says nothing about a fax: the account closes, one probe at a time goes, nothing is spent or burnt."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
import redis

from faxline_worker.state.results import Admitted, Held
from faxline_worker.state.store import Store
from tests.stage.account import Account
from tests.stage.scene import BEGIN

Make = Callable[..., Account]
UNKNOWN = {"meaning": "unknown_refusal 12004", "code": 12004, "message": "Professional plan isn't activated"}


@pytest.fixture
def make(redis_client: redis.Redis) -> Make:
    return lambda **changes: Account(redis_client, **changes)


def jobs(n: int) -> list[str]:
    return [f"job-{i}" for i in range(n)]


def spent(account: Account, names: list[str]) -> dict[str, tuple[str, str]]:
    """The jobs that are not queued, or have spent an attempt."""
    found = {name: account.record(name) for name in names}
    return {
        name: (job["state"], job.get("attempt", "0"))
        for name, job in found.items()
        if job["state"] != "queued" or job.get("attempt", "0") != "0"
    }


def test_a_call_that_got_no_connection_closes_the_account_and_spends_nothing(make: Make) -> None:
    account = make()
    account.push("a", "b")
    account.unsent(account.admit())
    assert account.held() == "paused"
    assert account.whole["paused"] == "unreachable"
    assert spent(account, ["a", "b"]) == {}
    assert account.client.zcard(account.keys.ready) == 2
    assert account.client.zcard(account.keys.answers) == 0  # it never reached iFax


def test_twenty_calls_under_way_close_it_once_and_one_probe_goes_at_a_time(make: Make) -> None:
    account = make()
    account.push(*jobs(40))
    together = [account.admit() for _ in range(20)]
    for admitted in together:
        account.unsent(admitted)
        account.go(0.01)
    assert account.whole["probes"] == "0"
    _, probe = account.next_probe()
    account.go(20)  # it hangs, and meanwhile nobody else goes
    assert account.held() == "paused"
    assert account.store.timers.plan_wakeups().wakes == ()
    account.unsent(probe)
    assert spent(account, jobs(40)) == {}


def test_probes_follow_after_growing_waits_and_an_outage_of_a_minute_costs_a_dozen_calls(make: Make) -> None:
    account = make()
    account.push(*jobs(100))
    account.unsent(account.admit())
    waits = []
    for _ in range(9):
        waited, probe = account.next_probe()
        account.unsent(probe)
        waits.append(waited)
    assert waits == [1, 2, 4, 8, 16, 32, 45, 45, 45]
    assert sum(waits[:6]) > 60


def test_a_probe_that_hangs_is_followed_without_a_further_wait_once_its_time_is_over(make: Make) -> None:
    account = make()
    account.push("a", "b")
    account.unsent(account.admit())
    _, probe = account.next_probe()
    account.go(30)
    account.unsent(probe, silent=True)
    assert isinstance(account.store.submission.admit(account.permit(), ""), Admitted)


def test_a_probe_whose_worker_died_is_followed_once_its_lease_has_run_out(make: Make) -> None:
    account = make()
    account.push("a", "b")
    account.unsent(account.admit())
    account.next_probe()
    waited, _ = account.next_probe()
    assert waited == pytest.approx(50, abs=0.1)  # FAXLINE_HTTP_TIMEOUT and twice FAXLINE_LEASE_GRACE


@pytest.mark.parametrize("decision", ["accepted", "refuse", "retry", "unknown", "pause", "defer"])
def test_any_word_of_ifaxs_own_says_that_it_can_be_reached_again(make: Make, decision: str) -> None:
    account = make()
    account.push("a", "b", "c")
    account.unsent(account.admit())
    _, probe = account.next_probe()
    account.answer(probe, decision, job_id="1")
    assert account.whole["paused"] == ("pause" if decision == "pause" else "")


@pytest.mark.parametrize("decision", ["in_doubt", "released"])
def test_an_answer_that_is_none_of_ifaxs_leaves_it_closed(make: Make, decision: str) -> None:
    account = make()
    account.push("a", "b", "c")
    account.unsent(account.admit())
    _, probe = account.next_probe()
    account.answer(probe, decision)
    assert account.whole["paused"] == "unreachable"
    account.next_probe()


def test_an_answer_of_a_call_from_before_changes_nothing(make: Make) -> None:
    account = make()
    account.push("a", "b", "c", "d")
    early, late, other = account.admit(), account.admit(), account.admit()
    account.go(0.1)
    account.unsent(other)
    account.answer(early, "accepted", job_id="1")
    assert account.held() == "paused"
    _, probe = account.next_probe()
    account.answer(probe, "accepted", job_id="2")
    account.unsent(late)
    assert account.whole["paused"] == ""


def test_a_probe_stays_inside_the_limits(make: Make) -> None:
    account = make(LIMITS__REQUESTS="3", LIMITS__WINDOW="100", LIMITS__BURST="0")
    account.push(*jobs(10))
    for i in (1, 2):
        account.answer(account.admit(), "accepted", job_id=str(i))
    account.answer(account.admit(), "unreachable", status=503)
    account.go(5)
    assert account.held() == "window"
    waited, _ = account.next_probe()
    assert waited == pytest.approx(95, abs=0.1)


def test_retry_after_delays_the_probe_up_to_the_longest_wait(make: Make) -> None:
    account = make()
    account.push(*jobs(3))
    account.answer(account.admit(), "unreachable", cooldown=10_000)
    waited, probe = account.next_probe()
    assert waited == pytest.approx(10, abs=0.1)
    account.answer(probe, "unreachable", cooldown=3_600_000)
    assert account.next_probe()[0] == pytest.approx(45, abs=0.1)


def test_a_fax_that_somebody_refuses_who_is_not_ifax_holds_up_no_other(make: Make) -> None:
    account = make()
    account.push("large", *jobs(50))
    sent: list[str] = []
    refused = 0
    while len(sent) < 50:
        admitted = account.store.submission.admit(account.permit(), "", 0.5)
        if not isinstance(admitted, Admitted):
            account.store.timers.run()
            account.go(max(0.001, account.store.timers.plan_wakeups().next or 0.1))
        elif admitted.job == "large":
            refused += 1
            account.answer(admitted, "unreachable", status=413, retry=2000)
        else:
            account.answer(admitted, "accepted", job_id=str(len(sent) + 1))
            sent.append(admitted.job)
        account.go(0.5)
    assert spent(account, ["large"]) == {}
    assert refused <= 8
    assert account.seconds < 60


def test_a_fax_that_is_refused_again_while_others_are_accepted_closes_the_account_no_more(make: Make) -> None:
    account = make()
    account.push("large", *jobs(3))
    refused = {"status": 413, "retry": 2000}

    def large_again(seconds: float) -> str:
        account.go(seconds)
        account.store.timers.run()
        admitted = account.admit()
        assert admitted.job == "large"
        account.answer(admitted, "unreachable", **refused)
        return str(account.whole["paused"])

    assert large_again(0) == "unreachable"
    account.answer(account.next_probe()[1], "accepted", job_id="1")
    assert large_again(5) == ""
    account.answer(account.admit(), "accepted", job_id="2")
    assert large_again(40) == ""
    assert large_again(500) == "unreachable"  # nobody was accepted lately: it may be an outage
    assert spent(account, ["large"]) == {}


def test_a_429_lets_one_call_through_at_a_time_until_it_is_over(make: Make) -> None:
    account = make(COOLDOWN__BASE="5", COOLDOWN__MIN_LIMIT_FACTOR="1")
    account.push(*jobs(30))
    for admitted in [account.admit() for _ in range(20)]:
        account.answer(admitted, "defer", jitter=1.0)
    waits = []
    for _ in range(3):
        waited, probe = account.next_probe()
        assert account.held() == "rate_limit_cooldown"
        account.answer(probe, "defer", jitter=1.0)
        waits.append(round(waited))
    assert waits == [5, 10, 20]
    _, probe = account.next_probe()
    account.answer(probe, "in_doubt")
    _, probe = account.next_probe()
    account.answer(probe, "accepted", job_id="1")
    account.admit()
    assert spent(account, [j for j in jobs(30) if account.record(j)["state"] == "queued"]) == {}


def test_only_its_date_ends_a_job_that_cannot_be_sent(make: Make) -> None:
    account = make()
    account.push("a", expires_at=str(round((BEGIN + 1000) * 1000)))
    account.unsent(account.admit())
    while account.seconds < 900:
        _, probe = account.next_probe()
        account.unsent(probe)
    assert spent(account, ["a"]) == {}
    account.go(1001 - account.seconds)
    account.store.timers.run()
    assert (account.record("a")["state"], account.record("a")["reason"]) == ("failed", "expired")


def test_a_closing_names_the_process_that_met_it_and_what_it_was(make: Make) -> None:
    account = make()
    account.push("a", "b")
    worker = account.worker("pod-1:7")
    admitted = worker.submission.admit("p", "")
    assert isinstance(admitted, Admitted)
    worker.submission.settle(admitted, {"decision": "unreachable", "message": "connection refused"})
    at = account.whole["paused_at"]
    assert account.whole["paused_by"] == f"{at} pod-1:7"
    assert account.whole["paused_why"] == f"{at} connection refused"
    _, probe = account.next_probe()
    account.answer(probe, "unreachable", message="HTTP 403 Forbidden")
    assert account.whole["paused_at"] == at
    assert account.whole["paused_why"] == f"{at} HTTP 403 Forbidden"


# The breaker.


def test_so_many_refusals_in_a_row_of_one_unknown_meaning_pause_the_account(make: Make) -> None:
    account = make()
    account.push(*jobs(10))
    for _ in range(4):
        account.answer(account.admit(), "unknown", **UNKNOWN)
    assert account.whole.get("paused", "") == ""
    account.answer(account.admit(), "unknown", **UNKNOWN)
    assert account.whole["paused"] == "breaker"
    assert account.whole["paused_why"].endswith("Professional plan isn't activated")
    assert spent(account, jobs(10)) == {}


def test_an_account_wide_no_burns_nothing_with_twenty_calls_at_once(make: Make) -> None:
    account = make(PROBE__FIRST="60", PROBE__MAX="3600")
    account.push(*jobs(25))
    for admitted in [account.admit() for _ in range(20)]:
        account.answer(admitted, "unknown", **UNKNOWN)
    for _ in range(30):  # a day
        account.store.timers.run()
        _, probe = account.next_probe()
        account.answer(probe, "unknown", **UNKNOWN)
    assert spent(account, jobs(25)) == {}
    assert account.whole["paused"] == "breaker"


def test_what_ends_the_breaker_is_a_fax_that_is_accepted_and_what_was_refused_goes_then(make: Make) -> None:
    account = make()
    account.push(*jobs(6))
    for admitted in [account.admit() for _ in range(6)]:
        account.answer(admitted, "unknown", **UNKNOWN)
    account.go(5)
    account.store.timers.run()
    _, probe = account.next_probe()
    account.answer(probe, "accepted", job_id="1")
    assert account.whole["paused"] == ""
    for i in range(2, 7):
        account.answer(account.admit(), "accepted", job_id=str(i))


@pytest.mark.parametrize(
    "between",
    [
        {"decision": "accepted", "job_id": "1"},
        {"decision": "refuse"},
        {"decision": "unknown", "meaning": "unknown_refusal 17"},
    ],
)
def test_another_answer_between_them_breaks_the_row(make: Make, between: dict[str, Any]) -> None:
    account = make()
    account.push(*jobs(10))
    for _ in range(4):
        account.answer(account.admit(), "unknown", **UNKNOWN)
    account.answer(account.admit(), **between)
    account.answer(account.admit(), "unknown", **UNKNOWN)
    assert account.whole.get("paused", "") == ""


def test_a_refused_fax_fails_once_another_was_accepted_meanwhile(make: Make) -> None:
    account = make()
    account.push("bad", *jobs(3))
    account.answer(account.admit(), "unknown", **UNKNOWN)
    assert spent(account, ["bad"]) == {}
    account.go(0.1)
    account.answer(account.admit(), "accepted", job_id="1")
    account.go(5)
    account.store.timers.run()
    again = account.admit()
    assert again.job == "bad"
    account.answer(again, "unknown", **UNKNOWN)
    assert (account.record("bad")["state"], account.record("bad")["code"]) == ("failed", "12004")


def test_an_acceptance_of_a_call_that_began_before_the_refusal_proves_nothing(make: Make) -> None:
    account = make()
    account.push("bad", *jobs(3))
    bad, early = account.admit(), account.admit()
    account.go(0.1)
    account.answer(bad, "unknown", **UNKNOWN)
    account.answer(early, "accepted", job_id="1")
    account.go(5)
    account.store.timers.run()
    account.answer(account.admit(), "unknown", **UNKNOWN)
    assert spent(account, ["bad"]) == {}


def test_a_fax_that_was_refused_so_many_times_fails(make: Make) -> None:
    account = make()
    account.push("bad")
    for times in range(1, 6):
        assert spent(account, ["bad"]) == {}, times
        account.answer(account.admit(), "unknown", **UNKNOWN)
        account.go(300)
        account.store.timers.run()
    assert account.record("bad")["state"] == "failed"


@pytest.mark.parametrize("meaning", ["server_error 502", "connection_lost", "read_timeout"])
def test_so_many_doubts_of_one_kind_in_a_row_pause_the_account(make: Make, meaning: str) -> None:
    account = make()
    account.push(*jobs(30))
    for _ in range(5):
        account.answer(account.admit(), "in_doubt", meaning=meaning)
    assert account.held() == "paused"
    assert account.whole["paused"] == "breaker"
    _, probe = account.next_probe()
    account.answer(probe, "in_doubt", meaning=meaning)
    assert account.held() == "paused"


def test_a_breaker_that_meets_no_ifax_at_all_is_probed_as_an_outage_is(make: Make) -> None:
    account = make()
    account.push(*jobs(30))
    for _ in range(5):
        account.answer(account.admit(), "in_doubt", meaning="server_error 502")
    _, probe = account.next_probe()
    account.unsent(probe)
    assert account.whole["paused"] == "unreachable"
    assert account.next_probe()[0] == pytest.approx(1, abs=0.1)


def test_a_probe_of_the_breaker_is_drawn_so_that_no_fax_is_the_probe_for_ever(make: Make) -> None:
    account = make()
    account.push(*jobs(20))
    for _ in range(5):
        account.answer(account.admit(), "unknown", **UNKNOWN)
    account.go(60)
    assert account.admit(chance=0.5).job not in {"job-5", "job-19"}


# A process that alone fails.


def taken(store: Store) -> Admitted:
    admitted = store.submission.admit(uuid4().hex, "")
    assert isinstance(admitted, Admitted), admitted
    return admitted


def accept(store: Store, job_id: str) -> None:
    admitted = taken(store)
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id})


NO_ROUTE = {"decision": "unreachable", "reason": "no_route", "message": "no route to iFax", "ours": True}
BAD_KEY = {"decision": "pause", "reason": "invalid_key", "message": "Invalid API key", "ours": True}


@pytest.mark.parametrize("answer", [NO_ROUTE, BAD_KEY])
@pytest.mark.parametrize("limits", [{}, {"LIMITS__REQUESTS": "0"}])
def test_who_fails_while_others_are_accepted_steps_back_and_the_account_stays_open(
    make: Make, answer: dict[str, Any], limits: dict[str, str]
) -> None:
    account = make(**limits)
    account.push(*jobs(10))
    good, bad = account.worker("good:1"), account.worker("bad:1")
    accept(good, "1")
    account.go(10)
    accept(good, "2")
    for _ in range(3):  # its trials as well, though nobody was accepted since
        assert bad.submission.settle(taken(bad), answer).apart
        assert account.whole.get("paused", "") == ""
        account.go(0.01)
    assert spent(account, jobs(10)[2:]) == {}
    assert not good.submission.settle(taken(good), answer).apart  # it strikes all
    assert account.whole["paused"] != ""


@pytest.mark.parametrize("answer", [NO_ROUTE, BAD_KEY])
def test_a_call_from_before_the_step_back_closes_nothing(make: Make, answer: dict[str, Any]) -> None:
    account = make()
    account.push(*jobs(10))
    good, bad = account.worker("good:1"), account.worker("bad:1")
    accept(good, "1")
    first, second = taken(bad), taken(bad)
    assert bad.submission.settle(first, answer).apart
    assert not bad.submission.settle(second, answer | {"late": True}).apart
    assert account.whole.get("paused", "") == ""


def test_where_several_are_accepted_each_sees_the_others(make: Make) -> None:
    account = make()
    account.push(*jobs(10))
    one, two = account.worker("one:1"), account.worker("two:1")
    for i in range(4):
        accept(two if i % 2 else one, str(i + 1))
    assert one.submission.settle(taken(one), NO_ROUTE).apart
    account.go(0.01)
    accept(two, "5")
    accept(one, "6")
    assert two.submission.settle(taken(two), NO_ROUTE).apart


@pytest.mark.parametrize("seconds", [61, 0])
def test_its_own_acceptances_or_old_ones_excuse_nobody(make: Make, seconds: int) -> None:
    account = make()
    account.push(*jobs(10))
    other = account.worker("other:1" if seconds else "one:1")
    accept(other, "1")
    account.go(seconds)
    one = account.worker("one:1")
    assert not one.submission.settle(taken(one), NO_ROUTE).apart
    assert isinstance(one.submission.admit(uuid4().hex, ""), Held)


def test_an_empty_balance_is_no_process_own_fault(make: Make) -> None:
    account = make()
    account.push(*jobs(10))
    good, bad = account.worker("good:1"), account.worker("bad:1")
    accept(good, "1")
    admitted = taken(bad)
    bad.submission.mark(admitted)
    bad.submission.settle(admitted, {"decision": "pause", "reason": "insufficient_balance"})
    assert account.whole["paused"] == "insufficient_balance"
