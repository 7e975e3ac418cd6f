"""What iFax does beyond its documentation: a test a fact, by real processes and the profile `field`."""

import base64
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest

from faxline import Event, Fax, FaxLine, JobNotFound, JobState
from faxline_local.stack import TOKEN, Local

pytestmark = pytest.mark.slow

SANDBOX = (
    *("--profile", "field", "--call-seconds", "0.1", "--page-seconds", "0.01", "--time-scale", "0.01"),
    *("--answer-seconds", "0.01", "0.05", "--requests", "100000", "--burst", "100000"),
)
SETTINGS = {
    "ACCOUNTS__BAD__TOKEN": "a-key-that-nobody-knows",
    "LIMITS__REQUESTS": "0",
    "BREAKER__AFTER": "1000",  # a refusal that nobody knows may come often before another fax is accepted
    "RETRIES__DELIVERY__ATTEMPTS": "1",
    "RETRIES__DELIVERY__OTHER": "[0.3, 0.5]",
    "RETRIES__DELIVERY__NO_ANSWER": "[0.3, 0.5]",
    "RETRIES__DELIVERY__REDIAL_WAIT": "2",
    "RETRIES__SUBMISSION__BASE": "0.2",
    "HTTP_TIMEOUT": "3",
    "COOLDOWN__BASE": "0.5",
    "LEASE_GRACE": "1",
    "SWEEP": "1",
    "STATUS_CALL": "true",
    "RECEIPT_DEADLINE": "6",
}
URL = "https://example.com/a.pdf"


