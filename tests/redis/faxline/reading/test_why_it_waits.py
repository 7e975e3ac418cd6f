"""What holds a job beyond the limits, as the record, the list and `explain` show it."""

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
import redis

from faxline import FaxLine, Hold, JobState
from faxline.cli.running import run as faxline
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline.reading.processes import ROLES
from faxline_worker.config.settings import read_settings
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.heartbeats import beating
from tests.stage.intake import create_group, register

NUMBER = "+12345678901"
SETTINGS = {
    "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token",
    "FAXLINE_NUMBERS__LEASE": "600",
    "FAXLINE_RETRIES__DELIVERY__BUSY": "180",
}


@pytest.fixture
def store(redis_client: redis.Redis) -> Store:
    made = Store(redis_client, read_settings(SETTINGS), "default")
    create_group(made)
    made.timers.run()
    return made


@pytest.fixture
def explain(redis_url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    def run(job: str, *more: str) -> str:
        assert faxline(["--redis", redis_url, "explain", job, *more]) == 0
        return capsys.readouterr().out

    return run


def push(store: Store, client: Any, job: str, **fields: str) -> None:
    register(store, client, job, **{"number": NUMBER, **fields})


def submit(store: Store, job_id: str) -> None:
    admitted = store.submission.admit(uuid4().hex, "")
    assert isinstance(admitted, Admitted)
    store.submission.mark(admitted)
    store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id})


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def ms(moment: datetime) -> str:
    return str(round(moment.timestamp() * 1000))


def test_a_fax_that_waits_for_its_numbers_line_names_the_one_before_it(
    store: Store, line: FaxLine, redis_client: Any, explain: Callable[..., str]
) -> None:
    for name in ("first", "second", "third"):
        push(store, redis_client, name)
    submit(store, "77")
    store.submission.admit(uuid4().hex, "")
    forecast = line.job("third").forecast
    assert forecast is not None
    assert (forecast.hold, forecast.place, forecast.behind) == (Hold.LINE, 1, "first")
    assert forecast.free_at is not None
    assert forecast.free_at > later(500)
    assert [job.id for job in line.jobs(state="queued")] == ["second", "third"]
    assert line.account_state().jobs["queued"] == 2
    text = explain("second")
    assert "another fax to it is under way (first)" in text
    assert json.loads(explain("second", "--json"))["behind"] == "first"


def test_a_fax_that_is_held_here_for_a_date_says_until_when(
    store: Store, line: FaxLine, redis_client: Any, explain: Callable[..., str]
) -> None:
    date = later(3600)
    push(store, redis_client, "held", send_at=ms(date), schedule="local")
    job = line.job("held")
    assert job.forecast is not None
    assert job.forecast.hold is Hold.DATE
    assert job.expected_start is not None
    assert abs(job.expected_start - date) < timedelta(seconds=1)
    assert "Faxline holds it until its date," in explain("held")


def test_a_fax_that_is_to_be_kept_at_the_provider_says_so_before_and_after_it_is(
    store: Store, line: FaxLine, redis_client: Any, explain: Callable[..., str]
) -> None:
    push(store, redis_client, "kept", send_at=ms(later(3600)), schedule="provider")
    assert "It is scheduled for" in explain("kept")
    submit(store, "77")
    assert line.job("kept").state is JobState.SUBMITTED
    text = explain("kept")
    assert "iFax sends it at" in text
    assert "Until then `faxline cancel kept` takes it back." in text


def test_a_fax_whose_delivery_failed_says_why_and_when_the_next_one_is_due(
    store: Store, redis_client: Any, explain: Callable[..., str]
) -> None:
    push(store, redis_client, "busy")
    submit(store, "77")
    entry = redis_client.xadd(store.keys.status, {"kind": "receipt", "body": "{}"}).decode()
    receipt = {"job_id": "77", "outcome": "failed", "reason": "busy", "code": 17, "again": "busy"}
    assert store.receipts.apply([(entry, receipt)])[0].retried
    text = explain("busy")
    assert "Delivery 1 of 5 failed (busy, code 17); the next one is due at" in text
    assert ", 3 min after it (busy)." in text
    payload = json.loads(explain("busy", "--json"))
    assert (payload["attempts"], payload["wait"], payload["wait_by"]) == (5, 180, "busy")


