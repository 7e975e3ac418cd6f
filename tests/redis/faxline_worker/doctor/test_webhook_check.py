"""The doctor calls the webhook from outside, as iFax would."""

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import structlog
import uvicorn
from prometheus_client import CollectorRegistry

from faxline.contract.check import Check
from faxline_local.processes import free_port, wait_for
from faxline_worker.doctor.daemon_checks import examine
from faxline_worker.doctor.webhook_check import check_webhook
from faxline_worker.ifax.webhook_access import WebhookSecrets
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.receipts.webhook import create_app
from tests.stage.doctoring import Serve, named

SECRET, OTHER = b"the-secret", b"another"
USER, PATH_SECRET = "ifax:pass:wörd%41".encode(), b"secret-of-the-path"


@dataclass
class Kept:
    entries: list[str] = field(default_factory=list)

    async def add(self, account: str, _fields: Any) -> None:
        self.entries.append(account)

    async def ping(self) -> list[str]:
        return []


class Receiver:
    """Our webhook on a port of its own, over TLS where there is a certificate."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.kept, self.registry = Kept(), CollectorRegistry()
        accounts = {"default": WebhookSecrets([SECRET], [USER], [PATH_SECRET])}
        app = create_app(
            accounts=accounts,
            store=self.kept,
            metrics=WebhookMetrics(self.registry, accounts),
            log=get_logger("t"),
        )
        self.port = free_port()
        config = uvicorn.Config(
            app,
            host="127.0.0.1",
            port=self.port,
            log_config=None,
            ssl_certfile=certificate and str(certificate),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)

    def __enter__(self) -> Self:
        self._thread.start()
        assert wait_for(lambda: self._server.started, 30)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._thread.join()

    def counted(self, result: str) -> float | None:
        return self.registry.get_sample_value("fax_webhooks_total", {"account": "default", "result": result})


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    structlog.reset_defaults()
    with Receiver() as running:
        yield running


def test_a_webhook_that_is_reached_and_takes_what_is_signed_is_well_and_nothing_changes_by_it(
    environment: dict[str, str], receiver: Receiver
) -> None:
    before = receiver.counted("inbound") or 0, receiver.counted("bad_signature") or 0
    environment["FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS"] = '["the-secret"]'
    found = named(examine(environment, call=False, webhook_url=f"http://127.0.0.1:{receiver.port}/"))
    assert found["webhook of default"] == (
        "ok",
        "reached from here, and it refuses a body without a proof",
    )
    assert found["signature of default"] == ("ok", "secret 1 is accepted")
    assert receiver.kept.entries == []
    assert (receiver.counted("inbound"), receiver.counted("bad_signature")) == (before[0] + 1, before[1] + 1)


def look(url: str, *secrets: bytes, account: str = "default", verify: Any = True) -> list[Check]:
    with httpx.Client(trust_env=False, timeout=5, verify=verify) as client:
        return check_webhook(client, url, account, WebhookSecrets(secrets))


def test_each_secret_is_tried_and_one_that_the_webhook_does_not_know_is_told(receiver: Receiver) -> None:
    _, first, second = look(f"http://127.0.0.1:{receiver.port}", SECRET, OTHER)
    assert str(first.result) == "ok"
    assert str(second.result) == "fail"
    assert "does not know secret 2" in second.text
    assert OTHER.decode() not in second.text


def test_without_a_secret_there_is_no_round_trip(receiver: Receiver) -> None:
    _, signature = look(f"http://127.0.0.1:{receiver.port}")
    assert str(signature.result) == "skip"


def test_a_user_and_a_secret_of_the_path_are_tried_too_and_never_quoted(receiver: Receiver) -> None:
    secrets = WebhookSecrets(
        basic=[USER, b"ifax:another-password"], path_secret=[PATH_SECRET, b"another-path"]
    )
    with httpx.Client(trust_env=False, timeout=5) as client:
        found = check_webhook(client, f"http://127.0.0.1:{receiver.port}", "default", secrets)
    assert [(check.name, str(check.result)) for check in found] == [
        ("webhook of default", "ok"),
        *[("user of default", "ok"), ("user of default", "fail")],
        *[("path secret of default", "ok"), ("path secret of default", "fail")],
    ]
    texts = " ".join(check.text for check in found)
    assert "does not know user and password 2" in texts
    assert "does not know path secret 2" in texts
    assert not any(text in texts for text in ("another-", PATH_SECRET.decode(), "pass:"))


def test_an_account_that_the_webhook_does_not_know_is_told(receiver: Receiver) -> None:
    (found,) = look(f"http://127.0.0.1:{receiver.port}", SECRET, account="other")
    assert str(found.result) == "fail"
    assert "does not know the account" in found.text


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (404, "does not forward /webhooks/ifax/"),
        (301, "redirect"),
        (502, "reaches no webhook"),
        (503, "reaches no webhook"),
        (401, "something other"),
        (200, "something other"),
        (204, "something other"),
    ],
)
def test_what_answers_in_the_webhooks_place_is_told_with_where_to_look(
    server_of: Serve, status: int, word: str
) -> None:
    with server_of(status) as url:
        (found,) = look(url, SECRET)
    assert str(found.result) == "fail"
    assert word in found.text


def test_a_webhook_that_is_not_reached_is_told() -> None:
    (found,) = look(f"http://127.0.0.1:{free_port()}", SECRET)
    assert str(found.result) == "fail"
    assert "not reached (ConnectError)" in found.text


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl makes the certificate")
    path = tmp_path_factory.mktemp("tls") / "own.pem"
    wanted = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "2"]
    wanted += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(path), "-out", str(path) + ".crt"]
    subprocess.run([program, "req", *wanted], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_a_certificate_that_nobody_trusts_is_told_and_a_trusted_one_is_well(certificate: Path) -> None:
    with Receiver(certificate) as receiver:
        url = f"https://127.0.0.1:{receiver.port}"
        (found,) = look(url, SECRET)
        trusted = look(url, SECRET, verify=ssl.create_default_context(cafile=certificate))
    assert str(found.result) == "fail"
    assert "its certificate is not trusted" in found.text
    assert [str(check.result) for check in trusted] == ["ok", "ok"]


def test_an_address_without_tls_is_told(receiver: Receiver) -> None:
    def pass_on(request: httpx.Request) -> httpx.Response:
        url = request.url.copy_with(host="127.0.0.1", port=receiver.port)
        return httpx.request(
            request.method, url, content=request.content, headers=request.headers, trust_env=False
        )

    with httpx.Client(transport=httpx.MockTransport(pass_on)) as client:
        found, _ = check_webhook(client, "http://fax.example.com", "default", WebhookSecrets([SECRET]))
    assert str(found.result) == "warn"
    assert "use https" in found.text


def test_a_password_and_a_secret_of_the_path_are_not_tried_in_clear_over_a_network() -> None:
    asked: list[str] = []

    def pass_on(request: httpx.Request) -> httpx.Response:
        asked.append(f"{request.url} {request.headers.get('Authorization')}")
        return httpx.Response(401, json={"error": "bad_signature"})

    with httpx.Client(transport=httpx.MockTransport(pass_on)) as client:
        secrets = WebhookSecrets(basic=[USER], path_secret=[PATH_SECRET])
        _, *found = check_webhook(client, "http://fax.example.com", "default", secrets)
    assert [str(check.result) for check in found] == ["skip", "skip"]
    assert asked == ["http://fax.example.com/webhooks/ifax/default None"]
