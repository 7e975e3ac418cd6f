"""What the doctor finds with the daemon's settings: each check is made to fail on real servers, over HTTP."""

import base64
import shutil
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

import httpx
import pytest
import redis
import structlog
import uvicorn
from prometheus_client import CollectorRegistry

from faxline.contract.check import Check
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import KEY_BYTES
from faxline.reading.account_reader import read_account_state_from
from faxline.reading.account_state import AccountState
from faxline_local.processes import free_port, wait_for
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_sandbox import Account, Limits, SandboxConfig, SandboxServer
from faxline_worker.config.settings import read_settings
from faxline_worker.doctor.daemon_checks import examine
from faxline_worker.doctor.webhook_check import check_webhook
from faxline_worker.ifax.webhook_access import WebhookSecrets
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.receipts.webhook import create_app
from faxline_worker.state.scripts import LAYOUT
from faxline_worker.state.store import Store

SECRET, OTHER = b"the-secret", b"another"
USER, PATH_SECRET = "ifax:pass:wörd%41".encode(), b"secret-of-the-path"
CURRENT = "{}.{}".format(*LAYOUT)
ROOM = Limits(requests=100_000, window=1, concurrency=1000, burst=100_000)


@pytest.fixture(scope="module")
def server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url(0)) as made:
        made.flushdb()
        yield made


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    accounts = {"good": Account(), "guest": Account(label="guest", primary=False)}
    with SandboxServer(SandboxConfig(accounts=accounts, limits=ROOM, call_seconds=0.01)) as running:
        yield running


@pytest.fixture
def environment(server: RedisServer, sandbox: SandboxServer, client: redis.Redis) -> dict[str, str]:
    del client  # it has emptied the server
    return {
        "FAXLINE_REDIS_URL": server.url(0),
        "FAXLINE_IFAX_URL": sandbox.url,
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "good",
        "FAXLINE_HTTP_TIMEOUT": "5",
    }


def named(checks: list[Check]) -> dict[str, tuple[str, str]]:
    return {check.name: (str(check.result), check.text) for check in checks}


def store_of(environment: dict[str, str], client: redis.Redis) -> Store:
    return Store(client, read_settings(environment), "default")


def state(client: redis.Redis) -> AccountState:
    return read_account_state_from(client, RedisKeys("default"))


def test_what_is_right_is_well_and_what_was_not_asked_for_is_told(environment: dict[str, str]) -> None:
    found = named(examine(environment))
    assert {name: result for name, (result, _) in found.items()} == {
        "settings": "ok",
        "broker": "ok",
        "layout of default": "warn",
        "sealing of default": "skip",
        "ifax": "ok",
        "ifax clock": "ok",
        "key of default": "ok",
        "webhook": "skip",
    }
    facts = {
        "settings": "default",
        "layout of default": CURRENT,
        "sealing of default": "FAXLINE_SEALING_KEYS",
        "webhook": "FAXLINE_WEBHOOK__URL",
    }
    for name, fact in facts.items():
        assert fact in found[name][1]


