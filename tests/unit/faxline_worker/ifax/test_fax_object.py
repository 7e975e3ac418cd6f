"""The one parser of a fax object, and what a receipt makes of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline_worker.ifax.causes import delivery_reasons
from faxline_worker.ifax.fax_object import STATUSES, Status, read_fax, status_of
from faxline_worker.ifax.receipts import Inbound, Nonsense, Receipt, is_sending, read_receipt

FAX = {
    "jobId": 12345,
    "fromNumber": "+12512445025",
    "toNumber": "+12025550601",
    "faxTotalPages": 2,
    "faxTransferredPages": 1,
    "faxStatus": "failed",
    "message": "USER_BUSY",
    "code": 17,
    "faxCallStart": 1610966603,
}


def read(fax: Any) -> Receipt | Inbound | Nonsense:
    return read_receipt(json.dumps(fax).encode())


def receipt(fax: Any) -> Receipt:
    found = read(fax)
    assert isinstance(found, Receipt)
    return found


OTHER_FORMS = {
    "nested": {"event": "fax.completed", "timestamp": 1, "data": FAX},
    "flat": FAX,
    "flat, with the answer's own members": {"status": 1, "event": "fax.completed", **FAX},
    "texts for numbers": {name: str(value) for name, value in FAX.items()},
    "blanks": {name: f" {value} " if name != "message" else value for name, value in FAX.items()},
    "names in other cases": {name.upper(): value for name, value in FAX.items()},
    "job_id": {"job_id": "12345", **{name: value for name, value in FAX.items() if name != "jobId"}},
    "jobId beside data": {"jobId": "12345", "data": {k: v for k, v in FAX.items() if k != "jobId"}},
    "faxStatus beside data": {**FAX, "data": {"jobId": 12345}},
    "a word in capitals": FAX | {"faxStatus": "FAILED"},
    "numbers with dashes": FAX | {"toNumber": "+1 (202) 555-0601"},
}


@pytest.mark.parametrize("body", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_a_fax_reads_the_same_however_it_is_written(body: Any) -> None:
    assert receipt(body) == receipt(FAX)
    assert receipt(FAX).job_id == "12345"
    assert receipt(FAX).again == "busy"


def test_the_documented_name_counts_before_one_that_is_written_otherwise() -> None:
    assert read_fax({"job_id": 1, "jobId": 2, "JOBID": 3, "faxStatus": "failed"}).job_id == 2


@pytest.mark.parametrize("job_id", ["+12345", "-1", 0, -1, True, 1.5, 10**18, "", " ", "1 2", None, "\u0663"])
def test_what_is_no_jobid_is_not_taken_for_one(job_id: Any) -> None:
    assert read(FAX | {"jobId": job_id}) is Nonsense.MALFORMED


@pytest.mark.parametrize(
    ("word", "outcome", "reason", "again", "charged"),
    [
        ("delivered", "delivered", "busy", None, None),
        (" Cancelled ", "canceled", "busy", None, None),
        ("canceled", "canceled", "busy", None, None),
        ("Partially-Cancelled", "canceled", "busy", None, None),
        ("failed_chargeable", "failed", "busy", "busy", True),
        ("failed chargeable", "failed", "busy", "busy", True),
        ("blocked", "failed", "rejected", None, None),
        ("failed_for_reasons", "failed", "other", "other", None),
        ("Rejected", "failed", "other", "other", None),
        ("blocked_by_carrier", "failed", "other", "other", None),
    ],
)
def test_each_word_of_a_status_has_its_meaning(
    word: str, outcome: str, reason: str, again: str | None, charged: bool | None
) -> None:
    found = receipt(FAX | {"faxStatus": word})
    assert (found.outcome, found.reason, found.again, found.charged) == (outcome, reason, again, charged)


@pytest.mark.parametrize("word", ["sending", "Sending ", "queued", "unfailed", "no_block"])
def test_a_word_that_is_not_final_is_not_guessed_at(word: str) -> None:
    assert read(FAX | {"faxStatus": word}) is Nonsense.UNKNOWN_STATUS
    assert is_sending(json.dumps({"status": 1, "data": FAX | {"faxStatus": word}}).encode()) == (
        word.strip().lower() == "sending"
    )


def test_every_reason_of_a_receipt_is_a_metrics_label_from_the_start() -> None:
    reasons = {receipt(FAX | {"faxStatus": word}).reason for word in [*STATUSES, "failed_x"] if _ends(word)}
    assert reasons <= {reason for _, reason in delivery_reasons()}


def _ends(word: str) -> bool:
    return status_of(word) in {Status.DELIVERED, Status.FAILED, Status.CANCELED}


def test_a_receipt_tells_how_often_ifax_tried_by_itself() -> None:
    assert receipt(FAX | {"retryAttempt": "2"}).redial == 2
    assert receipt(FAX | {"retryAttempt": 0}).redial == 0
    assert receipt(FAX).redial is None
    assert receipt(FAX | {"retryAttempt": 2, "faxStatus": "delivered"}).redial == 2


IN = {
    "jobId": 77,
    "transactionId": 991,
    "fromNumber": "+441224515014",
    "toNumber": "+12025550100",
    "faxReceivedPages": 3,
    "faxStatus": "received",
    "direction": "inbound",
    "message": "NORMAL_CLEARING",
    "code": 0,
    "faxCallEnd": 1610966723,
}


@pytest.mark.parametrize("message", [{"text": "USER_BUSY"}, ["x"], 1, True])
def test_a_number_beside_a_message_that_is_no_text_ends_no_fax(message: Any) -> None:
    assert receipt(FAX | {"message": None, "code": 1}).again is None  # an unallocated number is final
    assert receipt(FAX | {"message": message, "code": 1}).again == "other"


@pytest.mark.parametrize(
    "body",
    [
        IN,
        {"data": IN},
        IN | {"direction": "Received", "faxStatus": "delivered"},
        {name: value for name, value in IN.items() if name != "direction"},
        {name: value for name, value in IN.items() if name != "faxStatus"},
        {name: str(value) for name, value in IN.items()},
    ],
)
def test_an_inbound_fax_is_no_receipt_and_shows_no_full_number(body: Any) -> None:
    assert read(body) == Inbound(
        known_by="77",
        sender="…5014",
        to="…0100",
        pages=3,
        job_id="77",
        transaction_id="991",
        received_at=1610966723,
    )


def test_an_inbound_fax_without_an_id_is_known_by_its_content() -> None:
    nameless = {name: value for name, value in IN.items() if name not in {"jobId", "transactionId"}}
    first, again = read(nameless), read(dict(reversed(nameless.items())))
    assert first == again != read(nameless | {"faxReceivedPages": 4})


def test_a_sent_fax_is_not_inbound_whatever_its_word() -> None:
    assert read(IN | {"direction": "sent"}) is Nonsense.UNKNOWN_STATUS


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from([*STATUSES]),
        lambda inner: (
            st.dictionaries(
                st.sampled_from(["data", *FAX, "direction", "retryAttempt", "job_id", "x"]), inner
            )
            | st.lists(inner, max_size=3)
        ),
        max_leaves=12,
    )
)
def test_any_json_reads_without_an_error(body: Any) -> None:
    found = read(body)
    assert isinstance(found, Nonsense | Receipt | Inbound)
    if isinstance(found, Receipt):
        assert found.job_id.isdigit()
