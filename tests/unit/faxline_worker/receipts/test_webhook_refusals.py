"""How the webhook tells whom it lets in and refuses, and what it says in its log and to the doctor."""

import pytest
import redis

from faxline_worker.ifax.webhook_access import WebhookSecrets
from faxline_worker.receipts import line_limit
from faxline_worker.receipts.line_limit import LINES
from faxline_worker.receipts.signature import HEADER, sign
from faxline_worker.receipts.webhook_proofs import DOCTOR, basic_header
from tests.stage.webhooks import (
    ACCOUNTS,
    NEW,
    OLD,
    PATH,
    RECEIPT,
    MemoryStore,
    Site,
    TestClient,
    post,
    post_signed,
)

USER, BY_PATH = b"ifax:a-password-of-ours", b"a-secret-of-the-path"
THREE_WAYS = WebhookSecrets([OLD, NEW], [USER], [BY_PATH])


@pytest.fixture
def open_site(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> Site:
    """An account that has all three proofs, and one that has a user alone."""
    monkeypatch.setitem(ACCOUNTS, "default", THREE_WAYS)
    monkeypatch.setitem(ACCOUNTS, "second", WebhookSecrets(basic=[USER]))
    return Site(store)


@pytest.mark.parametrize(
    ("path", "signature", "headers", "by"),
    [
        (PATH, sign(RECEIPT, OLD), {}, "signature"),
        (PATH, None, {"Authorization": basic_header(USER)}, "basic"),
        (f"{PATH}/{BY_PATH.decode()}", None, {}, "path_secret"),
        (f"{PATH}/%61{BY_PATH.decode()[1:]}", None, {}, "path_secret"),
        (f"{PATH}/wrong", sign(RECEIPT, OLD), {"Authorization": basic_header(USER)}, "signature basic"),
    ],
)
def test_each_proof_alone_lets_in_and_the_line_names_it(
    path: str, signature: str | None, headers: dict[str, str], by: str, open_site: Site, store: MemoryStore
) -> None:
    assert post(open_site, RECEIPT, signature, path, **headers).status_code == 204
    assert len(store.entries) == 1
    assert open_site.lines[0]["by"] == by


def test_a_signature_that_is_wrong_beside_the_right_user_is_let_in_and_told(open_site: Site) -> None:
    assert post(open_site, RECEIPT, "0" * 64, Authorization=basic_header(USER)).status_code == 204
    assert (open_site.lines[0]["by"], open_site.lines[0]["reason"]) == ("basic", "wrong_signature")


@pytest.mark.parametrize(
    ("account", "path", "headers", "reason"),
    [
        ("default", "", {}, "no_proof"),
        ("default", "", {HEADER: "0" * 64}, "wrong_signature"),
        ("default", "", {"Authorization": "Basic !"}, "wrong_basic"),
        ("default", "/another-secret-of-a-path", {}, "wrong_path_secret"),
        ("second", "", {HEADER: "0" * 64}, "unexpected_signature"),
        ("second", f"/{BY_PATH.decode()}", {}, "unexpected_path_secret"),
        ("bare", "", {HEADER: "0" * 64}, "nothing_configured"),
    ],
)
def test_why_a_webhook_was_refused_is_in_the_line_and_counted(
    account: str, path: str, headers: dict[str, str], reason: str, open_site: Site, store: MemoryStore
) -> None:
    answer = post(open_site, RECEIPT, None, f"/webhooks/ifax/{account}{path}", **headers)
    assert (answer.status_code, answer.json()) == (401, {"error": "bad_signature"})
    assert answer.headers.get("WWW-Authenticate", "").startswith("Basic ") == (account != "bare")
    assert store.entries == []
    [line] = open_site.lines
    assert (line["account"], line["reason"]) == (account, reason)
    assert open_site.refused == {(account, reason): 1}
    assert open_site.counted == {(account, "bad_signature"): 1}


def test_a_user_is_asked_for_only_where_one_is_configured(site: Site) -> None:
    assert "WWW-Authenticate" not in post(site, RECEIPT, None).headers


def test_neither_lines_nor_answers_hold_a_secret_of_the_path_or_a_password(open_site: Site) -> None:
    for secret in (BY_PATH.decode(), "a-wrong-secret-of-the-path"):
        for path in (f"{PATH}/{secret}", f"/webhooks/ifax/nobody/{secret}", f"{PATH}/{secret}/"):
            answer = post(open_site, RECEIPT, None, path, Authorization=basic_header(USER + b"x"))
            assert secret not in answer.text + repr(answer.headers)
            assert secret not in TestClient(open_site.app).get(path).text
    written = repr(open_site.lines) + repr(open_site.refused) + repr(open_site.counted)
    assert "secret-of-the-path" not in written
    assert "a-password-of-ours" not in written


def test_the_doctor_is_told_of_refusals_until_a_webhook_is_let_in_and_not_of_its_own(site: Site) -> None:
    post(site, RECEIPT, None, **{"User-Agent": f"{DOCTOR}/1"})
    assert site.remembered.heartbeat_fields() == {}
    post(site, RECEIPT, None)
    post(site, RECEIPT, "0" * 64)
    refusals = site.remembered.heartbeat_fields()["webhooks"]["default"]
    assert (refusals["reason"], refusals["count"], refusals["let_in"]) == ("wrong_signature", 2, None)
    post_signed(site, RECEIPT)
    refusals = site.remembered.heartbeat_fields()["webhooks"]["default"]
    assert (refusals["reason"], refusals["count"], refusals["ago"]) == (None, 0, None)
    post(site, RECEIPT, None, "/webhooks/ifax/nobody")
    assert site.remembered.heartbeat_fields()["webhooks"].keys() == {"default"}


# Lines


def test_one_line_a_webhook_tells_how_it_went(site: Site) -> None:
    post_signed(site, RECEIPT)
    [line] = site.lines
    assert line.pop("seconds") >= 0
    assert line == {
        "event": "webhook",
        "log_level": "info",
        "account": "default",
        "result": "stored",
        "status": 204,
        "size": len(RECEIPT),
        "jobId": 12345,
        "by": "signature",
    }


def test_no_line_holds_a_number_a_secret_or_the_body(site: Site, store: MemoryStore) -> None:
    post_signed(site, RECEIPT)
    post(site, RECEIPT, "0" * 64)
    post_signed(site, RECEIPT[:-1])
    # Redis quotes a command that it does not know, arguments and all.
    store.error = redis.ResponseError(f"unknown command 'XADD', with args beginning with: {RECEIPT!r}")
    post_signed(site, RECEIPT)
    assert [line["result"] for line in site.lines] == ["stored", "bad_signature", "malformed", "unavailable"]
    written = repr(site.lines)
    for private in ("5065001844", "1224515014", "NORMAL_CLEARING", OLD.decode(), NEW.decode()):
        assert private not in written


def test_the_job_id_of_an_unverified_body_is_not_logged(site: Site) -> None:
    post(site, RECEIPT, None)
    assert "jobId" not in site.lines[0]


def test_refused_webhooks_of_an_account_have_so_many_lines_and_the_others_are_counted(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused() -> None:
        assert post(site, RECEIPT, "0" * 64).status_code == 401

    for _ in range(LINES + 3):
        refused()
    assert len(site.lines) == LINES
    assert post(site, RECEIPT, "0" * 64, "/webhooks/ifax/nobody").status_code == 404
    assert post_signed(site, RECEIPT).status_code == 204
    assert [line["result"] for line in site.lines[LINES:]] == ["unknown_account", "stored"]
    monkeypatch.setattr(line_limit, "SPAN", 0.0)
    refused()
    told, line = site.lines[-2:]
    assert (told["event"], told["account"], told["count"]) == (
        "refused webhooks have no line each",
        "default",
        3,
    )
    assert line["result"] == "bad_signature"
