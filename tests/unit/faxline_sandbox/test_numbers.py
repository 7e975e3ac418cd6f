"""What becomes of a fax by its number: magic numbers, outcomes in their order, slow calls, busy lines."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from faxline_local.processes import wait_for
from faxline_sandbox import (
    MAGIC_NUMBERS,
    Account,
    Fault,
    FaultError,
    Limits,
    Outcome,
    SandboxConfig,
    SandboxServer,
    WebhookFault,
)
from faxline_sandbox.causes import CAUSES, magic_digits
from faxline_sandbox.lines import Lines
from faxline_sandbox.numbers import DELIVERED, Numbers
from faxline_worker.cli import app

DOCS = Path(__file__).parents[3] / "docs" / "sandbox.md"
LIMITS = Limits(requests=100_000, window=1, concurrency=1000, burst=100_000)
NUMBER, OTHER = "+12025550123", "+12025550124"
ENDLESS = 3600.0
BUSY = ("failed", "USER_BUSY", 17)
ARRIVED = ("delivered", "NORMAL_CLEARING", 0)


class Client:
    """Sends faxes to a sandbox of its own."""

    def __init__(self, sandbox: SandboxServer, http: httpx.Client) -> None:
        self.sandbox = sandbox
        self.http = http

    def post(self, number: str = NUMBER, **members: Any) -> httpx.Response:
        file = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf", "pages": ["1-4"]}
        return self.http.post("/fax-send", json={"faxNumber": number, "faxData": [file], **members})

    def send(self, number: str = NUMBER, **members: Any) -> int:
        job_id: int = self.post(number, **members).json()["data"]["jobId"]
        return job_id

    def kept(self, job_id: int) -> dict[str, Any]:
        return next(fax for fax in self.sandbox.ledger() if fax["jobId"] == job_id)

    def end_of(self, job_id: int) -> tuple[str, str, int]:
        kept = self.kept(job_id)
        return kept["state"], kept["message"], kept["code"]

    def sent(self, number: str = NUMBER, **members: Any) -> tuple[str, str, int]:
        """The end of a fax that is sent now."""
        job_id = self.send(number, **members)
        self.sandbox.drain()
        return self.end_of(job_id)


@contextmanager
def started(**members: Any) -> Iterator[Client]:
    quick: dict[str, Any] = {"call_seconds": 0.01, "page_seconds": 0.0, "limits": LIMITS}
    config = SandboxConfig(accounts={"t": Account()}, **(quick | members))
    with (
        SandboxServer(config) as sandbox,
        httpx.Client(
            base_url=f"{sandbox.url}/customer", headers={"accessToken": "t"}, trust_env=False
        ) as http,
    ):
        yield Client(sandbox, http)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    with started() as made:
        yield made


def ended(client: Client, *jobs: int) -> Callable[[], bool]:
    return lambda: all(client.kept(job_id)["state"] in {"delivered", "failed"} for job_id in jobs)


def lengths(client: Client, job_id: int) -> float:
    """Seconds from the call's beginning to its end."""
    steps = {step["state"]: step["at"] for step in client.kept(job_id)["history"]}
    return float(max(steps.values()) - steps["sending"])


# --- magic numbers


def test_every_cause_that_freeswitch_names_has_a_magic_number_and_a_name() -> None:
    for code, name in CAUSES.items():
        magic = MAGIC_NUMBERS[magic_digits(code)]
        assert (magic.status, magic.message, magic.code) == ("failed", name, code)
    assert len(set(CAUSES.values())) == len(CAUSES)


@pytest.mark.parametrize("code", [1, 16, 17, 41, 99, 487, 825])
def test_the_digits_of_a_cause_fail_a_call_with_it(client: Client, code: int) -> None:
    job_id = client.send(f"+1202555{code:04}")
    client.sandbox.drain()
    assert client.end_of(job_id) == ("failed", CAUSES[code], code)
    assert client.kept(job_id)["transferred"] == (2 if code == 41 else 0)


@pytest.mark.parametrize("code", [100, 127])
def test_a_cause_that_shares_its_digits_with_example_numbers_has_others(client: Client, code: int) -> None:
    assert client.sent(f"+1202555{code:04}") == ARRIVED
    assert client.sent(f"+1202555{9000 + code}") == ("failed", CAUSES[code], code)