def test_the_accounts_of_a_directory_are_checked_and_each_broken_folder_is_named(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for name, file, text in (("acme", "token", "guest-of-acme"), ("broken", "settings.json", '{"limit": 1}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(text)
    found = named(examine(environment | {"FAXLINE_ACCOUNTS_DIR": str(tmp_path)}, call=False))
    assert found["settings"] == ("ok", "accounts default, acme")
    assert found["account folders"][0] == "ok"
    assert found["account folder broken"][0] == "fail"
    assert "did you mean limits?" in found["account folder broken"][1]
    assert "key of acme" in found


def test_of_very_many_accounts_only_the_one_that_is_named_is_checked(
    environment: dict[str, str], tmp_path: Path
) -> None:
    for i in range(101):
        (tmp_path / f"a{i}").mkdir()
    given = environment | {"FAXLINE_ACCOUNTS_DIR": str(tmp_path)}
    assert [name for name in named(examine(given, call=False)) if name.startswith("key of")] == []
    found = named(examine(given | {"FAXLINE_ACCOUNT": "default"}, call=False))
    assert [name for name in found if name.startswith("key of")] == ["key of default"]
    assert found["settings"][1].startswith("102 accounts")


def test_without_accounts_in_the_environment_nothing_is_looked_at() -> None:
    (found,) = examine({"FAXLINE_REDIS_URL": "redis://nowhere.invalid:1/0", "HOME": "/"})
    assert (str(found.result), "no FAXLINE_ACCOUNTS__" in found.text) == ("skip", True)


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("FAXLINE_HTTP_TIMEOUTS", "1", "FAXLINE_HTTP_TIMEOUTS is not a setting"),
        (
            "FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS_FILE",
            "/no/such/file",
            "SECRETS_FILE names a file that cannot be read",
        ),
        ("FAXLINE_WEBHOOK__URL", "fax.example.com", "FAXLINE_WEBHOOK__URL must be a URL"),
    ],
)
def test_a_bad_setting_is_told_and_nothing_else_is_looked_at(
    environment: dict[str, str], variable: str, value: str, word: str
) -> None:
    (found,) = examine(environment | {variable: value})
    assert str(found.result) == "fail"
    assert word in found.text


def test_a_broker_that_is_away_is_told(environment: dict[str, str]) -> None:
    found = named(examine(environment | {"FAXLINE_BROKER_URL": f"redis://127.0.0.1:{free_port()}/1"}))
    assert found["broker"][0] == "fail"
    assert "FAXLINE_BROKER_URL" in found["broker"][1]


# --- the key


@pytest.mark.parametrize(
    ("token", "reason", "fix"),
    [
        ("wrong", "invalid_key", "set the right key"),
        ("two words", "unusable_key", "set it again"),
        ("guest", "no_permission", "primary user"),
    ],
)
def test_a_key_that_ifax_refuses_is_told_and_pauses_nobody_for_the_workers_may_have_another(
    environment: dict[str, str], client: redis.Redis, token: str, reason: str, fix: str
) -> None:
    environment["FAXLINE_ACCOUNTS__DEFAULT__TOKEN"] = token
    result, text = named(examine(environment))["key of default"]
    assert result == "fail"
    assert f"refused, {reason}" in text
    assert fix in text
    assert not state(client).paused


def test_a_429_is_told_and_closes_the_account_for_a_while(
    environment: dict[str, str], client: redis.Redis, sandbox: SandboxServer
) -> None:
    sandbox.fault("status", endpoint="fax-lists", status=429, retry_after=60)
    result, text = named(examine(environment))["key of default"]
    assert result == "warn"
    assert "something else uses the key" in text
    assert state(client).cooling_down
    again = named(examine(environment))["key of default"]
    assert again == ("skip", "not asked: no room for a call (rate limit cooldown). Try again later")


@pytest.mark.parametrize("action", ["reset_before", "reset_after"])
def test_no_answer_is_told(environment: dict[str, str], sandbox: SandboxServer, action: Any) -> None:
    sandbox.fault(action, endpoint="fax-lists")
    result, text = named(examine(environment))["key of default"]
    assert result == "fail"
    assert "could not tell: no clear answer" in text
    assert sandbox.stats()["default"]["requests"] == 1


def test_an_address_that_is_not_ifax_says_nothing_about_the_key(
    environment: dict[str, str], server_of: "Serve"
) -> None:
    with server_of(404) as url:
        result, text = named(examine(environment | {"FAXLINE_IFAX_URL": url}))["key of default"]
    assert result == "warn"
    assert text.startswith("could not tell: iFax answered to fax-lists, HTTP 404")
    assert "Is FAXLINE_IFAX_URL iFax's?" in text


ODD: list[tuple[str, dict[str, Any]]] = [
    ("garbage", {}),
    ("garbage", {"status": 401}),
    ("status", {"status": 401, "body": {"message": "who are you"}}),
    ("status", {"status": 404, "body": {"status": -5, "message": "no such call"}}),
    ("status", {"status": 405, "body": {}}),
    ("status", {"status": 500, "body": {"code": -3009}}),
    ("status", {"status": 200, "body": {"status": 0, "code": 12099, "message": "access suspended"}}),
    ("status", {"status": 200, "body": {"status": 0, "message": "no such call"}}),
    ("status", {"status": 200, "body": {"data": []}}),
]


@pytest.mark.parametrize(("action", "members"), ODD)
def test_where_one_list_says_nothing_the_other_is_asked_and_where_both_do_the_key_is_not_called_bad(
    environment: dict[str, str],
    client: redis.Redis,
    sandbox: SandboxServer,
    action: Any,
    members: dict[str, Any],
) -> None:
    sandbox.fault(action, endpoint="fax-lists", **members)
    assert named(examine(environment))["key of default"] == ("ok", "iFax accepts it")
    sandbox.fault(action, endpoint="fax-lists", **members)
    sandbox.fault(action, endpoint="inbound/number-list", **members)
    result, text = named(examine(environment))["key of default"]
    assert (result, text.startswith("could not tell: ")) == ("warn", True)
    assert members.get("body", {}).get("message", "HTTP") in text
    assert sandbox.stats()["default"]["requests"] == 4
    assert not state(client).paused


def test_where_no_room_is_left_for_the_second_question_the_answer_to_the_first_is_told(
    environment: dict[str, str], sandbox: SandboxServer
) -> None:
    environment |= {"FAXLINE_LIMITS__REQUESTS": "1", "FAXLINE_LIMITS__BURST": "0"}
    sandbox.fault("status", endpoint="fax-lists", status=404, body={})
    result, text = named(examine(environment))["key of default"]
    assert (result, "could not tell: iFax answered to fax-lists, HTTP 404" in text) == ("warn", True)
    assert sandbox.stats()["default"]["requests"] == 1


@pytest.mark.parametrize(
    ("token", "plan", "expected"),
    [
        ("wrong", True, "refused, invalid_key (12001: accessToken invalid): set the right key"),
        (
            "field-token",
            False,
            "refused, plan_inactive (12004: Professional plan isn't activated): the key is good; renew",
        ),
        ("field-token", True, "iFax accepts it"),
    ],
)
def test_a_bad_key_and_an_inactive_plan_are_known_by_the_codes_of_the_field(
    environment: dict[str, str], token: str, plan: bool, expected: str
) -> None:
    config = SandboxConfig(accounts={"field-token": Account(plan=plan)}, profile="field", limits=ROOM)
    with SandboxServer(config) as field:
        changed = {"FAXLINE_IFAX_URL": field.url, "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": token}
        result, text = named(examine(environment | changed))["key of default"]
    assert text.startswith(expected)
    assert result == ("ok" if expected == "iFax accepts it" else "fail")


def test_the_question_takes_a_permit_like_any_call_and_the_limits_hold(
    environment: dict[str, str], client: redis.Redis, sandbox: SandboxServer
) -> None:
    environment |= {
        "FAXLINE_LIMITS__REQUESTS": "2",
        "FAXLINE_LIMITS__WINDOW": "3600",
        "FAXLINE_LIMITS__BURST": "0",
    }
    results = [named(examine(environment))["key of default"][0] for _ in range(4)]
    assert results == ["ok", "ok", "skip", "skip"]
    assert sandbox.stats()["default"]["requests"] == 2
    assert (state(client).window.used, state(client).concurrency.used) == (2, 0)


def test_it_is_not_asked_where_that_was_not_wanted_or_the_part_has_no_key(
    environment: dict[str, str], sandbox: SandboxServer
) -> None:
    assert named(examine(environment, call=False))["key of default"] == ("skip", "not checked, as requested")
    environment["FAXLINE_ACCOUNTS__DEFAULT__TOKEN"] = "not-for-the-webhook"
    assert named(examine(environment))["key of default"][0] == "skip"
    assert sandbox.stats()["default"]["requests"] == 0


def test_a_user_who_may_run_no_script_is_told_so(
    environment: dict[str, str], server: RedisServer, client: Any
) -> None:
    client.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">secret", "+@read", "+ping", "~*")
    try:
        url = server.url(0).replace("redis://", "redis://reader:secret@")
        found = named(examine(environment | {"FAXLINE_REDIS_URL": url}))["key of default"]
    finally:
        client.acl_deluser("reader")
    assert found[0] == "warn"
    assert "may not take a permit" in found[1]


