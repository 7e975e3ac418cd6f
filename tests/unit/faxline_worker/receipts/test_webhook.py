import asyncio
import json
import select
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import pytest
import redis
import structlog
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError
from redis.exceptions import TimeoutError as RedisTimeoutError
from starlette.applications import Starlette
from starlette.exceptions import StarletteDeprecationWarning

from faxline_worker.doctor.webhook_check import INBOUND
from faxline_worker.ifax.webhook_access import WebhookSecrets
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.receipts.refused_webhooks import RefusedWebhooks
from faxline_worker.receipts.signature import HEADER, sign
from faxline_worker.receipts.status_writer import StatusWriter
from faxline_worker.receipts.webhook import create_app, read_webhook
from faxline_worker.receipts.webhook_body import BODY_LIMIT, FORM_LIMIT
from faxline_worker.receipts.webhook_proofs import DOCTOR, basic_header

with warnings.catch_warnings():  # it prefers httpx2 to the httpx that Faxline uses
    warnings.simplefilter("ignore", StarletteDeprecationWarning)
    from starlette.testclient import TestClient

OLD, NEW = b"the old made-up secret", b"the new made-up secret"
ACCOUNTS = {
    "default": WebhookSecrets(signature=[OLD, NEW]),
    "second": WebhookSecrets(signature=[b"its own secret"]),
    "bare": WebhookSecrets(),
    "empty": WebhookSecrets([b""], [b""], [b""]),
}
FAX = {
    "jobId": 12345,
    "fromNumber": "+441224515014",
    "toNumber": "+15065001844",
    "faxCallLength": 173,
    "faxCallStart": 1610966603,
    "faxCallEnd": 1610966723,
    "faxTotalPages": 20,
    "faxTransferredPages": 20,
    "faxStatus": "delivered",
    "message": "NORMAL_CLEARING",
    "code": 0,
}
RECEIPT = json.dumps({"event": "fax.completed", "timestamp": 1610966723, "data": FAX}).encode()
PATH = "/webhooks/ifax/default"


@dataclass
class MemoryStore:
    """A status stream in memory, that can be told to fail or to hang."""

    entries: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    error: Exception | None = None
    hangs: bool = False
    away: list[str] = field(default_factory=list)

    async def add(self, account: str, fields: Mapping[str, bytes]) -> None:
        await self.ping()
        self.entries.append((account, dict(fields)))

    async def ping(self) -> list[str]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.away


@dataclass
class Site:
    """An app with all that stands around it."""

    store: StatusWriter
    app: Starlette = field(init=False)
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    lines: list[Any] = field(default_factory=list)
    body_timeout: float = 10.0
    store_timeout: float = 10.0
    remembered: RefusedWebhooks = field(default_factory=RefusedWebhooks)

    def __post_init__(self) -> None:
        capture = structlog.testing.LogCapture()
        self.lines = capture.entries
        log = structlog.wrap_logger(
            None, processors=[capture], wrapper_class=structlog.make_filtering_bound_logger("debug")
        )
        self.app = create_app(
            accounts=ACCOUNTS,
            store=self.store,
            metrics=WebhookMetrics(self.registry, ACCOUNTS),
            log=cast("structlog.typing.FilteringBoundLogger", log),
            body_timeout=self.body_timeout,
            store_timeout=self.store_timeout,
            refused=self.remembered,
        )

    @property
    def counted(self) -> dict[tuple[str, str], float]:
        """The series of fax_webhooks_total that are not at 0."""
        return self._series("fax_webhooks_total", "result")

    @property
    def refused(self) -> dict[tuple[str, str], float]:
        """The same of fax_webhooks_refused_total."""
        return self._series("fax_webhooks_refused_total", "reason")

    def _series(self, name: str, label: str) -> dict[tuple[str, str], float]:
        return {
            (sample.labels["account"], sample.labels[label]): sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == name and sample.value
        }


def post(site: Site, body: bytes, signature: str | None, path: str = PATH, **headers: str) -> httpx.Response:
    signed = {} if signature is None else {HEADER: signature}
    client = TestClient(site.app, follow_redirects=False)
    return cast("httpx.Response", client.post(path, content=body, headers=headers | signed))


def post_signed(site: Site, body: bytes) -> httpx.Response:
    return post(site, body, sign(body, NEW))


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def site(store: MemoryStore) -> Site:
    return Site(store)


# What is stored