def test_no_number_for_examples_is_magic() -> None:
    assert not {f"{line:04}" for line in range(100, 200)} & set(MAGIC_NUMBERS)


@pytest.mark.parametrize("code", range(-3010, -3000))
def test_a_fax_can_be_accepted_and_fail_later_with_an_error_code(client: Client, code: int) -> None:
    state, message, found = client.sent(f"+1202555{1000 - code}")
    assert (state, found) == ("failed", code)
    refusal = client.post(f"+1202555{-code}").json()["message"]
    assert refusal.startswith(message)


@pytest.mark.parametrize(("digits", "code"), [("0917", 17), ("0919", 19), ("0941", 41)])
def test_a_number_can_fail_once_and_deliver_afterwards(client: Client, digits: str, code: int) -> None:
    ends = [client.sent(f"+1303555{digits}") for _ in range(3)]
    assert ends == [("failed", CAUSES[code], code), ARRIVED, ARRIVED]
    assert client.sent(f"+1404555{digits}")[0] == "failed"  # another number has a first time of its own


def test_a_slow_number_takes_ten_times_as_long() -> None:
    with started(call_seconds=0.05, spread=0.0) as client:
        slow = client.send("+12025550990")
        client.sandbox.drain()
        assert client.end_of(slow) == ARRIVED
        assert lengths(client, slow) >= 0.49


def test_the_documentations_table_has_every_magic_number_and_no_other() -> None:
    rows = dict(re.findall(r"^\| `(\d{4})` \| (.*) \|$", DOCS.read_text(), re.MULTILINE))
    assert set(rows) == set(MAGIC_NUMBERS)
    for digits, outcome in MAGIC_NUMBERS.items():
        if outcome.status == "failed":
            assert f"failed, {outcome.message}, code {outcome.code}" in rows[digits]
        if outcome.refusal is not None:
            assert f"refused with {outcome.refusal}" in rows[digits]
        assert ("first" in rows[digits]) is (outcome.times is not None or digits == "0603")


# --- outcomes by the control page


@pytest.fixture
def page(client: Client) -> Iterator[str]:
    yield f"{client.sandbox.control_url}/numbers/%2B12025550123"
    client.sandbox.number(NUMBER, None)
    client.sandbox.lines(NUMBER, None)


def test_a_number_is_busy_for_its_times_and_delivers_afterwards(client: Client, page: str) -> None:
    answer = client.http.put(page, json={"status": "failed", "code": 17, "times": 2})
    assert answer.status_code == 200
    assert [client.sent() for _ in range(3)] == [BUSY, BUSY, ARRIVED]
    assert client.sent(OTHER) == ARRIVED


def test_outcomes_come_one_after_the_other_and_then_the_numbers_own(client: Client) -> None:
    number = "+12025550021"
    client.sandbox.number(number, [{"status": "failed", "code": 19, "times": 1}, Outcome(times=1)])
    ends = [client.sent(number) for _ in range(4)]
    assert ends == [("failed", "NO_ANSWER", 19), ARRIVED, *[("failed", "CALL_REJECTED", 21)] * 2]


def test_what_is_to_come_is_shown_and_deleting_it_begins_the_numbers_own_anew(client: Client) -> None:
    page = f"{client.sandbox.control_url}/numbers/%2B15055550917"
    shown = client.http.get(page).json()
    assert [(one["code"], one["times"]) for one in shown["outcomes"]] == [(17, 1)]
    assert client.sent("+15055550917") == BUSY
    assert client.http.get(page).json()["outcomes"] == []
    assert client.http.delete(page).json() == shown
    assert client.sent("+15055550917") == BUSY


@pytest.mark.parametrize("cause", ["SUBSCRIBER_ABSENT", "INTERWORKING", "GATEWAY_DOWN"])
def test_a_cause_can_be_given_by_its_name(client: Client, page: str, cause: str) -> None:
    assert client.http.put(page, json=cause).status_code == 200
    assert client.sent()[:2] == ("failed", cause)


def test_an_error_code_can_be_given_to_a_receipt_without_its_words(client: Client, page: str) -> None:
    client.http.put(page, json={"status": "failed", "code": -3005})
    assert client.sent() == ("failed", "File size exceeds maximum limit", -3005)