def test_a_good_key_ends_a_pause_whose_probe_is_due_but_not_an_operators(
    environment: dict[str, str], client: redis.Redis
) -> None:
    seconds, _ = client.time()
    paused: dict[Any, Any] = {
        "paused": "invalid_key",
        "paused_at": 1,
        "probe_at": (int(seconds) + 3600) * 1_000_000,
    }
    client.hset(RedisKeys("default").account_state, mapping=paused)
    result, text = named(examine(environment))["key of default"]
    assert result == "skip"
    assert "the account is paused" in text
    assert "`faxline accounts resume default`" in text
    client.hset(RedisKeys("default").account_state, "probe_at", 1)
    assert named(examine(environment))["key of default"][0] == "ok"
    assert not state(client).paused
    client.hset(RedisKeys("default").account_state, mapping=paused | {"paused": "operator", "probe_at": 1})
    assert named(examine(environment))["key of default"][0] == "skip"
    assert state(client).paused == "operator"


def test_a_permit_whose_doctor_is_lost_comes_back(environment: dict[str, str], client: redis.Redis) -> None:
    environment |= {"FAXLINE_HTTP_TIMEOUT": "0.05", "FAXLINE_LEASE_GRACE": "0.05"}
    store = store_of(environment, client)
    store.submission.acquire_check_permit("lost")
    assert state(client).concurrency.used == 1

    def back() -> bool:
        store.timers.run()
        return state(client).concurrency.used == 0

    assert wait_for(back, 60)
    assert client.zcard(store.keys.permits) == 0


# --- what the dispatchers noted