def test_a_verified_receipt_is_stored_as_it_came_and_answered_204(site: Site, store: MemoryStore) -> None:
    before = time.time_ns() // 1_000_000
    answer = post_signed(site, RECEIPT)
    after = time.time_ns() // 1_000_000
    assert (answer.status_code, answer.content) == (204, b"")
    [(account, fields)] = store.entries
    assert account == "default"
    assert before <= int(fields.pop("at")) <= after
    assert fields == {"body": RECEIPT, "kind": b"receipt"}
    assert site.counted == {("default", "stored"): 1}


def test_a_repeat_is_stored_and_answered_204_too(site: Site, store: MemoryStore) -> None:
    assert [post_signed(site, RECEIPT).status_code for _ in range(2)] == [204, 204]
    assert len(store.entries) == 2
    assert site.counted == {("default", "stored"): 2}


def test_a_fax_object_at_the_top_level_is_a_receipt_too(site: Site, store: MemoryStore) -> None:
    assert post_signed(site, json.dumps({**FAX, "direction": "sent"}).encode()).status_code == 204
    assert store.entries[0][1]["kind"] == b"receipt"


IN = {"jobId": 7, "fromNumber": "+441224515014", "faxReceivedPages": 2, "direction": "inbound"}


@pytest.mark.parametrize("payload", [IN, {"data": IN}, IN | {"direction": "Received"}])
def test_an_inbound_fax_is_kept_to_be_told(payload: dict[str, Any], site: Site, store: MemoryStore) -> None:
    body = json.dumps(payload).encode()
    assert post_signed(site, body).status_code == 204
    [(_, fields)] = store.entries
    assert (fields["kind"], fields["body"]) == (b"inbound", body)
    assert site.counted == {("default", "inbound"): 1}


def test_an_inbound_fax_of_which_nothing_is_known_is_counted_and_left(site: Site, store: MemoryStore) -> None:
    assert post_signed(site, INBOUND).status_code == 204
    assert store.entries == []
    assert site.counted == {("default", "inbound"): 1}


def form(size: int, **fields: str) -> bytes:
    """A form with some fields around a PDF of so many bytes."""
    parts = [f'name="{name}"\r\n\r\n{value}'.encode() for name, value in fields.items()]
    parts.insert(1, b'name="faxFile"; filename="fax.pdf"\r\n\r\n%PDF-1.4' + b"x" * size)
    start = b"--B\r\nContent-Disposition: form-data; "
    return b"".join(start + part + b"\r\n" for part in parts) + b"--B--\r\n"


FORM_TYPE = {"Content-Type": "multipart/form-data; boundary=B"}
INBOUND_FORM = {"jobId": "7", "fromNumber": "+441224515014", "direction": "received"}


def test_a_form_is_kept_by_its_fields_and_its_file_is_left(site: Site, store: MemoryStore) -> None:
    body = form(3 * BODY_LIMIT, **INBOUND_FORM)
    assert post(site, body, sign(body, OLD), **FORM_TYPE).status_code == 204
    [(_, fields)] = store.entries
    assert (fields["kind"], json.loads(fields["body"])) == (b"inbound", INBOUND_FORM)


def test_a_receipt_in_a_form_is_a_receipt(site: Site, store: MemoryStore) -> None:
    body = form(9, jobId="12345", faxStatus="delivered")
    assert post(site, body, sign(body, OLD), **FORM_TYPE).status_code == 204
    assert store.entries[0][1]["kind"] == b"receipt"


def test_a_form_is_let_in_by_the_signature_of_all_of_it(site: Site, store: MemoryStore) -> None:
    body = form(100, **INBOUND_FORM)
    assert post(site, body + b" ", sign(body, OLD), **FORM_TYPE).status_code == 401
    assert post(site, body, None, **FORM_TYPE).status_code == 401
    assert store.entries == []


def test_a_form_beyond_its_bound_is_too_large(site: Site, store: MemoryStore) -> None:
    body = form(FORM_LIMIT, **INBOUND_FORM)
    assert post(site, body, sign(body, OLD), **FORM_TYPE).status_code == 413
    assert store.entries == []


