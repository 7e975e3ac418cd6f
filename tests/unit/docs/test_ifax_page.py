"""docs/ifax.md leaves nothing out of iFax's API and of what was seen of it, and says what the code does."""

import re
from pathlib import Path

import pytest

from faxline.contract.entries import FaxFile, FaxRequest
from faxline.contract.errors import Rejection
from faxline_worker.ifax.codes import CLIENT_ERROR, CODES, REDIRECTED, SERVER_ERROR, STATUSES, Decision, Row
from tests.stage import codes
from tests.stage.daemon import usual_settings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "ifax.md").read_text(encoding="utf-8")
FIELD = PAGE.split("\n## What iFax does beyond its documentation\n")[1]

# The lists of the API documentation, in its order.
ENDPOINTS = ("fax-send", "fax-cancel", "fax-resend")
HEADERS = ("accessToken", "Content-Type", "Accept", "_method")
SEND = (
    *("faxNumber", "callerId", "templateId", "smartDocumentId", "subject", "from_name", "to_name", "message"),
    *("send_at", "faxQuality", "faxData", "fileName", "fileUrl", "fileData", "pages"),
)
SEND_ANSWER = ("status", "message", "data", "jobId")
CANCEL = ("jobId",)
CANCEL_ANSWER = ("jobId", "faxStatus")
RESEND = ("jobId", "faxNumber")
RESEND_ANSWER = ("jobId", "originalJobId")
FAX = (
    *("jobId", "fromNumber", "toNumber", "faxCallLength", "faxCallStart", "faxCallEnd", "faxTotalPages"),
    *("faxTransferredPages", "faxStatus", "message", "code", "direction"),
)
WEBHOOK = ("event", "timestamp", "data")
FAX_STATUSES = ("sending", "delivered", "canceled", "failed")
ERROR_CODES = {0: "Success", **codes.ERROR_CODES}
HTTP_STATUSES = (400, 401, 402, 404, 429)
FACTS: dict[int, tuple[str, ...]] = {
    1: ("12001", "12004", "`status` 0"),
    2: ("4xx", "5xx"),
    3: ("X-iFax-Signature", "sha256=", "WEBHOOK_SECRETS", "WEBHOOK_BASIC", "WEBHOOK_PATH_SECRETS"),
    4: ("transactionId", "success", "retryAttempt", "faxReceivedPages"),
    5: ("`inbound`", "`received`", "multipart/form-data", "fax.received"),
    6: ("`cancelled`", "`partially_cancelled`", "`failed_chargeable`", "`blocked`", "`received`"),
    7: ("POST /customer/fax-status", "jobId"),
    8: (
        *("POST /customer/fax-lists", "POST /customer/inbound/number-list", "fax-list-all", "lastFaxId"),
        *("MM/DD/YYYY", "fax-download", "transactionId"),
    ),
    9: ("job_id",),
    10: ("NORMAL_CLEARING",),
    11: ("+2512445025",),
    12: ("FAXLINE_HTTP_TIMEOUT",),
    13: ("retryAttempt", "FAXLINE_RETRIES__DELIVERY__REDIAL_WAIT"),
    14: ("429",),
}
"""By the number of a fact beyond the documentation: the names that its row must have."""
LIMITS = {
    "1000 requests per hour": (),
    "20 concurrent requests": (),
    "burst capacity 50": (),
    "20 MB per request": (Rejection.TOO_LARGE,),
    "200 pages per fax": (Rejection.TOO_MANY_PAGES,),
    "20 files per fax": (Rejection.TOO_MANY_FILES,),
    "15 recipients per fax": (Rejection.TOO_MANY_RECIPIENTS,),
}
WORDS = {
    Decision.ACCEPTED: "taken",
    Decision.DEFER: "waits",
    Decision.PAUSE: "pauses",
    Decision.REFUSE: "fails",
    Decision.RETRY: "again",
    Decision.IN_DOUBT: "in doubt",
    Decision.UNREACHABLE: "unreachable",
}


def table(head: str) -> list[list[str]]:
    """The rows of the table whose first cell of the head is this."""
    lines = PAGE.split(f"\n| {head} |", 1)[1].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def names(head: str) -> list[str]:
    """What stands in backticks in the first cells, in the order of the rows."""
    return [name for row in table(head) for name in re.findall(r"`([^`]+)`", row[0])]


@pytest.mark.parametrize(
    ("head", "documented"),
    [
        ("endpoint", tuple(f"POST /customer/{name}" for name in ENDPOINTS)),
        ("of every call", HEADERS[:3]),
        ("`fax-send`", (*SEND, *SEND_ANSWER)),
        ("`fax-cancel`", (*CANCEL, *CANCEL_ANSWER)),
        ("`fax-resend`", (*RESEND, *RESEND_ANSWER)),
        ("the fax object, and a webhook", (*FAX, *WEBHOOK)),
        ("a `faxStatus`", FAX_STATUSES),
        ("error code", tuple(str(code) for code in ERROR_CODES)),
        ("response code", tuple(str(code) for code in codes.RESPONSE_CODES)),
        ("limit or restriction", ()),
        ("webhooks", ("POST", "X-iFax-Signature")),
    ],
)
def test_every_name_of_the_documentation_has_its_line_and_no_other_has(
    head: str, documented: tuple[str, ...]
) -> None:
    assert sorted(names(head)) == sorted(documented)
    assert all(row[1] for row in table(head))


