"""Doubts: which receipt settles which, what a late answer does, when the policy applies. On our own clock."""

import json
from base64 import b64encode
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_sandbox.restrictions import PageCounter, check_send
from faxline_worker.config.settings import read_settings
from faxline_worker.intake.registrar import Intake
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.processes.common import failure_labels
from faxline_worker.state.results import Admitted, Held, Idle, Matched, Settlement
from faxline_worker.state.store import Store
from tests.hostile_files import plain_pdf

CLOCK = """
local now_us = tonumber(redis.call('GET', 'clock'))
local now = math.floor(now_us / 1000)
local function int(number) return string.format('%.0f', number) end
"""
BEGIN = 1_800_000_000
TO, SENDER = "+12025550123", "+12025550100"
SETTINGS = {"HTTP_TIMEOUT": "30", "LEASE_GRACE": "10", "SWEEP": "10", "IN_DOUBT__CLOCK_SLACK": "120"}
SETTLED = 60.1
"""Seconds after which nobody claims a receipt any more: the lease (50 s), and a sweep."""


class Line:
    """A store whose time stands still until it is told otherwise."""

    def __init__(self, client: redis.Redis, **changes: str) -> None:
        environment = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token", "FAXLINE_NUMBERS__CONCURRENT": "0"}
        environment |= {f"FAXLINE_{name}": value for name, value in (SETTINGS | changes).items()}
        self.client: Any = client
        self.seconds = 0.0
        self.go(0)
        self.store = Store(client, read_settings(environment), "default", clock=CLOCK)
        client.xgroup_create(self.store.keys.intake, INTAKE_GROUP, id="0", mkstream=True)
        self.store.timers.run()
        self.permits = 0

    def go(self, seconds: float) -> None:
        self.seconds += seconds
        self.client.set("clock", round((BEGIN + self.seconds) * 1_000_000))

    def push(self, job: str, **fields: str) -> None:
        entry = self.client.xadd(self.store.keys.intake, {"send": "{}"})
        self.client.xreadgroup(INTAKE_GROUP, "test", {self.store.keys.intake: ">"})
        values = {"kind": "send", "request": "{}", "number": TO, "sender": SENDER, "known_pages": "3"}
        values |= {"priority": "normal", **fields}
        item = {"id": job, "digest": "d", "rank": 2, "fields": values}
        self.store.intake.register([{"entry": entry.decode(), "jobs": [item]}])

    def take(self, entry: dict[str, Any]) -> None:
        """A producer's entry, as the dispatcher takes it."""
        self.client.xadd(self.store.keys.intake, {"send": json.dumps(entry)})
        ((_, entries),) = self.client.xreadgroup(INTAKE_GROUP, "test", {self.store.keys.intake: ">"})
        metrics = DispatcherMetrics(new_registry(), ["default"], failure_labels())
        Intake(self.store, metrics, Mock()).take([(name.decode(), fields) for name, fields in entries])

    def call(self) -> Admitted:
        """The next job's request leaves."""
        self.permits += 1
        admitted = self.store.submission.admit(f"permit-{self.permits}", "")
        assert isinstance(admitted, Admitted), admitted
        self.store.submission.mark(admitted)
        return admitted

    def answer(self, admitted: Admitted, decision: str, **more: Any) -> Settlement:
        return self.store.submission.settle(
            admitted, {"decision": decision, "reason": decision, "retry": 0, **more}
        )

    def doubt(self, job: str, **fields: str) -> Admitted:
        """A job whose request may have reached iFax, a second ago."""
        self.push(job, **fields)
        admitted = self.call()
        assert admitted.job == job
        assert self.answer(admitted, "in_doubt").state == "in_doubt"
        self.go(1)
        return admitted

    def receipt(self, job_id: str = "77", outcome: str = "delivered", **members: Any) -> str:
        entry = self.client.xadd(self.store.keys.status, {"body": b"{}", "kind": "receipt"})
        content = {"job_id": job_id, "outcome": outcome, "code": 0, "reason": "r", "pages": 3}
        content |= {"transferred": 3, "to": TO, "sender": SENDER, "started": round(BEGIN + self.seconds)}
        return self.store.receipts.apply([(entry.decode(), content | members)])[0].result

    def match(self) -> list[tuple[str, str]]:
        """What the receipts did that nobody has claimed by now."""
        self.go(SETTLED)
        return [(matched.result, matched.job) for matched in self.store.receipts.match()]

    def field(self, job: str, name: str) -> str:
        return (self.client.hget(self.store.keys.job(job), name) or b"").decode()

    def state(self, job: str) -> str:
        return self.field(job, "state")

    def events(self, job: str) -> list[str]:
        entries = self.client.xrange(self.store.keys.events)
        return [f[b"event"].decode().removeprefix("fax.") for _, f in entries if f[b"job"] == job.encode()]


