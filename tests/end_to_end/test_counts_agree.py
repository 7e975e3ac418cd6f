"""After every kind of trouble: metrics, events and the sandbox's ledger tell the same numbers."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from faxline.contract.connections.redis_url import connect
from faxline_local.processes import wait_for
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.troubles.course import ACCOUNTS, events_of, provoke, running
from tests.troubles.faxes import REJECTED, TROUBLES
from tests.troubles.reading import Key, counted, gauged, samples

pytestmark = pytest.mark.slow

Event = tuple[str, str, str, dict[str, Any]]
"""Account, name, job, data."""
NOBODYS_FAULT = {"in_doubt", "operator"}
"""Reasons for which a job goes again though nothing failed: a doubt was settled so."""
BY_HAND_STORED = 2
"""Of the webhooks that the course writes by hand, those that look like receipts."""


@pytest.fixture(scope="module")
def local(server_binary: ServerBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    def wait(condition: Callable[[], Any], *, timeout: float) -> None:
        assert wait_for(lambda: bool(condition()), timeout, every=0.2), condition

    with running(tmp_path_factory.mktemp("local"), server_binary) as started:
        provoke(started, wait)
        yield started


@pytest.fixture(scope="module")
def events(local: Local) -> list[Event]:
    with connect(local.redis_url) as client:
        return [(account, *event) for account in ACCOUNTS for event in events_of(client, account)]


@pytest.fixture(scope="module")
def counts(local: Local) -> Counter[Key]:
    return counted(local)


def of(counts: Counter[Key], metric: str) -> Counter[Key]:
    """One metric's counts by the values of its labels."""
    return Counter({key[1:]: n for key, n in counts.items() if key[0] == metric})


def by_receipt(events: list[Event]) -> list[dict[str, Any]]:
    """The data of the events that a receipt made."""
    return [
        data
        for _, name, _, data in events
        if name == "fax.delivered"
        or (name in {"fax.failed", "fax.retrying"} and data["stage"] == "delivery")
        or (name == "fax.canceled" and data["reason"] == "canceled")
    ]


def code(data: dict[str, Any]) -> str:
    return str(data.get("code", ""))


def test_every_end_is_counted_as_the_events_tell_it(counts: Counter[Key], events: list[Event]) -> None:
    ends = {f"fax.{end}" for end in ("delivered", "failed", "canceled", "unconfirmed", "rejected")}
    assert of(counts, "fax_outcomes_total") == Counter(
        (account, name.removeprefix("fax.")) for account, name, _, _ in events if name in ends
    )
    assert of(counts, "fax_duplicates_total") == {("default",): 1}
    assert sum(name == "fax.duplicate" for _, name, _, _ in events) == 1


def test_every_failure_is_counted_with_its_stage_code_and_reason(
    counts: Counter[Key], events: list[Event]
) -> None:
    expected = Counter(  # what closes the account is no event of a job
        {
            ("broke", "-3002", "insufficient_balance", "submission"): 1,
            ("default", "", "unavailable", "submission"): 1,
        }
    )
    for account, name, _, data in events:
        again = name == "fax.retrying" and data["reason"] not in NOBODYS_FAULT
        if name == "fax.failed" or again:
            expected[account, code(data), data["reason"], data["stage"]] += 1
        elif name == "fax.rejected":
            expected[account, "", data["reason"], "intake"] += 1
    assert of(counts, "fax_failures_total") == expected
    assert {key[2] for key in expected if key[3] == "intake"} == set(REJECTED)