def test_the_lists_have_what_the_models_take_and_the_table_of_codes_knows() -> None:
    assert set(SEND) == {*FaxRequest.model_fields, *FaxFile.model_fields} - {"document", "upload"}
    assert set(CODES) == {*ERROR_CODES, *codes.RESPONSE_CODES}
    assert set(HTTP_STATUSES) <= set(STATUSES)


def test_the_simulation_of_methods_is_mentioned() -> None:
    assert "`_method`" in PAGE


def says(row: list[str], found: Row) -> None:
    assert row[1] == f"`{found.reason}`"
    assert row[2].startswith(WORDS[found.decision])


@pytest.mark.parametrize(
    ("head", "codes"), [("error code", ERROR_CODES), ("response code", codes.RESPONSE_CODES)]
)
def test_a_code_has_its_message_its_reason_and_what_follows(head: str, codes: dict[int, str]) -> None:
    rows = {row[0]: row for row in table(head)}
    assert list(rows) == [f"`{code}` {message}" for code, message in codes.items()]
    for code, message in codes.items():
        says(rows[f"`{code}` {message}"], CODES[code])


def test_an_http_status_has_its_reason_and_what_follows() -> None:
    rows = {row[0]: row for row in table("HTTP status without a code")}
    others = {"any 3xx": REDIRECTED, "any other 4xx": CLIENT_ERROR, "any other 5xx": SERVER_ERROR}
    expected = {**{f"`{status}`": row for status, row in STATUSES.items()}, **others}
    assert set(rows) == {*expected, "no answer"}
    for name, row in expected.items():
        says(rows[name], row)


def test_every_limit_has_its_line_with_the_reason_of_its_rejection() -> None:
    rows = dict(table("limit or restriction"))
    assert set(rows) == set(LIMITS)
    for name, reasons in LIMITS.items():
        assert all(f"`{reason}`" in rows[name] for reason in reasons)


def test_the_retries_of_a_webhook_are_told_with_their_times() -> None:
    rows = dict(table("webhooks"))
    row = rows["5 retries, after 5, 10, 20, 30 and 60 minutes"]
    settings = usual_settings()
    assert f"{sum((5, 10, 20, 30, 60))} minutes" in row
    assert f"`FAXLINE_RECEIPT_DEADLINE` is {settings.receipt_deadline.total_seconds() / 60:g}" in row


def test_every_fact_beyond_the_documentation_has_its_row_how_sure_it_is_and_what_follows() -> None:
    rows = [line.strip("|").split(" | ") for line in FIELD.splitlines() if re.match(r"\| [0-9]", line)]
    assert [int(row[0]) for row in rows] == list(FACTS)
    for number, fact, seen, follows in rows:
        assert all(cell.strip() for cell in (fact, seen, follows)), number
        assert all(name in fact + follows for name in FACTS[int(number)]), number


PROOFS: dict[int, tuple[str, ...]] = {
    1: (
        "test_forty_faxes_with_a_bad_key_leave_no_doubt_and_one_alert_that_names_the_key",
        "test_an_account_whose_plan_is_not_active_is_paused_by_that_name",
        "test_a_refusal_that_nobody_knows_fails_its_fax_alone_with_ifaxs_words",
    ),
    2: ("test_an_error_by_http_is_read_as_the_documentation_has_it",),
    3: ("test_a_new_user_learns_why_webhooks_are_refused_and_once_that_is_mended_nothing_is_lost",),
    4: ("test_a_webhook_is_read_however_it_is_written",),
    5: ("test_a_fax_that_comes_in_is_told_once_and_is_no_dead_receipt",),
    6: ("test_each_word_of_a_receipt_ends_the_fax_as_it_says", "test_a_failure_that_is_charged_is_told_so"),
    7: ("test_the_code_of_a_fax_that_is_asked_for_is_the_faxs_and_not_the_calls",),
    8: ("test_a_fax_that_comes_in_is_told_once_and_is_no_dead_receipt",),
    9: ("test_a_webhook_is_read_however_it_is_written",),
    10: ("test_a_number_beside_a_text_that_nobody_knows_decides_nothing",),
    11: ("test_a_doubt_is_settled_by_a_receipt_whose_sender_lacks_its_country",),
    12: ("test_an_answer_that_comes_too_late_is_a_doubt_that_the_receipt_settles",),
    13: ("test_a_redial_of_ifaxs_own_is_awaited_and_nothing_is_sent_twice",),
    14: ("test_a_429_that_says_nothing_costs_no_attempt",),
}
"""By the number of a fact: its tests by real processes."""


def test_every_fact_beyond_the_documentation_is_proved_by_real_processes() -> None:
    tests = "".join(path.read_text() for path in (ROOT / "tests" / "end_to_end").glob("test_*.py"))
    assert list(PROOFS) == list(FACTS)
    assert [name for names in PROOFS.values() for name in names if f"def {name}(" not in tests] == []
