"""Which receipt settles which doubt: by recipient, sender, pages and time."""

from base64 import b64encode
from typing import Any

import pytest

from faxline_sandbox.restrictions import PageCounter, check_send
from faxline_worker.state.results import Matched
from tests.hostile_files import plain_pdf
from tests.stage.doubts import SENDER, SETTLED, TO, Make
from tests.stage.scene import BEGIN


def test_a_receipt_that_nobody_claims_is_the_word_on_the_oldest_doubt_of_its_recipient(make: Make) -> None:
    scene = make()
    scene.doubt("elsewhere", number="+12025550199")
    scene.doubt("older")
    scene.doubt("newer")
    assert scene.receipt().result == "unmatched"
    assert scene.store.receipts.match() == []  # an answer that is on its way may still claim it
    assert scene.store.timers.run().match is False
    scene.go(SETTLED)
    assert scene.store.timers.run().match is True
    (matched,) = scene.store.receipts.match()
    assert isinstance(matched, Matched)
    assert (matched.result, matched.job, matched.attempt) == ("resolved_doubt", "older", 1)
    assert (scene.state("older"), scene.record("older")["job_id"]) == ("delivered", "77")
    assert scene.told("older") == ["queued", "in_doubt", "delivered"]
    assert scene.state("newer") == scene.state("elsewhere") == "in_doubt"


def test_the_doubt_whose_request_was_under_way_as_the_call_began_is_meant_before_an_older_one(
    make: Make,
) -> None:
    scene = make()
    scene.doubt("hung")  # iFax did not answer, and does not have it
    scene.go(100)
    scene.doubt("cut off")
    scene.receipt()
    assert scene.match() == [("resolved_doubt", "cut off")]
    assert scene.state("hung") == "in_doubt"


def test_what_is_delivered_again_after_a_match_is_the_fax_itself_and_not_what_ifax_has_under_the_jobid(
    make: Make,
) -> None:
    scene = make()
    scene.doubt("a")
    scene.receipt("500", "failed", again="busy")  # of this fax, or of another to the same number
    assert scene.match() == [("resolved_doubt", "a")]
    scene.go(3600)
    scene.store.timers.run()
    again = scene.call()
    assert (again.job, again.kind, again.request) == ("a", "send", {})


def test_of_the_attempts_of_one_job_the_nearest_in_time_is_meant(make: Make) -> None:
    scene = make(IN_DOUBT__WAIT="100", IN_DOUBT__THEN="resend")
    scene.doubt("a")
    scene.go(100)
    scene.store.timers.run()
    assert scene.answer(scene.call(), "in_doubt").state == "in_doubt"
    scene.receipt("77", "failed")
    assert scene.match() == [("resolved_doubt", "a")]  # the word on the second attempt, and so on the job
    assert scene.state("a") == "failed"


@pytest.mark.parametrize("begins", [0, 10_000])
def test_the_receipt_of_a_scheduled_fax_finds_its_doubt_after_the_policy_gave_it_up(
    make: Make, begins: int
) -> None:
    scene = make(IN_DOUBT__WAIT="100", RECEIPT_DEADLINE="100")
    scene.doubt("a", in_doubt="fail", schedule="provider", send_at=str((BEGIN + 10_000) * 1000))
    for wait in (101, 9800, 200):
        scene.go(wait)
        scene.store.timers.run()
    assert scene.state("a") == "failed"
    scene.news()
    scene.receipt("77", started=BEGIN + begins)
    assert scene.match() == [("duplicate", "a")]
    [told] = scene.news()
    assert (told.name, told.data["outcome"], told.data["state"]) == ("fax.duplicate", "delivered", "failed")


def test_one_receipt_settles_one_doubt_however_often_it_comes(make: Make) -> None:
    scene = make()
    scene.doubt("a")
    scene.doubt("b")
    assert [scene.receipt().result, scene.receipt().result] == ["unmatched", "repeated"]
    assert scene.match() == [("resolved_doubt", "a")]
    assert scene.receipt().result == "repeated"
    assert scene.match() == []
    assert scene.state("b") == "in_doubt"
    assert scene.receipt("78", "failed").result == "unmatched"
    assert scene.match() == [("resolved_doubt", "b")]
    assert scene.state("b") == "failed"