def test_a_part_of_the_pages_can_arrive(client: Client, page: str) -> None:
    client.http.put(page, json={"status": "failed", "code": 41, "transferred": 0.75})
    job_id = client.send()
    client.sandbox.drain()
    assert (client.kept(job_id)["pages"], client.kept(job_id)["transferred"]) == (4, 3)


def test_a_number_can_be_slow_by_seconds_and_by_a_factor(wait_until: Callable[..., Any]) -> None:
    with started() as client:
        jobs = []
        for outcome in ({"seconds": 0.2}, {"factor": 0}, {"factor": ENDLESS * 1000}):
            client.sandbox.number(NUMBER, outcome)
            jobs.append(client.send())
        wait_until(ended(client, *jobs[:2]))
        assert lengths(client, jobs[0]) >= 0.2
        assert [client.kept(job_id)["state"] for job_id in jobs] == ["delivered", "delivered", "sending"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ('{"seconds": -1}', "seconds"),
        ('{"seconds": "1"}', "seconds"),
        ('{"factor": true}', "factor"),
        ('{"factor": Infinity}', "factor"),
        ('{"times": 0}', "times"),
        ('{"times": 1.5}', "times"),
        ('{"times": true}', "times"),
        ("[]", "outcomes"),
        ('["0017", "0019"]', "times"),
        ('["0017", 5]', "object"),
        ('"NO_SUCH_CAUSE"', "outcome"),
        ('{"status": "failed", "code": 17, "message": null}', "message"),
    ],
)
def test_an_outcome_that_makes_no_sense_is_refused_and_changes_nothing(
    client: Client, page: str, body: str, word: str
) -> None:
    before = client.http.get(page).json()
    answer = client.http.put(page, content=body)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert client.http.get(page).json() == before


@pytest.mark.parametrize("path", ["numbers/1", "numbers/1/lines"])
def test_what_is_no_number_has_no_outcome_and_no_lines(client: Client, path: str) -> None:
    assert client.http.put(f"{client.sandbox.control_url}/{path}", json=1).status_code == 400


@pytest.mark.parametrize(
    ("outcome", "status", "accepted"),
    [
        (Outcome(refusal=-3001, times=1), 400, 0),
        (Outcome(fault=Fault("status", status=503), times=1), 503, 0),
        (Outcome("failed", "USER_BUSY", 17, fault=Fault("status", accepted=True), times=1), 500, 1),
        (Outcome("failed", "USER_BUSY", 17, webhook=WebhookFault("early"), times=1), 200, 1),
    ],
)
def test_an_outcome_that_concerns_the_answer_is_used_up_by_the_request(
    client: Client, outcome: Outcome, status: int, accepted: int
) -> None:
    client.sandbox.number(NUMBER, outcome)
    before = len(client.sandbox.ledger())
    assert [client.post().status_code for _ in range(2)] == [status, 200]
    client.sandbox.drain(timeout=30)
    ends = [(fax["state"], fax["code"]) for fax in client.sandbox.ledger()[before:]]
    assert ends == [("failed", 17)] * accepted + [("delivered", 0)]


def test_a_request_that_breaks_a_restriction_uses_nothing_up(client: Client, page: str) -> None:
    client.http.put(page, json={"refusal": -3001, "times": 1})
    assert client.post(faxQuality="4K").json()["status"] == -2
    assert client.post().json()["code"] == -3001


def later(seconds: float = ENDLESS) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


def test_a_scheduled_fax_meets_what_holds_at_its_time_not_at_its_acceptance() -> None:
    with started() as client:
        client.sandbox.number(NUMBER, {"status": "failed", "code": 17, "times": 1})
        scheduled = client.send(send_at=later(1))
        at_once = client.send()
        client.sandbox.drain()
        assert (client.end_of(at_once), client.end_of(scheduled)) == (BUSY, ARRIVED)


def test_a_resend_counts_as_a_call_to_its_number(client: Client, page: str) -> None:
    job_id = client.send()
    client.sandbox.drain()
    client.http.put(page, json={"status": "failed", "code": 17, "times": 1})
    again = client.http.post("/fax-resend", json={"jobId": job_id}).json()["data"]["jobId"]
    client.sandbox.drain()
    assert (client.end_of(again), client.sent()) == (BUSY, ARRIVED)