def test_every_call_is_counted_as_the_sandbox_saw_it(
    local: Local, counts: Counter[Key], events: list[Event]
) -> None:
    submissions, stats, ledger = of(counts, "fax_submissions_total"), local.stats(), local.ledger()
    lost = sum(trouble.lost for trouble in TROUBLES.values())
    assert submissions["default", "accepted"] == len(ledger) - lost
    assert submissions["default", "accepted"] == sum(name == "fax.submitted" for _, name, _, _ in events)
    assert submissions["default", "in_doubt"] == sum(name == "fax.in_doubt" for _, name, _, _ in events)
    for account in ACCOUNTS:
        assert submissions[account, "refused"] == sum(stats[account]["refused"].values())
    assert submissions["default", "rate_limited"] == of(counts, "fax_rate_limited_total")["default",] == 1
    assert submissions["default", "retryable"] == 1
    cancels = 1
    assert sum(submissions.values()) == sum(one["requests"] for one in stats.values()) - cancels
    assert sum(of(counts, "fax_request_seconds_count").values()) == sum(submissions.values()) + cancels


def test_every_delivery_is_told_as_the_ledger_has_it_and_its_pages_are_counted(
    local: Local, counts: Counter[Key], events: list[Event]
) -> None:
    told_of = by_receipt(events)
    ledger = {fax["jobId"]: fax for fax in local.ledger()}
    assert len({data["jobId"] for data in told_of}) == len(told_of)
    for data in told_of:
        fax = ledger.pop(data["jobId"])
        assert (code(data), data["pages"], data["transferred"]) == (
            str(fax["code"]),
            fax["pages"],
            fax["transferred"],
        )
    untold = sorted(fax["subject"] for fax in ledger.values())
    assert [name for name in untold if name != "kept"] == ["never-told", "sent-twice"]
    for kind, member in (("total", "pages"), ("transferred", "transferred")):
        assert of(counts, "fax_pages_total")["default", kind] == sum(data[member] for data in told_of)
    assert of(counts, "fax_partial_deliveries_total")["default",] == sum(
        "partial" in data for data in told_of
    )


def test_every_webhook_and_every_receipt_is_counted_by_what_became_of_it(
    local: Local, counts: Counter[Key], events: list[Event]
) -> None:
    webhooks, receipts = of(counts, "fax_webhooks_total"), of(counts, "fax_receipts_total")
    answers = Counter(hook.get("answer") for fax in local.ledger() for hook in fax["webhooks"])
    assert webhooks == {
        ("default", "stored"): answers[204] + BY_HAND_STORED,
        ("default", "bad_signature"): 2,
        ("default", "too_large"): 1,
        ("default", "malformed"): 1,
        ("default", "inbound"): 1,
        ("unknown", "bad_signature"): 1,
    }
    ends = receipts["default", "applied"] + receipts["default", "resolved_doubt"]
    assert ends == len(by_receipt(events))
    assert receipts["default", "set_aside"] == 2
    nobodys, duplicate = 1, 1
    read = webhooks["default", "stored"] + webhooks["default", "malformed"]
    others = receipts["default", "repeated"] + receipts["default", "set_aside"] + nobodys + duplicate
    assert ends + others == read


def test_the_gauges_of_two_dispatchers_agree_with_the_events_and_with_each_other(
    local: Local, events: list[Event], wait_until: Callable[..., Any]
) -> None:
    last = {
        (account, job): data["state"]
        for account, name, job, data in events
        if name not in {"fax.rejected", "fax.received"}
    }
    states = Counter((account, state) for (account, _), state in last.items())

    def now() -> dict[Key, int]:
        jobs = {key[1:]: round(n) for key, n in gauged(local).items() if key[0] == "fax_jobs"}
        return {key: n for key, n in jobs.items() if n}

    wait_until(lambda: now() == states, timeout=20, every=0.2, message=f"{states}")
    found = gauged(local)
    assert found["fax_dead_receipts", "default"] == 2
    assert found["fax_doubts_held", "default"] == 1
    assert found["fax_account_paused", "broke"] == 1
    assert found["fax_queued_jobs", "broke", "turn"] == 1
    paused = [sample.value for sample in samples(local) if sample.name == "fax_account_paused"]
    assert sum(paused) == 2  # a sum over the dispatchers would double it