MALFORMED = {
    "empty": b"",
    "no JSON": b"faxStatus=delivered",
    "no Unicode": b'{"data": "\xff\xfe"}',
    "a list": b"[1]",
    "a bare string": b'"delivered"',
    "an empty object": b"{}",
    "data that is a list": b'{"data": [{"jobId": 1, "faxStatus": "delivered"}]}',
    "no jobId": b'{"data": {"faxStatus": "delivered"}}',
    "no faxStatus": b'{"data": {"jobId": 12345}}',
    "a jobId that is a phone number": b'{"data": {"jobId": "+12345", "faxStatus": "delivered"}}',
    "a jobId that is a truth": b'{"data": {"jobId": true, "faxStatus": "delivered"}}',
    "a jobId with a fraction": b'{"data": {"jobId": 12345.5, "faxStatus": "delivered"}}',
    "a jobId that is no number": b'{"data": {"jobId": NaN, "faxStatus": "delivered"}}',
    "a jobId below 0": b'{"data": {"jobId": -1, "faxStatus": "delivered"}}',
    "a jobId beyond 64 bits": b'{"data": {"jobId": 9223372036854775808, "faxStatus": "delivered"}}',
    "a jobId with more digits than Python reads": b'{"data":{"jobId":' + b"9" * 60000 + b"}}",
    "a faxStatus that is a number": b'{"data": {"jobId": 12345, "faxStatus": 1}}',
    "lists nested too deep": b"[" * BODY_LIMIT,
    "objects nested too deep": b'{"data":' * (BODY_LIMIT // 8),
    "a whole nest of lists": b"[" * (BODY_LIMIT // 2) + b"]" * (BODY_LIMIT // 2),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_signed_body_that_makes_no_sense_is_kept_for_a_look_and_answered_204(
    body: bytes, site: Site, store: MemoryStore
) -> None:
    assert post_signed(site, body).status_code == 204
    [(_, fields)] = store.entries
    assert (fields["kind"], fields["body"]) == (b"malformed", body)
    assert site.counted == {("default", "malformed"): 1}


@pytest.mark.parametrize(
    "form", [FAX | {"jobId": "12345"}, {"job_id": " 12345 ", "fax_status": " Delivered"}]
)
@pytest.mark.parametrize("nested", [True, False])
def test_a_receipt_is_known_as_one_however_it_is_written(
    form: dict[str, Any], nested: bool, site: Site, store: MemoryStore
) -> None:
    body = json.dumps({"event": "fax.completed", "data": form} if nested else form).encode()
    assert post_signed(site, body).status_code == 204
    assert store.entries[0][1]["kind"] == b"receipt"
    assert site.lines[0]["jobId"] == 12345


def test_the_fax_object_in_data_counts_before_the_top_level() -> None:
    both = {"jobId": 1, "faxStatus": "failed", "direction": "received", "data": FAX}
    assert read_webhook(json.dumps(both).encode()) == ("receipt", 12345)


# Who is let in


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_each_of_the_accounts_secrets_is_accepted(secret: bytes, site: Site) -> None:
    assert post(site, RECEIPT, f"sha256={sign(RECEIPT, secret).upper()}").status_code == 204


@pytest.mark.parametrize(
    ("signature", "path"),
    [
        (None, PATH),
        ("", PATH),
        (sign(RECEIPT, b"a stranger's"), PATH),
        (sign(b"another body", NEW), PATH),
        (sign(RECEIPT, NEW), "/webhooks/ifax/second"),
        (sign(RECEIPT, NEW), "/webhooks/ifax/bare"),
        (sign(RECEIPT, b""), "/webhooks/ifax/bare"),
    ],
)
def test_a_bad_signature_and_an_account_without_secrets_are_refused_with_401(
    signature: str | None, path: str, site: Site, store: MemoryStore
) -> None:
    assert post(site, RECEIPT, signature, path).status_code == 401
    assert store.entries == []
    assert site.counted == {(path.rsplit("/", 1)[1], "bad_signature"): 1}


@pytest.mark.parametrize("name", ["nobody", "Default", "%2B12345678901", "default%0A", "%FF", "a" * 2000])
def test_an_account_that_is_not_ours_is_a_404_and_its_name_goes_nowhere(name: str, site: Site) -> None:
    answer = post(site, RECEIPT, sign(RECEIPT, NEW), f"/webhooks/ifax/{name}")
    assert answer.status_code == 404
    assert site.counted == {("unknown", "bad_signature"): 1}
    [line] = site.lines
    assert (line["account"], line["result"]) == ("unknown", "unknown_account")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_another_method_is_a_405(method: str, site: Site) -> None:
    assert TestClient(site.app).request(method, PATH).status_code == 405
    assert site.counted == {}


@pytest.mark.parametrize(
    "path", ["/", "/webhooks/ifax", "/webhooks/ifax/", PATH + "/", PATH + "/more/", PATH + "/more/again"]
)
def test_another_path_is_a_404_and_no_redirect(path: str, site: Site) -> None:
    assert post(site, RECEIPT, sign(RECEIPT, NEW), path).status_code == 404


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
def test_each_proof_alone_lets_in_and_the_line_names_it(  # noqa: PLR0917 - a row of the table
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
def test_why_a_webhook_was_refused_is_in_the_line_and_counted(  # noqa: PLR0917 - a row of the table
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


# Size


@pytest.mark.parametrize(("size", "status"), [(BODY_LIMIT, 204), (BODY_LIMIT + 1, 413)])
def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_too_large(
    size: int, status: int, site: Site, store: MemoryStore
) -> None:
    assert post_signed(site, RECEIPT + b" " * (size - len(RECEIPT))).status_code == status
    assert len(store.entries) == (status == 204)
    assert site.counted == {("default", "stored" if status == 204 else "too_large"): 1}


@pytest.mark.parametrize("announced", ["9" * 5000, "many", "-1", "٣"])
def test_a_senseless_content_length_is_no_500(announced: str, site: Site) -> None:
    # A server refuses these itself; the app does not lean on that.
    assert asgi_status(site, [(b"content-length", announced.encode("latin-1", "replace"))]) == 401


def asgi_status(site: Site, headers: list[tuple[bytes, bytes]]) -> int:
    """The status for an empty POST with these headers, without a client that would mend them."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "query_string": b""}
    asyncio.run(site.app(scope, receive, send))
    return int(sent[0]["status"])


# Redis away


@pytest.mark.parametrize(
    "error",
    [
        RedisConnectionError("gone"),
        RedisTimeoutError("slow"),
        ReadOnlyError("replica"),
        ConnectionResetError(),
    ],
)
@pytest.mark.parametrize("body", [RECEIPT, b"makes no sense"])
def test_while_redis_is_away_ifax_is_asked_to_try_again(
    error: Exception, body: bytes, site: Site, store: MemoryStore
) -> None:
    store.error = error
    answer = post_signed(site, body)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert site.counted == {("default", "unavailable"): 1}
    assert site.lines[0]["error"] == type(error).__name__


def test_a_redis_that_does_not_answer_is_a_503_within_the_time_bound(store: MemoryStore) -> None:
    store.hangs = True
    site = Site(store, store_timeout=0.05)
    assert post_signed(site, RECEIPT).status_code == 503
    assert site.counted == {("default", "unavailable"): 1}


def test_a_body_that_is_not_verified_does_not_reach_redis(site: Site, store: MemoryStore) -> None:
    store.error = RedisConnectionError("gone")
    assert post(site, RECEIPT, "0" * 64).status_code == 401


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


# Probes


def test_the_process_is_healthy_while_it_runs_and_ready_while_redis_answers(
    site: Site, store: MemoryStore
) -> None:
    client = TestClient(site.app)
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (200, {"redis": True})
    store.error = RedisConnectionError("gone")
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (503, {"redis": False})


def test_nodes_that_are_away_are_named_while_others_take_webhooks(site: Site, store: MemoryStore) -> None:
    store.away = ["10.0.0.1:6379"]
    answer = TestClient(site.app).get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"redis": True, "away": ["10.0.0.1:6379"]})


def test_a_redis_that_does_not_answer_is_not_ready(
    site: Site, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline_worker.receipts.webhook.READY_TIMEOUT", 0.05)
    store.hangs = True
    assert TestClient(site.app).get("/readyz").status_code == 503


# Any body

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ANY_FAX = st.fixed_dictionaries(
    {}, optional={"jobId": ANY_JSON, "faxStatus": ANY_JSON, "direction": ANY_JSON, "data": ANY_JSON}
)
ANY_BODY = (
    st.binary(max_size=400)
    | ANY_JSON.map(lambda value: json.dumps(value).encode())
    | ANY_FAX.map(lambda value: json.dumps(value).encode())
    | ANY_FAX.map(lambda value: json.dumps({"data": value}).encode("utf-16"))
    | ANY_FAX.map(lambda value: json.dumps({"data": value}).encode())
)


@pytest.fixture(scope="module")
def fuzzed() -> Iterator[tuple[TestClient, MemoryStore]]:
    store = MemoryStore()
    with TestClient(Site(store).app) as client:
        yield client, store


@settings(deadline=None)
@given(body=ANY_BODY)
def test_any_signed_body_is_answered_204_and_kept_unless_it_is_inbound(
    fuzzed: tuple[TestClient, MemoryStore], body: bytes
) -> None:
    client, store = fuzzed
    store.entries.clear()
    assert client.post(PATH, content=body, headers={HEADER: sign(body, OLD)}).status_code == 204
    if read_webhook(body)[0] != "inbound":
        assert [fields["body"] for _, fields in store.entries] == [body]


@settings(deadline=None)
@given(body=ANY_BODY, header=st.binary(max_size=100).filter(lambda header: not set(header) & set(b"\r\n\0")))
def test_any_unsigned_body_under_any_header_is_a_401(
    fuzzed: tuple[TestClient, MemoryStore], body: bytes, header: bytes
) -> None:
    client, store = fuzzed
    store.entries.clear()
    assert client.post(PATH, content=body, headers={HEADER.encode(): header}).status_code == 401
    assert store.entries == []


# On the wire


@contextmanager
def served(site: Site) -> Iterator[tuple[str, int]]:
    """The app on a real server; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    address: tuple[str, int] = listener.getsockname()
    server = uvicorn.Server(uvicorn.Config(site.app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def head(*headers: str, path: str = PATH) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: webhook", *headers, "", ""]).encode()


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request)
        return received(connection)


def hung_up(answer: bytes) -> bool:
    """Whether the server closes the connection at once, so that nothing more is read from it."""
    return b"\r\nconnection: close\r\n" in answer.lower()


def test_a_receipt_over_the_wire_is_stored(site: Site, store: MemoryStore) -> None:
    request = head(
        f"Content-Length: {len(RECEIPT)}", f"X-IFAX-SIGNATURE: {sign(RECEIPT, NEW)}", "Connection: close"
    )
    with served(site) as address:
        assert exchange(address, request + RECEIPT).startswith(b"HTTP/1.1 204 ")
    assert [fields["body"] for _, fields in store.entries] == [RECEIPT]


def test_a_chunked_receipt_is_stored(site: Site, store: MemoryStore) -> None:
    request = head("Transfer-Encoding: chunked", f"{HEADER}: {sign(RECEIPT, NEW)}", "Connection: close")
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in RECEIPT) + b"0\r\n\r\n"
    with served(site) as address:
        assert exchange(address, request + body).startswith(b"HTTP/1.1 204 ")
    assert [fields["body"] for _, fields in store.entries] == [RECEIPT]


def test_a_length_announced_too_large_is_refused_before_a_byte_of_the_body(site: Site) -> None:
    with served(site) as address:
        answer = exchange(address, head(f"Content-Length: {BODY_LIMIT + 1}", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert hung_up(answer)
    assert site.lines[0]["size"] == 0
    assert site.counted == {("default", "too_large"): 1}


def test_a_chunked_body_is_refused_at_the_first_byte_past_64_kib(site: Site, store: MemoryStore) -> None:
    endless = head("Transfer-Encoding: chunked") + b"%x\r\n" % 2**40 + b" " * (BODY_LIMIT + 1)
    with served(site) as address:
        answer = exchange(address, endless)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert hung_up(answer)
    assert store.entries == []
    assert site.counted == {("default", "too_large"): 1}


def test_an_unknown_account_is_told_so_before_its_body_is_read(site: Site) -> None:
    request = head("Content-Length: 1000", "Expect: 100-continue", path="/webhooks/ifax/nobody")
    with served(site) as address:
        answer = exchange(address, request)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert hung_up(answer)


def test_a_client_that_goes_away_halfway_is_no_error(
    site: Site,
    store: MemoryStore,
    wait_until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(site) as address:
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(head("Content-Length: 1000", "Expect: 100-continue"))
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")  # it reads the body now
            connection.sendall(b'{"data":')
        wait_until(lambda: site.lines, message="the webhook's line")
    assert site.lines[0]["result"] == "disconnected"
    assert store.entries == []
    assert site.counted == {}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_body_that_stalls_is_a_408(store: MemoryStore) -> None:
    site = Site(store, body_timeout=0.1)
    with served(site) as address:
        answer = exchange(address, head("Content-Length: 1000") + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert hung_up(answer)
    assert (site.lines[0]["result"], site.lines[0]["size"]) == ("too_slow", 1)
    assert site.counted == {}


def test_a_body_that_drips_for_ever_is_a_408(store: MemoryStore) -> None:
    site = Site(store, body_timeout=0.3)
    with served(site) as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head(f"Content-Length: {BODY_LIMIT}"))
        for _ in range(BODY_LIMIT - 1):
            connection.sendall(b"x")
            if select.select([connection], [], [], 0.01)[0]:
                break
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
    assert site.lines[0]["size"] > 1


def test_a_slow_body_holds_up_no_other(site: Site, store: MemoryStore) -> None:
    request = head(f"Content-Length: {len(RECEIPT)}", f"{HEADER}: {sign(RECEIPT, NEW)}", "Connection: close")
    with served(site) as address, socket.create_connection(address, timeout=10) as slow:
        slow.sendall(request + RECEIPT[:10])
        assert exchange(address, request + RECEIPT).startswith(b"HTTP/1.1 204 ")
        slow.sendall(RECEIPT[10:])
        assert received(slow).startswith(b"HTTP/1.1 204 ")
    assert len(store.entries) == 2