def test_a_numbers_outcomes_that_are_used_up_leave_delivery() -> None:
    numbers = Numbers()
    numbers.give(NUMBER, [Outcome(times=2)])
    assert [numbers.take(NUMBER).times for _ in range(3)] == [2, 2, None]
    assert numbers.outcome(NUMBER) is DELIVERED


# --- busy lines


def test_a_fax_to_a_number_whose_lines_are_taken_is_busy_after_a_short_call(
    wait_until: Callable[..., Any],
) -> None:
    with started(page_seconds=ENDLESS, lines=2) as client:
        first, second, third = (client.send() for _ in range(3))
        other = client.send(OTHER)
        wait_until(ended(client, third))  # its pages would have taken hours
        assert client.end_of(third) == BUSY
        assert client.kept(third)["transferred"] == 0
        assert [client.kept(job_id)["state"] for job_id in (first, second, other)] == ["sending"] * 3
        marks = [client.kept(job_id)["line_busy"] for job_id in (first, second, third, other)]
        assert marks == [False, False, True, False]
        assert client.sandbox.stats()["default"]["line_busy"] == 1


def test_a_line_is_free_again_after_the_call_whatever_its_end(client: Client, page: str) -> None:
    client.sandbox.lines(NUMBER, 1)
    client.sandbox.number(NUMBER, {"status": "failed", "code": 41, "times": 1})
    ends = [client.sent()[0] for _ in range(3)]
    assert ends == ["failed", "delivered", "delivered"]
    assert client.http.get(page).json()["taken"] == 0


def test_a_busy_line_does_not_use_up_the_numbers_outcome(wait_until: Callable[..., Any]) -> None:
    with started(lines=1) as client:
        outcomes: list[Any] = [{"seconds": ENDLESS, "times": 1}, {"status": "failed", "code": 19, "times": 1}]
        client.sandbox.number(NUMBER, outcomes)
        holding, busy = client.send(), client.send()
        wait_until(ended(client, busy))
        client.sandbox.lines(NUMBER, 2)
        next_one = client.send()
        wait_until(ended(client, next_one))
        ends = [client.end_of(job_id)[0] for job_id in (holding, busy, next_one)]
        assert ends == ["sending", "failed", "failed"]
        assert client.end_of(busy) == BUSY
        assert client.end_of(next_one) == ("failed", "NO_ANSWER", 19)


def test_lines_are_endless_by_default() -> None:
    with started(call_seconds=ENDLESS) as client:
        for _ in range(20):
            client.send()
        shown = client.http.get(f"{client.sandbox.control_url}/numbers/%2B12025550123").json()
        assert (shown["lines"], shown["taken"]) == (0, 20)


def test_a_scheduled_fax_takes_a_line_only_when_its_time_has_come(wait_until: Callable[..., Any]) -> None:
    with started(call_seconds=ENDLESS, lines=1) as client:
        waiting, holding = client.send(send_at=later()), client.send()
        late = client.send(send_at=later(0.1))
        wait_until(lambda: client.kept(late)["line_busy"])
        assert client.kept(waiting)["state"] == "scheduled"
        assert client.kept(holding)["state"] == "sending"


def test_a_numbers_lines_are_given_and_taken_back_by_the_control_page(
    wait_until: Callable[..., Any],
) -> None:
    with started() as client:
        page = f"{client.sandbox.control_url}/numbers/%2B12025550123"
        shown = client.http.put(f"{page}/lines", json=1).json()
        assert (shown["number"], shown["lines"], shown["taken"]) == (NUMBER, 1, 0)
        client.sandbox.number(NUMBER, {"seconds": ENDLESS, "times": 1})
        client.send()
        assert client.http.get(page).json()["taken"] == 1
        busy = client.send()
        assert client.http.delete(f"{page}/lines").json()["lines"] == 0
        free = client.send()
        wait_until(ended(client, busy, free))
        assert (client.end_of(busy), client.end_of(free)) == (BUSY, ARRIVED)
        for bad in ("-1", "1.5", "true", "null", '"2"', "{"):
            answer = client.http.put(f"{page}/lines", content=bad)
            assert answer.status_code == 400
            assert answer.json()["error"]


def test_negative_lines_are_refused_by_the_server_as_well(client: Client) -> None:
    with pytest.raises(FaultError, match="lines"):
        client.sandbox.lines(NUMBER, -1)