@pytest.fixture(scope="module")
def local(make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with make_local(
        tmp_path_factory.mktemp("logs"),
        accounts=("default", "bad", "planless"),
        settings=SETTINGS,
        sandbox=SANDBOX,
    ) as running:
        yield running


@pytest.fixture(autouse=True)
def stays_open(local: Local) -> Iterator[None]:
    """A pause that a test leaves behind is its own failure and not the next one's."""
    yield
    with FaxLine(local.url_of("operator")) as line:
        assert line.account_state().paused == ""


Open = Callable[..., FaxLine]


@pytest.fixture
def line_of(local: Local) -> Iterator[Open]:
    opened: list[FaxLine] = []

    def make(account: str = "default") -> FaxLine:
        opened.append(FaxLine(local.url_of("operator"), account=account))
        return opened[-1]

    yield make
    for line in opened:
        line.close()


def push(local: Local, account: str, *numbers: str) -> None:
    faxes = [Fax(to=number, files=[URL], id=f"{account}-{number[-4:]}") for number in numbers]
    with FaxLine(local.url_of("producer"), account=account) as line:
        line.send_many(faxes)


def send(local: Local, digits: str) -> Any:
    """How a fax to the magic number of these digits ends."""
    push(local, "default", f"+1202555{digits}")
    with FaxLine(local.url_of("producer")) as line:
        return line.wait(f"default-{digits}", timeout=60)


def events_of(local: Local, name: str) -> list[Event]:
    with FaxLine(local.url_of("producer")) as line:
        return [event for event in line.events(after="0", timeout=1) if event.name == name]


def dead(local: Local) -> int:
    with FaxLine(local.url_of("operator")) as line:
        return len(list(line.dead()))


def closed(local: Local, account: str) -> list[str]:
    """Why an account is closed, as the dispatcher's metrics tell the alert."""
    page = httpx.get(f"http://127.0.0.1:{local.metrics['dispatcher-1']}/metrics", trust_env=False).text
    found = [
        one for one in page.splitlines() if one.startswith("fax_account_closed{") and one.endswith(" 1.0")
    ]
    return [one.split('reason="')[1].split('"')[0] for one in found if f'account="{account}"' in one]


def test_forty_faxes_with_a_bad_key_leave_no_doubt_and_one_alert_that_names_the_key(
    local: Local, line_of: Open, wait_until: Callable[..., Any]
) -> None:
    line = line_of("bad")
    push(local, "bad", *(f"+1202555{9200 + i}" for i in range(40)))
    wait_until(lambda: line.account_state().paused == "invalid_key")
    wait_until(lambda: closed(local, "bad") == ["invalid_key"], timeout=20)
    wait_until(lambda: line.account_state().jobs["queued"] == 40, timeout=20)
    calls = local.stats()["(unknown)"]
    assert calls["requests"] <= 21
    assert calls["refused"] == {"12001": calls["requests"]}
    assert line.account_state().paused_why == "accessToken invalid"
    jobs = line.account_state().jobs
    assert (jobs["in_doubt"], jobs["failed"], jobs["queued"]) == (0, 0, 40)
    local.control("PUT", "accounts/bad/tokens", ["a-key-that-nobody-knows"])
    line.resume(by="test")
    wait_until(lambda: line.account_state().jobs["delivered"] == 40, timeout=60)


def test_an_account_whose_plan_is_not_active_is_paused_by_that_name(
    local: Local, line_of: Open, wait_until: Callable[..., Any]
) -> None:
    local.control("PUT", "accounts/planless/plan", content=False)
    line = line_of("planless")
    push(local, "planless", "+12025559300", "+12025559301")
    wait_until(lambda: line.account_state().paused == "plan_inactive")
    assert line.account_state().paused_why == "Professional plan isn't activated"
    local.control("PUT", "accounts/planless/plan", content=True)
    line.resume(by="test")
    wait_until(lambda: line.account_state().jobs["delivered"] == 2, timeout=30)


@pytest.mark.parametrize(("digits", "others"), [("0719", 9400), ("0720", 9410)])
def test_a_refusal_that_nobody_knows_fails_its_fax_alone_with_ifaxs_words(
    local: Local, wait_until: Callable[..., Any], digits: str, others: int
) -> None:
    name = f"default-{digits}"
    push(local, "default", f"+1202555{digits}")
    with FaxLine(local.url_of("producer")) as line:

        def is_refused() -> bool:
            with suppress(JobNotFound):  # intake has not taken it yet
                return line.job(name).reason == "unknown_refusal"
            return False

        wait_until(is_refused, timeout=30)  # what iFax accepts from now on shows that it is about this fax
        push(local, "default", *(f"+1202555{others + i}" for i in range(4)))
        assert line.wait(f"default-{others}", timeout=30).state is JobState.DELIVERED
        job = line.wait(name, timeout=60)
    assert (job.state, job.reason, job.code) == (JobState.FAILED, "unknown_refusal", 12099)
    (event,) = [event for event in events_of(local, "fax.failed") if event.job == name]
    assert event.data["message"] == "Destination not served"


@pytest.mark.parametrize(
    ("digits", "state", "reason"),
    [("3001", JobState.FAILED, "invalid_number"), ("0501", JobState.DELIVERED, "normal_clearing")],
)
def test_an_error_by_http_is_read_as_the_documentation_has_it(
    local: Local, digits: str, state: JobState, reason: str
) -> None:
    job = send(local, digits)
    assert (job.state, job.reason) == (state, reason)


def test_a_429_that_says_nothing_costs_no_attempt(local: Local) -> None:
    number = "+12025559503"
    silent = {"fault": {"action": "status", "status": 429, "body": ""}, "times": 1}
    local.control("PUT", f"numbers/{number}", [silent, {}])
    push(local, "default", number)
    with FaxLine(local.url_of("producer")) as line:
        job = line.wait("default-9503", timeout=60)
    assert (job.state, job.attempt) == (JobState.DELIVERED, 1)


def test_an_answer_that_comes_too_late_is_a_doubt_that_the_receipt_settles(local: Local) -> None:
    number = "+12025559504"
    late = {"fault": {"action": "slow", "seconds": 5}}
    local.control("PUT", f"numbers/{number}", late)
    push(local, "default", number)
    with FaxLine(local.url_of("producer")) as line:
        assert line.wait("default-9504", timeout=60).state is JobState.DELIVERED
    assert [fax["endpoint"] for fax in local.ledger() if fax["toNumber"] == number] == ["fax-send"]


def test_a_number_beside_a_text_that_nobody_knows_decides_nothing(local: Local) -> None:
    number = "+12025559505"
    odd = {"status": "failed", "code": 21, "message": "something quite new"}
    local.control("PUT", f"numbers/{number}", odd)
    push(local, "default", number)
    with FaxLine(local.url_of("producer")) as line:
        job = line.wait("default-9505", timeout=60)
    assert (job.state, job.code, job.reason) == (JobState.FAILED, 21, "other")


@pytest.mark.parametrize("digits", ["0721", "0722", "0723", "0724", "0725"])
def test_a_webhook_is_read_however_it_is_written(local: Local, digits: str) -> None:
    assert send(local, digits).state is JobState.DELIVERED
    assert dead(local) == 0


@pytest.mark.parametrize(
    ("digits", "state", "reason"),
    [
        ("0731", JobState.CANCELED, "other"),
        ("0732", JobState.CANCELED, "other"),
        ("0733", JobState.FAILED, "other"),
        ("0734", JobState.FAILED, "rejected"),
        ("0735", JobState.FAILED, "other"),
    ],
)
def test_each_word_of_a_receipt_ends_the_fax_as_it_says(
    local: Local, digits: str, state: JobState, reason: str
) -> None:
    job = send(local, digits)
    assert (job.state, job.reason) == (state, reason)


def test_a_failure_that_is_charged_is_told_so(local: Local) -> None:
    if not any(event.job == "default-0733" for event in events_of(local, "fax.failed")):
        send(local, "0733")
    charged = {event.job for event in events_of(local, "fax.failed") if event.data.get("charged")}
    assert charged == {"default-0733"}


def test_the_code_of_a_fax_that_is_asked_for_is_the_faxs_and_not_the_calls(local: Local) -> None:
    number = "+12025559501"
    lost = {"status": "failed", "code": -3009, "webhook": {"action": "lose"}}
    local.control("PUT", f"numbers/{number}", lost)
    push(local, "default", number)
    with FaxLine(local.url_of("operator")) as line:
        job = line.wait("default-9501", timeout=60)
        assert (job.state, job.code, job.reason) == (JobState.FAILED, -3009, "invalid_key")
        assert line.account_state().paused == ""


def test_a_doubt_is_settled_by_a_receipt_whose_sender_lacks_its_country(local: Local) -> None:
    number = "+12025559502"
    outcome = {"fault": {"action": "reset_after"}, "forms": ["no_country"]}
    local.control("PUT", f"numbers/{number}", outcome)
    push(local, "default", number)
    with FaxLine(local.url_of("producer")) as line:
        assert line.wait("default-9502", timeout=60).state is JobState.DELIVERED
    assert Counter(event.job for event in events_of(local, "fax.in_doubt"))["default-9502"] == 1


def test_a_redial_of_ifaxs_own_is_awaited_and_nothing_is_sent_twice(local: Local) -> None:
    assert send(local, "0741").state is JobState.DELIVERED
    assert [fax["endpoint"] for fax in local.ledger() if fax["toNumber"] == "+12025550741"] == ["fax-send"]
    assert not [event for event in events_of(local, "fax.retrying") if event.job == "default-0741"]


TEXTS = {
    "0751": ("no_fax", "attempts"),
    "0754": ("size_unsupported", "cause"),
    "0755": ("line_trouble", "attempts"),
    "0756": ("invalid_file_format", "cause"),
    "0761": ("busy", "attempts"),
    "0762": ("no_answer", "attempts"),
    "0763": ("unallocated_number", "cause"),
    "0766": ("rejected", "cause"),
    "0767": ("line_trouble", "attempts"),
    "0768": ("no_answer", "attempts"),
    "0769": ("congestion", "attempts"),
    "0771": ("no_fax", "attempts"),
    "0772": ("busy", "attempts"),
    "0781": ("busy", "attempts"),
    "0782": ("no_fax", "attempts"),
    "0783": ("incompatible", "cause"),
    "0784": ("rejected", "cause"),
    "0789": ("other", "attempts"),
}
"""Why a fax to a magic number fails, and whether that, or its one delivery, keeps it from another try."""


def test_each_text_of_a_fax_engine_tells_why_it_failed_and_whether_it_is_worth_another_try(
    local: Local,
) -> None:
    push(local, "default", *(f"+1202555{digits}" for digits in TEXTS))
    with FaxLine(local.url_of("producer")) as line:
        for digits in TEXTS:
            assert line.wait(f"default-{digits}", timeout=60).state is JobState.FAILED
    ends = {event.job: event.data for event in events_of(local, "fax.failed")}
    found = {digits: ends[f"default-{digits}"] for digits in TEXTS}
    assert {digits: (end["reason"], end["stopped_by"]) for digits, end in found.items()} == TEXTS


def calls_of(local: Local, number: str) -> list[tuple[str, str]]:
    return [(fax["endpoint"], fax["faxQuality"]) for fax in local.ledger() if fax["toNumber"] == number]


def test_a_machine_without_paper_is_reached_after_growing_waits(local: Local) -> None:
    number = "+12025550752"
    with FaxLine(local.url_of("producer")) as line:
        line.send(to=number, files=[URL], id="paper", attempts=3)
        assert line.wait("paper", timeout=60).state is JobState.DELIVERED
    tries = [event.data for event in events_of(local, "fax.retrying") if event.job == "paper"]
    assert [(one["reason"], one["again"], one["wait"]) for one in tries] == [
        ("not_ready", "no_answer", 300),
        ("not_ready", "no_answer", 500),
    ]
    assert [endpoint for endpoint, _ in calls_of(local, number)] == ["fax-send", "fax-resend", "fax-resend"]


def test_a_resolution_that_the_far_end_cannot_receive_is_lowered_until_it_can(local: Local) -> None:
    number = "+12025550753"
    with FaxLine(local.url_of("producer")) as line:
        line.send(to=number, files=[URL], id="fine", attempts=3, faxQuality="HD")
        assert line.wait("fine", timeout=60).state is JobState.DELIVERED
    tries = [event.data for event in events_of(local, "fax.retrying") if event.job == "fine"]
    assert [one["quality"] for one in tries] == ["Standard", "Low"]
    assert calls_of(local, number) == [("fax-send", "HD"), ("fax-send", "Standard"), ("fax-send", "Low")]


@pytest.mark.parametrize("form", [{}, {"direction": "received"}, {"multipart": True, "bytes": 3_000_000}])
def test_a_fax_that_comes_in_is_told_once_and_is_no_dead_receipt(
    local: Local, wait_until: Callable[..., Any], form: dict[str, Any]
) -> None:
    fax = {"from": "+441224515014", "to": "+12025550100", "pages": 3} | form
    made = local.control("POST", "accounts/default/inbound", fax)

    def received() -> list[Event]:
        return [event for event in events_of(local, "fax.received") if event.data["jobId"] == made["jobId"]]

    wait_until(received, timeout=30)
    (event,) = received()
    assert event.data["pages"] == 3
    assert event.data["transactionId"] == str(made["transactionId"])
    assert (event.data["from"], event.data["to"]) == ("…5014", "…0100")
    assert dead(local) == 0
    ids = {name: event.data[name] for name in ("jobId", "transactionId")}
    url, key = f"{local.sandbox_url}/v1/customer/fax-download", {"accessToken": TOKEN}
    file = httpx.post(url, json=ids, headers=key, trust_env=False).json()["data"]
    assert base64.b64decode(file).startswith(b"%PDF")