def test_two_receipts_settle_two_doubts_and_the_third_stays(make: Make) -> None:
    scene = make()
    scene.doubt("a")
    scene.doubt("b")
    for job_id in ("77", "78", "79"):
        scene.receipt(job_id)
    assert sorted(scene.match()) == [("resolved_doubt", "a"), ("resolved_doubt", "b")]
    assert scene.client.zrange(scene.keys.unmatched, 0, -1) == [b"79"]


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
    scene = make()
    scene.doubt("a", **job)
    scene.receipt(**other)
    assert scene.match() == []
    assert scene.state("a") == "in_doubt"


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
    scene = make()
    scene.doubt("a", **job)
    scene.receipt(**receipt)
    assert scene.match() == [("resolved_doubt", "a")]


@pytest.mark.parametrize(
    ("name", "data", "selected", "sent"),
    [("a.pdf", plain_pdf(11), ["1-5", "2", "1-10"], 10), ("a.txt", b"a line\n" * 150, None, 3)],
    ids=["overlapping selections", "a text"],
)
def test_the_receipt_of_a_fax_whose_pages_nobody_can_count_settles_its_doubt_and_it_goes_once(
    make: Make, name: str, data: bytes, selected: list[str] | None, sent: int
) -> None:
    scene = make(IN_DOUBT__THEN="resend")
    file = {"fileName": name, "fileData": b64encode(data).decode()} | (
        {"pages": selected} if selected else {}
    )
    scene.take({"id": "a", "fax": {"faxNumber": TO, "callerId": SENDER, "faxData": [file]}})
    admitted = scene.call()
    pages = check_send({**admitted.request, "faxData": [file]}, PageCounter(1)).pages  # as the sandbox counts
    assert pages == sent
    assert scene.answer(admitted, "in_doubt").state == "in_doubt"
    scene.receipt(pages=pages, transferred=pages)
    assert scene.match() == [("resolved_doubt", "a")]
    scene.go(9000)
    scene.store.timers.run()
    assert scene.told("a") == ["queued", "in_doubt", "delivered"]


@pytest.mark.parametrize("caller", ["+1 (202) 555-0100", "12025550100", "Main desk"])
def test_the_receipt_of_a_fax_whose_sender_is_not_in_e164_settles_its_doubt_and_it_goes_once(
    make: Make, caller: str
) -> None:
    scene = make(IN_DOUBT__THEN="resend")
    file = {"fileName": "a.txt", "fileUrl": "https://example.com/a.txt"}
    scene.take({"id": "a", "fax": {"faxNumber": TO, "callerId": caller, "faxData": [file]}})
    assert scene.answer(scene.call(), "in_doubt").state == "in_doubt"
    scene.receipt()
    assert scene.match() == [("resolved_doubt", "a")]
    scene.go(9000)
    scene.store.timers.run()
    assert scene.told("a") == ["queued", "in_doubt", "delivered"]


def test_the_oldest_that_fits_is_found_behind_one_that_does_not(make: Make) -> None:
    scene = make()
    scene.doubt("two-pages", known_pages="2")
    scene.doubt("three-pages")
    scene.receipt()
    assert scene.match() == [("resolved_doubt", "three-pages")]


def test_a_doubt_that_is_entered_after_its_receipt_is_found(make: Make) -> None:
    scene = make()
    scene.push("a")
    admitted = scene.call()
    scene.receipt()
    assert scene.match() == []  # nobody has said yet that its answer is not known
    assert scene.answer(admitted, "in_doubt").state == "in_doubt"
    assert scene.match() == [("resolved_doubt", "a")]


def test_an_answer_on_its_way_claims_its_receipt_before_a_doubt_gets_it(make: Make) -> None:
    scene = make()
    scene.doubt("doubtful")
    scene.push("answered")
    admitted = scene.call()
    scene.receipt()
    assert scene.answer(admitted, "accepted", job_id="77").receipt is not None
    assert scene.match() == []
    assert (scene.state("answered"), scene.state("doubtful")) == ("delivered", "in_doubt")