Make = Callable[..., Line]


@pytest.fixture
def make(redis_client: redis.Redis) -> Make:
    return lambda **changes: Line(redis_client, **changes)


def test_a_receipt_that_nobody_claims_is_the_word_on_the_oldest_doubt_of_its_recipient(make: Make) -> None:
    line = make()
    line.doubt("elsewhere", number="+12025550199")
    line.doubt("older")
    line.doubt("newer")
    assert line.receipt() == "unmatched"
    assert line.store.receipts.match() == []  # an answer that is on its way may still claim it
    assert line.store.timers.run().match is False
    line.go(SETTLED)
    assert line.store.timers.run().match is True
    (matched,) = line.store.receipts.match()
    assert isinstance(matched, Matched)
    assert (matched.result, matched.job, matched.attempt) == ("resolved_doubt", "older", 1)
    assert (line.state("older"), line.field("older", "job_id")) == ("delivered", "77")
    assert line.events("older") == ["queued", "in_doubt", "delivered"]
    assert line.state("newer") == line.state("elsewhere") == "in_doubt"


def test_of_the_attempts_of_one_job_the_nearest_in_time_is_meant(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100", IN_DOUBT__THEN="resend")
    line.doubt("a")
    line.go(100)
    line.store.timers.run()
    assert line.answer(line.call(), "in_doubt").state == "in_doubt"
    line.receipt("77", "failed")
    assert line.match() == [("resolved_doubt", "a")]  # the word on the second attempt, and so on the job
    assert line.state("a") == "failed"


def test_one_receipt_settles_one_doubt_however_often_it_comes(make: Make) -> None:
    line = make()
    line.doubt("a")
    line.doubt("b")
    assert [line.receipt(), line.receipt()] == ["unmatched", "repeated"]
    assert line.match() == [("resolved_doubt", "a")]
    assert line.receipt() == "repeated"
    assert line.match() == []
    assert line.state("b") == "in_doubt"
    assert line.receipt("78", "failed") == "unmatched"
    assert line.match() == [("resolved_doubt", "b")]
    assert line.state("b") == "failed"


def test_two_receipts_settle_two_doubts_and_the_third_stays(make: Make) -> None:
    line = make()
    line.doubt("a")
    line.doubt("b")
    for job_id in ("77", "78", "79"):
        line.receipt(job_id)
    assert sorted(line.match()) == [("resolved_doubt", "a"), ("resolved_doubt", "b")]
    assert line.client.zrange(line.store.keys.unmatched, 0, -1) == [b"79"]


@pytest.mark.parametrize(
    ("other", "job"),
    [
        ({"to": "+12025550199"}, {}),
        ({"to": None}, {}),
        ({"sender": "+12025550199"}, {}),
        ({"started": BEGIN - 121}, {}),
        ({"started": BEGIN + 50 + 121}, {}),
        ({"pages": 2}, {}),
        ({"pages": 4}, {}),
        ({"pages": 2}, {"cover": "1"}),
        ({"pages": 9}, {"known_pages": "10-16"}),
        ({"pages": 17}, {"known_pages": "10-16"}),
        ({"pages": 9}, {"known_pages": "10-16", "cover": "1"}),
    ],
)
def test_a_receipt_that_disagrees_settles_nothing(
    make: Make, other: dict[str, Any], job: dict[str, str]
) -> None:
    line = make()
    line.doubt("a", **job)
    line.receipt(**other)
    assert line.match() == []
    assert line.state("a") == "in_doubt"


@pytest.mark.parametrize(
    ("receipt", "job"),
    [
        ({"sender": None}, {}),
        ({"sender": "+12025550199"}, {"sender": ""}),
        ({"started": None}, {}),
        ({"started": BEGIN - 119}, {}),
        ({"started": BEGIN + 50 + 119}, {}),
        ({"pages": None}, {}),
        ({"pages": 17}, {"known_pages": ""}),
        ({"pages": 4}, {"cover": "1"}),
        ({"pages": 10}, {"known_pages": "10-16"}),
        ({"pages": 16}, {"known_pages": "10-16"}),
        ({"pages": 17}, {"known_pages": "10-16", "cover": "1"}),
    ],
)
def test_what_one_side_does_not_know_what_clocks_differ_and_a_cover_page_are_no_disagreement(
    make: Make, receipt: dict[str, Any], job: dict[str, str]
) -> None:
    line = make()
    line.doubt("a", **job)
    line.receipt(**receipt)
    assert line.match() == [("resolved_doubt", "a")]


@pytest.mark.parametrize(
    ("name", "data", "selected", "sent"),
    [("a.pdf", plain_pdf(11), ["1-5", "2", "1-10"], 10), ("a.txt", b"a line\n" * 150, None, 3)],
    ids=["overlapping selections", "a text"],
)
def test_the_receipt_of_a_fax_whose_pages_nobody_can_count_settles_its_doubt_and_it_goes_once(
    make: Make, name: str, data: bytes, selected: list[str] | None, sent: int
) -> None:
    line = make(IN_DOUBT__THEN="resend")
    file = {"fileName": name, "fileData": b64encode(data).decode()} | (
        {"pages": selected} if selected else {}
    )
    line.take({"id": "a", "fax": {"faxNumber": TO, "callerId": SENDER, "faxData": [file]}})
    admitted = line.call()
    pages = check_send({**admitted.request, "faxData": [file]}, PageCounter(1)).pages  # as the sandbox counts
    assert pages == sent
    assert line.answer(admitted, "in_doubt").state == "in_doubt"
    line.receipt(pages=pages, transferred=pages)
    assert line.match() == [("resolved_doubt", "a")]
    line.go(9000)
    line.store.timers.run()
    assert line.events("a") == ["queued", "in_doubt", "delivered"]


@pytest.mark.parametrize("caller", ["+1 (202) 555-0100", "12025550100", "Main desk"])
def test_the_receipt_of_a_fax_whose_sender_is_not_in_e164_settles_its_doubt_and_it_goes_once(
    make: Make, caller: str
) -> None:
    line = make(IN_DOUBT__THEN="resend")
    file = {"fileName": "a.txt", "fileUrl": "https://example.com/a.txt"}
    line.take({"id": "a", "fax": {"faxNumber": TO, "callerId": caller, "faxData": [file]}})
    assert line.answer(line.call(), "in_doubt").state == "in_doubt"
    line.receipt()
    assert line.match() == [("resolved_doubt", "a")]
    line.go(9000)
    line.store.timers.run()
    assert line.events("a") == ["queued", "in_doubt", "delivered"]


def test_the_oldest_that_fits_is_found_behind_one_that_does_not(make: Make) -> None:
    line = make()
    line.doubt("two-pages", known_pages="2")
    line.doubt("three-pages")
    line.receipt()
    assert line.match() == [("resolved_doubt", "three-pages")]


def test_a_doubt_that_is_entered_after_its_receipt_is_found(make: Make) -> None:
    line = make()
    line.push("a")
    admitted = line.call()
    line.receipt()
    assert line.match() == []  # nobody has said yet that its answer is not known
    assert line.answer(admitted, "in_doubt").state == "in_doubt"
    assert line.match() == [("resolved_doubt", "a")]


def test_an_answer_on_its_way_claims_its_receipt_before_a_doubt_gets_it(make: Make) -> None:
    line = make()
    line.doubt("doubtful")
    line.push("answered")
    admitted = line.call()
    line.receipt()
    assert line.answer(admitted, "accepted", job_id="77").receipt is not None
    assert line.match() == []
    assert (line.state("answered"), line.state("doubtful")) == ("delivered", "in_doubt")


@pytest.mark.parametrize("wait", ["1", "9000"])
def test_a_receipt_outlives_the_doubts_that_it_may_settle(make: Make, wait: str) -> None:
    line = make(IN_DOUBT__WAIT=wait)
    line.receipt()
    key = line.store.keys.job_ids + "77"
    assert line.client.pttl(key) > (float(wait) + SETTLED) * 1000


def test_a_receipt_outlives_a_step_of_redis_clock_however_short_the_wait_is(make: Make) -> None:
    """A time to live ends early by as much as the clock steps forward."""
    line = make(IN_DOUBT__WAIT="1")
    line.receipt()
    (key,) = line.client.keys(f"{line.store.keys.job_ids}*")
    assert line.client.pttl(key) > 3_000_000


def test_a_job_that_was_to_be_sent_again_is_not_once_a_receipt_says_it_was_delivered(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100")
    line.doubt("a", in_doubt="resend")
    line.go(99)
    assert [change.event for change in line.store.timers.run().changes] == ["fax.retrying"]
    assert line.state("a") == "queued"
    line.receipt(started=BEGIN)
    assert line.match() == [("resolved_doubt", "a")]
    assert line.state("a") == "delivered"
    assert isinstance(line.store.submission.admit("again", ""), Idle)
    assert line.events("a") == ["queued", "in_doubt", "retrying", "delivered"]


def test_a_job_that_was_to_be_sent_again_is_though_a_receipt_says_that_it_failed_before(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100")
    line.doubt("a", in_doubt="resend")
    line.go(99)
    line.store.timers.run()
    line.receipt(outcome="failed", started=BEGIN)
    assert line.match() == [("duplicate", "a")]
    assert line.events("a")[-1] == "duplicate"
    assert line.call().attempt == 2


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_receipt_of_the_attempt_before_the_one_under_way_is_told_as_a_duplicate(
    make: Make, outcome: str
) -> None:
    line = make(IN_DOUBT__WAIT="100")
    line.doubt("a", in_doubt="resend", metadata='{"x":1}')
    line.go(99)
    line.store.timers.run()
    again = line.call()
    line.receipt(outcome=outcome, started=BEGIN)
    assert line.match() == [("duplicate", "a")]
    assert line.state("a") == "submitting"
    events = line.client.xrevrange(line.store.keys.events, count=1)[0][1]
    assert events[b"event"] == b"fax.duplicate"
    assert json.loads(events[b"data"]) == {
        "state": "submitting",
        "attempt": 2,
        "jobId": 77,
        "metadata": {"x": 1},
        "call_started_at": 1000 * BEGIN,
    }
    assert line.answer(again, "accepted", job_id="78").state == "submitted"
    assert line.receipt() == "repeated"
    assert (line.receipt("78"), line.state("a")) == ("applied", "delivered")


def doubted_twice(line: Line) -> Admitted:
    """A job of which two attempts are in doubt, the second two minutes after the first."""
    first = line.doubt("a", in_doubt="resend")
    line.go(99)
    line.store.timers.run()
    line.go(200)
    assert line.answer(line.call(), "in_doubt").state == "in_doubt"
    return first


def test_of_two_doubts_of_a_job_the_earlier_ones_delivery_settles_it_and_the_laters_is_a_duplicate(
    make: Make,
) -> None:
    line = make(IN_DOUBT__WAIT="100")
    doubted_twice(line)
    line.receipt("77", started=BEGIN)
    line.receipt("78", started=BEGIN + 300)
    assert sorted(line.match()) == [("duplicate", "a"), ("resolved_doubt", "a")]
    assert (line.state("a"), line.field("a", "job_id")) == ("delivered", "77")


def test_that_an_earlier_attempt_failed_is_no_word_on_the_last_one(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100")
    doubted_twice(line)
    line.receipt("77", "failed", started=BEGIN)
    assert line.match() == [("duplicate", "a")]
    assert line.state("a") == "in_doubt"
    line.receipt("78", started=BEGIN + 300)
    assert line.match() == [("resolved_doubt", "a")]
    assert line.state("a") == "delivered"


def lost(line: Line, job: str, **fields: str) -> Admitted:
    """A job whose worker is lost after the mark."""
    line.push(job, **fields)
    admitted = line.call()
    line.go(51)
    assert [(c.event, c.reason) for c in line.store.timers.run().changes] == [("fax.in_doubt", "worker_lost")]
    return admitted


def test_a_late_acceptance_stops_what_was_to_be_sent_again(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100")
    late = lost(line, "a", in_doubt="resend")
    line.go(100)
    line.store.timers.run()
    assert line.state("a") == "queued"
    done = line.answer(late, "accepted", job_id="77")
    assert (done.result, done.state) == ("resolved", "submitted")
    assert isinstance(line.store.submission.admit("again", ""), Idle)
    assert not line.client.exists(line.store.keys.doubts, line.store.keys.ready, line.store.keys.in_doubt)
    assert line.answer(late, "accepted", job_id="77").result == "repeated"


@pytest.mark.parametrize(
    ("decision", "state"),
    [
        ("accepted", "submitted"),
        ("refuse", "failed"),
        ("retry", "queued"),
        ("defer", "queued"),
        ("pause", "queued"),
    ],
)
def test_the_answer_of_a_worker_that_was_taken_for_lost_settles_its_doubt(
    make: Make, decision: str, state: str
) -> None:
    line = make()
    late = lost(line, "a")
    done = line.answer(late, decision, job_id="77")
    assert (done.result, done.state) == ("resolved", state)
    assert not line.client.exists(line.store.keys.doubts, line.store.keys.doubts_until)
    assert line.answer(late, decision, job_id="77").result == "repeated"


def test_a_worker_that_comes_back_without_an_answer_changes_nothing(make: Make) -> None:
    line = make()
    late = lost(line, "a")
    assert line.answer(late, "in_doubt").result == "stale"
    assert line.events("a") == ["queued", "in_doubt"]
    assert line.client.zcard(line.store.keys.doubts) == 1


def test_a_late_acceptance_of_the_attempt_before_the_one_under_way_is_told_and_its_doubt_forgotten(
    make: Make,
) -> None:
    line = make(IN_DOUBT__WAIT="100")
    late = lost(line, "a", in_doubt="resend")
    line.go(100)
    line.store.timers.run()
    again = line.call()
    assert line.answer(late, "accepted", job_id="77").result == "duplicate"
    assert line.events("a")[-1] == "duplicate"
    assert line.client.zcard(line.store.keys.doubts) == 0  # so that no other fax's receipt meets it
    assert line.answer(again, "accepted", job_id="78").state == "submitted"


def test_a_late_acceptance_of_an_earlier_attempt_settles_the_doubt_about_the_last(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100")
    late = lost(line, "a", in_doubt="resend")
    line.go(100)
    line.store.timers.run()
    assert line.answer(line.call(), "in_doubt").state == "in_doubt"
    done = line.answer(late, "accepted", job_id="77")
    assert (done.result, done.state) == ("resolved", "submitted")
    line.go(1000)
    assert line.store.timers.run().changes == ()  # nothing is sent a third time
    assert line.client.zcard(line.store.keys.doubts) == 1  # the last attempt's own


@pytest.mark.parametrize(
    ("policy", "event", "state"),
    [("resend", "fax.retrying", "queued"), ("fail", "fax.failed", "failed"), ("hold", None, "in_doubt")],
)
@pytest.mark.parametrize("own", [True, False])
def test_the_policy_applies_when_the_wait_is_over(
    make: Make, policy: str, event: str | None, state: str, own: bool
) -> None:
    line = make(
        IN_DOUBT__WAIT="100", IN_DOUBT__THEN=("hold" if policy == "fail" else "fail") if own else policy
    )
    line.doubt("a", **({"in_doubt": policy} if own else {}))
    line.go(98)
    assert line.store.timers.run().changes == ()
    line.go(1)
    assert [change.event for change in line.store.timers.run().changes] == ([event] if event else [])
    assert line.state("a") == state


def test_a_job_without_an_attempt_left_is_held_whatever_its_policy(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100", RETRIES__SUBMISSION__ATTEMPTS="1")
    line.doubt("a", in_doubt="resend")
    line.go(100)
    assert line.store.timers.run().changes == ()
    assert line.client.zscore(line.store.keys.in_doubt, "a") == float("inf")


def test_a_doubt_that_was_given_up_and_turns_out_to_be_delivered_is_told(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100")
    line.doubt("a", in_doubt="fail")
    line.go(99)
    line.store.timers.run()
    line.receipt(started=BEGIN)
    assert line.match() == [("duplicate", "a")]
    assert line.events("a") == ["queued", "in_doubt", "failed", "duplicate"]
    assert line.state("a") == "failed"


def test_a_job_whose_expiry_passes_while_it_is_in_doubt_is_not_sent_again(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100")
    line.doubt("a", in_doubt="resend", expires_at=str((BEGIN + 50) * 1000))
    line.go(50)
    assert line.store.timers.run().changes == ()
    line.go(50)
    changes = line.store.timers.run().changes
    assert [(c.event, c.reason) for c in changes] == [("fax.retrying", "in_doubt"), ("fax.failed", "expired")]
    assert isinstance(line.store.submission.admit("again", ""), Idle)


def test_a_doubt_holds_its_permit_as_long_as_the_request_could_live(make: Make) -> None:
    line = make(LIMITS__CONCURRENCY="1")
    line.doubt("a")
    line.push("b")
    assert line.store.submission.admit("x", "") == Held("concurrency")
    line.go(10)
    assert line.store.timers.run().ready
    assert line.call().job == "b"


@pytest.mark.parametrize(("policy", "state", "remembered"), [("fail", "failed", 0), ("hold", "in_doubt", 2)])
def test_a_doubt_is_forgotten_when_no_receipt_can_come_any_more_unless_it_is_held(
    make: Make, policy: str, state: str, remembered: int
) -> None:
    line = make(IN_DOUBT__WAIT="100", RECEIPT_DEADLINE="1000", IN_DOUBT__THEN=policy)
    line.doubt("a")
    line.go(1099)
    line.store.timers.run()
    assert line.client.exists(line.store.keys.doubts, line.store.keys.doubts_until) == remembered
    assert line.state("a") == state


def test_a_policy_waits_for_a_receipt_that_came_in_time_and_has_not_been_read(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100", IN_DOUBT__THEN="fail")
    line.doubt("a")
    moment = round((BEGIN + line.seconds + 50) * 1000)
    line.client.xadd(line.store.keys.status, {"kind": "receipt", "body": "{}"}, id=f"{moment}-0")
    line.go(101)
    line.store.timers.run()
    assert line.state("a") == "in_doubt"
    line.client.xtrim(line.store.keys.status, maxlen=0)
    line.store.timers.run()
    assert line.state("a") == "failed"


def test_a_policy_waits_for_a_receipt_that_is_to_be_held_against_the_doubt(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="100", IN_DOUBT__THEN="fail")
    line.doubt("a")
    line.go(95)
    line.receipt("77")
    line.go(6)
    line.store.timers.run()
    assert line.state("a") == "in_doubt"
    line.match()
    assert line.state("a") == "delivered"


WITHOUT_COUNTRY = ["+2025550123", "2025550123", "12025550123"]


@pytest.mark.parametrize("to", [TO, *WITHOUT_COUNTRY])
@pytest.mark.parametrize("sender", [SENDER, "+2025550100", "2025550100"])
def test_a_receipt_settles_the_doubt_though_its_numbers_lack_their_country(
    make: Make, to: str, sender: str
) -> None:
    line = make()
    line.doubt("elsewhere", number="+12025550199")
    line.doubt("a")
    line.receipt(to=to, sender=sender)
    assert line.match() == [("resolved_doubt", "a")]
    assert line.state("elsewhere") == "in_doubt"


def test_a_number_with_its_country_is_meant_before_one_that_only_ends_like_it(make: Make) -> None:
    line = make()
    line.doubt("longer", number="+12512445025")
    line.doubt("same", number="+2512445025")
    line.receipt(to="+2512445025")
    assert line.match() == [("resolved_doubt", "same")]


@pytest.mark.parametrize("to", ["+550123", "+3025550123", "+999912025550123", "+5550123"])
def test_numbers_that_differ_or_share_too_few_digits_settle_nothing(make: Make, to: str) -> None:
    line = make()
    line.doubt("a")
    line.receipt(to=to)
    assert line.match() == []
    assert line.state("a") == "in_doubt"


def test_a_policy_waits_for_a_receipt_whose_number_lacks_its_country(make: Make) -> None:
    line = make(IN_DOUBT__WAIT="1", IN_DOUBT__THEN="resend")
    line.doubt("a")
    line.receipt(to="+2025550123")
    line.go(1.1)
    line.store.timers.run()
    assert line.state("a") == "in_doubt"
    assert line.match() == [("resolved_doubt", "a")]


def test_a_number_is_forgotten_in_a_receipt_that_lacks_its_country(make: Make) -> None:
    line = make()
    line.receipt(to="+2025550123")
    line.store.maintenance.forget_number(TO)
    assert not any(b"5550123" in key for key in line.client.scan_iter())
    assert line.client.get(line.store.keys.job_ids + "77") is None