def test_the_command_gives_every_number_its_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    started_with: list[SandboxConfig] = []
    monkeypatch.setattr("faxline_sandbox.server.serve", started_with.append)
    monkeypatch.setattr("faxline_worker.observability.logs.configure_logs", lambda **_: None)
    assert CliRunner().invoke(app, ["sandbox", "--lines", "3"]).exit_code == 0
    assert [config.lines for config in started_with] == [3]


def test_what_the_command_is_given_wrong_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("faxline_worker.observability.logs.configure_logs", lambda **_: None)
    done = CliRunner().invoke(app, ["sandbox", "--profile", "fild"])
    assert done.exit_code == 2
    assert done.output == "faxline-worker: profile: must be one of documented, field\n"


def test_lines_that_are_fewer_than_the_calls_of_a_number_end_none_of_them() -> None:
    lines = Lines(0)
    assert lines.take(NUMBER)
    assert lines.take(NUMBER)
    lines.give(NUMBER, 1)
    assert not lines.take(NUMBER)
    lines.free(NUMBER)
    assert not lines.take(NUMBER)
    lines.free(NUMBER)
    assert lines.take(NUMBER)


# --- fax-cancel and fax-resend in every state


@pytest.fixture(scope="module")
def in_every_state() -> Iterator[tuple[Client, dict[str, int]]]:
    with started() as client:
        client.sandbox.number(OTHER, {"seconds": ENDLESS})
        jobs = {
            "scheduled": client.send(send_at=later()),
            "sending": client.send(OTHER),
            "delivered": client.send(),
            "failed": client.send("+12025550017"),
            "canceled": client.send(send_at=later()),
            "unknown": 1,
        }
        client.http.post("/fax-cancel", json={"jobId": jobs["canceled"]}).raise_for_status()
        assert wait_for(ended(client, jobs["delivered"], jobs["failed"]), 30)
        yield client, jobs


@pytest.mark.parametrize("state", ["sending", "delivered", "failed", "canceled", "unknown"])
def test_only_a_scheduled_fax_can_be_canceled(
    in_every_state: tuple[Client, dict[str, int]], state: str
) -> None:
    client, jobs = in_every_state
    before = client.sandbox.ledger()
    answer = client.http.post("/fax-cancel", json={"jobId": jobs[state]})
    assert (answer.status_code, answer.json()["status"]) == ((404, -5) if state == "unknown" else (400, -2))
    assert state == "unknown" or f"is {state}" in answer.json()["message"]
    assert client.sandbox.ledger() == before


@pytest.mark.parametrize("state", ["scheduled", "sending", "canceled", "unknown"])
def test_a_fax_that_was_not_sent_cannot_be_resent(
    in_every_state: tuple[Client, dict[str, int]], state: str
) -> None:
    client, jobs = in_every_state
    before = client.sandbox.ledger()
    answer = client.http.post("/fax-resend", json={"jobId": jobs[state]})
    assert (answer.status_code, answer.json()["status"]) == ((404, -5) if state == "unknown" else (400, -2))
    assert state == "unknown" or f"is {state}" in answer.json()["message"]
    assert client.sandbox.ledger() == before


@pytest.mark.parametrize("state", ["delivered", "failed"])
def test_a_fax_that_was_sent_can_be_resent(in_every_state: tuple[Client, dict[str, int]], state: str) -> None:
    client, jobs = in_every_state
    answer = client.http.post("/fax-resend", json={"jobId": jobs[state], "faxNumber": NUMBER})
    assert answer.json()["data"]["originalJobId"] == jobs[state]


def test_a_cancel_that_races_with_the_date_either_cancels_or_comes_too_late() -> None:
    with started(call_seconds=0.0) as client:
        when = later(0.4)
        jobs = [client.send(send_at=when) for _ in range(60)]
        canceled = set()
        for job_id in jobs:  # the date comes while they are asked for, one after the other
            answer = client.http.post("/fax-cancel", json={"jobId": job_id})
            if answer.status_code == 200:
                canceled.add(job_id)
            else:
                assert answer.json()["status"] == -2
        client.sandbox.drain()
        for job_id in jobs:
            steps = [step["state"] for step in client.kept(job_id)["history"]]
            ending = ["canceled"] if job_id in canceled else ["sending", "delivered"]
            assert steps in (["scheduled", *ending], ending)
            assert (steps[0] == "scheduled") or job_id not in canceled