@pytest.mark.parametrize("wait", ["1", "9000"])
def test_a_receipt_outlives_the_doubts_that_it_may_settle(make: Make, wait: str) -> None:
    scene = make(IN_DOUBT__WAIT=wait)
    scene.receipt()
    key = scene.keys.job_ids + "77"
    assert scene.client.pttl(key) > (float(wait) + SETTLED) * 1000


def test_a_receipt_outlives_a_step_of_redis_clock_however_short_the_wait_is(make: Make) -> None:
    """A time to live ends early by as much as the clock steps forward."""
    scene = make(IN_DOUBT__WAIT="1")
    scene.receipt()
    (key,) = scene.client.keys(f"{scene.keys.job_ids}*")
    assert scene.client.pttl(key) > 3_000_000


WITHOUT_COUNTRY = ["+2025550123", "2025550123", "12025550123"]


@pytest.mark.parametrize("to", [TO, *WITHOUT_COUNTRY])
@pytest.mark.parametrize("sender", [SENDER, "+2025550100", "2025550100"])
def test_a_receipt_settles_the_doubt_though_its_numbers_lack_their_country(
    make: Make, to: str, sender: str
) -> None:
    scene = make()
    scene.doubt("elsewhere", number="+12025550199")
    scene.doubt("a")
    scene.receipt(to=to, sender=sender)
    assert scene.match() == [("resolved_doubt", "a")]
    assert scene.state("elsewhere") == "in_doubt"


def test_a_number_with_its_country_is_meant_before_one_that_only_ends_like_it(make: Make) -> None:
    scene = make()
    scene.doubt("longer", number="+12512445025")
    scene.doubt("same", number="+2512445025")
    scene.receipt(to="+2512445025")
    assert scene.match() == [("resolved_doubt", "same")]


@pytest.mark.parametrize("to", ["+550123", "+3025550123", "+999912025550123", "+5550123"])
def test_numbers_that_differ_or_share_too_few_digits_settle_nothing(make: Make, to: str) -> None:
    scene = make()
    scene.doubt("a")
    scene.receipt(to=to)
    assert scene.match() == []
    assert scene.state("a") == "in_doubt"


def test_a_number_is_forgotten_in_a_receipt_that_lacks_its_country(make: Make) -> None:
    scene = make()
    scene.receipt(to="+2025550123")
    scene.store.maintenance.forget_number(TO)
    assert not any(b"5550123" in key for key in scene.client.scan_iter())
    assert scene.client.get(scene.keys.job_ids + "77") is None


@pytest.mark.parametrize("last", [{}, {"redial": 1}])
def test_nor_is_a_jobid_resent_that_a_match_found_and_whose_failure_was_held(
    make: Make, last: dict[str, int]
) -> None:
    scene = make()
    scene.doubt("a")
    scene.receipt("500", "failed", again="busy", redial=0)
    assert scene.match() == [("held", "a")]
    scene.receipt("500", "failed", again="busy", **last)
    for _ in range(2):
        scene.go(3600)
        scene.store.timers.run()
    again = scene.call()
    assert (again.job, again.kind, again.request) == ("a", "send", {})


def test_while_ifax_goes_on_calling_under_such_a_jobid_the_next_delivery_waits(make: Make) -> None:
    scene = make()
    scene.doubt("a")
    scene.receipt("500", "failed", again="busy", redial=0)
    assert scene.match() == [("held", "a")]
    wait = scene.settings.retries.delivery.redial_wait.total_seconds()
    scene.go(wait + 1)
    scene.store.timers.run()
    assert scene.state("a") == "queued"
    assert scene.receipt("500", "failed", again="busy", redial=1).result == "held"
    scene.go(wait - 1)
    scene.store.timers.run()
    assert scene.client.zscore(scene.keys.delayed, "a")


@pytest.mark.parametrize("number", [None, "+12025550111"])
def test_nor_can_anybody_have_it_resent(make: Make, number: str | None) -> None:
    scene = make()
    scene.doubt("a")
    scene.receipt("500")
    assert scene.match() == [("resolved_doubt", "a")]
    scene.take({"id": "b", "of": "a"} | ({"faxNumber": number} if number else {}), kind="resend")
    assert (scene.told("b"), scene.record("b")) == (["rejected"], {})