@pytest.mark.parametrize(
    ("stored", "result", "word"),
    [
        (None, "warn", "faxline-worker migrate"),
        ("1.0", "warn", "start its dispatchers"),
        ("1.999", "warn", "complete the roll-out"),
        (f"{LAYOUT[0] + 1}.0", "fail", "start the newer version"),
    ],
)
def test_a_layout_that_is_another_than_this_versions_is_told_with_what_to_do(
    environment: dict[str, str], client: redis.Redis, stored: str | None, result: str, word: str
) -> None:
    if stored is not None:
        client.hset(RedisKeys("default").account_state, "layout", stored)
    found = named(examine(environment, call=False))["layout of default"]
    assert (found[0], word in found[1]) == (result, True)


def test_the_layout_that_a_dispatcher_of_this_version_took_is_well(
    environment: dict[str, str], client: redis.Redis
) -> None:
    store_of(environment, client).schema.init_account()
    result, text = named(examine(environment, call=False))["layout of default"]
    assert result == "ok"
    assert text.startswith(CURRENT)


OLD, NEW = (f"{name}:{base64.b64encode(name.encode().ljust(KEY_BYTES)).decode()}" for name in ("old", "new"))


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (f"{NEW}\n{OLD}", f"{NEW}\n{OLD}", ("ok", "new seals, 2 open")),
        (
            f"{NEW}\n{OLD}",
            f"{OLD}\n{NEW}",
            ("warn", "old seals here, new in the dispatchers: finish the rotation"),
        ),
        (OLD, f"{OLD}\n{NEW}", ("warn", "the dispatcher that started last has no new: ")),
        (f"{OLD}\n{NEW}", OLD, ("fail", "FAXLINE_SEALING_KEYS lacks new, ")),
        (OLD, "", ("fail", "FAXLINE_SEALING_KEYS lacks old, ")),
        ("", "", ("skip", "no FAXLINE_SEALING_KEYS: ")),
    ],
)
def test_keys_that_are_others_than_the_dispatchers_are_told_before_a_fax_meets_them(
    environment: dict[str, str], client: redis.Redis, theirs: str, ours: str, expected: tuple[str, str]
) -> None:
    store_of(environment | {"FAXLINE_SEALING_KEYS": theirs}, client).schema.init_account()
    result, text = named(examine(environment | {"FAXLINE_SEALING_KEYS": ours}, call=False))[
        "sealing of default"
    ]
    assert (result, text[: len(expected[1])]) == expected


def test_a_key_that_is_none_is_told_and_not_repeated(environment: dict[str, str]) -> None:
    (found,) = examine(environment | {"FAXLINE_SEALING_KEYS": "c2VjcmV0LXNlY3JldA=="}, call=False)
    assert str(found.result) == "fail"
    assert "FAXLINE_SEALING_KEYS: key 1 is not of the form id:base64" in found.text
    assert "c2Vj" not in found.text


def test_a_user_who_may_not_read_the_account_is_told_whose_url_may(
    environment: dict[str, str], server: RedisServer, client: Any
) -> None:
    client.execute_command("ACL", "SETUSER", "narrow", "reset", "on", ">secret", "+ping", "+@connection")
    try:
        url = server.url(0).replace("redis://", "redis://narrow:secret@")
        result, text = named(examine(environment | {"FAXLINE_REDIS_URL": url}, call=False))[
            "layout of default"
        ]
    finally:
        client.acl_deluser("narrow")
    assert result == "warn"
    assert "Use the dispatcher's FAXLINE_REDIS_URL" in text


# --- iFax's clock


@pytest.mark.parametrize(
    ("shift", "result", "word"),
    [(-60.0, "warn", "ahead of ours"), (60.0, "warn", "behind ours"), (-600.0, "fail", "CLOCK_SLACK")],
)
def test_a_clock_of_ifax_that_is_another_than_ours_is_told(
    environment: dict[str, str], shift: float, result: str, word: str
) -> None:
    found = named(examine(environment, call=False, clock=lambda: time.time() + shift))["ifax clock"]
    assert found[0] == result
    assert word in found[1]


def test_an_ifax_that_is_not_reached_is_told(environment: dict[str, str]) -> None:
    away = environment | {"FAXLINE_IFAX_URL": f"http://127.0.0.1:{free_port()}/v1"}
    found = named(examine(away, call=False))
    assert found["ifax"][0] == "fail"
    assert "ifax clock" not in found


# --- the webhook


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


Serve = Callable[[int], Any]


@pytest.fixture
def server_of() -> Serve:
    """A server that answers everything with one status."""

    @contextmanager
    def serving(status: int) -> Iterator[str]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_POST  # noqa: N815 - the names are http.server's

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
            thread = threading.Thread(target=running.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{running.server_port}"
            running.shutdown()
            thread.join()

    return serving


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