def test_a_fax_that_goes_on_in_a_lower_quality_says_so(
    store: Store, redis_client: Any, explain: Callable[..., str]
) -> None:
    push(store, redis_client, "fine")
    submit(store, "77")
    entry = redis_client.xadd(store.keys.status, {"kind": "receipt", "body": "{}"}).decode()
    receipt = {"job_id": "77", "outcome": "failed", "reason": "resolution_unsupported", "again": "other"}
    store.receipts.apply([(entry, receipt | {"lower": True})])
    assert "in quality Low: the far end cannot receive more." in explain("fine")


def test_a_failure_after_which_ifax_may_call_again_is_told_with_when_it_counts(
    store: Store, line: FaxLine, redis_client: Any, explain: Callable[..., str]
) -> None:
    push(store, redis_client, "held")
    submit(store, "77")
    entry = redis_client.xadd(store.keys.status, {"kind": "receipt", "body": "{}"}).decode()
    receipt = {
        "job_id": "77",
        "outcome": "failed",
        "reason": "busy",
        "code": 17,
        "again": "busy",
        "redial": 1,
    }
    assert store.receipts.apply([(entry, receipt)])[0].result == "held"
    text = explain("held")
    assert "iFax reported a failure (busy, code 17), and may call again by itself." in text
    assert "It becomes final at" in text
    held = line.job("held").held
    assert held is not None
    assert held.until is not None
    assert held.until > datetime.now(UTC)


def test_a_fax_that_has_no_delivery_left_says_what_stopped_it(
    store: Store, redis_client: Any, explain: Callable[..., str]
) -> None:
    push(store, redis_client, "spent", attempts="1")
    submit(store, "77")
    entry = redis_client.xadd(store.keys.status, {"kind": "receipt", "body": "{}"}).decode()
    store.receipts.apply([(entry, {"job_id": "77", "outcome": "failed", "reason": "busy", "again": "busy"})])
    assert "Delivery 1 of 1 was the last: it has no delivery left." in explain("spent")


def answered_by_ifax(store: Store, line: FaxLine, redis_client: Any, decision: str, **more: Any) -> None:
    """A dispatcher takes the wish that is pushed next, and a worker brings this answer."""
    reply = redis_client.xreadgroup(INTAKE_GROUP, "test", {line.keys.intake: ">"}, block=20_000)
    store.intake.cancel(reply[0][1][0][0].decode(), "kept")
    question = store.submission.admit(uuid4().hex, "")
    assert isinstance(question, Admitted)
    store.submission.mark(question)
    store.submission.report(question, {"decision": decision, "reason": decision, "seconds": 0.1, **more})


@pytest.mark.parametrize(
    ("answer", "code", "says"),
    [
        ({"decision": "accepted"}, 0, "kept is canceled"),
        ({"decision": "refuse", "code": -2}, 1, "kept is not canceled: iFax is sending it, or has sent it"),
        ({"decision": "in_doubt"}, 3, "iFax has not answered within 1 s"),
    ],
    ids=["canceled", "too late", "no answer"],
)
def test_canceling_a_fax_that_the_provider_keeps_tells_what_the_provider_said(
    store: Store,
    line: FaxLine,
    redis_client: Any,
    redis_url: str,
    capsys: pytest.CaptureFixture[str],
    answer: dict[str, Any],
    code: int,
    says: str,
) -> None:
    push(store, redis_client, "kept", send_at=ms(later(3600)), schedule="provider")
    submit(store, "77")
    worker = threading.Thread(target=answered_by_ifax, args=(store, line, redis_client), kwargs=answer)
    worker.start()
    wait = "1" if code == 3 else "20"
    with beating(redis_url, ROLES):
        assert faxline(["--redis", redis_url, "cancel", "kept", "--timeout", wait]) == code
    worker.join()
    output = capsys.readouterr()
    assert says in output.out + output.err
