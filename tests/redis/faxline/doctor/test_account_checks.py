"""What the doctor finds with accounts, processes and sealing keys, and how the command tells it."""

import base64
import json
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.cli.running import run
from faxline.contract.check import Check, Result
from faxline.contract.redis_keys import ACCOUNTS, DRAINING, INTAKE_GROUP, RedisKeys
from faxline.contract.sealing.keyring import KEY_BYTES
from faxline.reading.draining import note_of
from faxline.reading.processes import ROLES
from faxline_local.redis_server import RedisServer
from tests.stage.doctor_looks import KEYS, Look, all_checks, checks, command
from tests.stage.heartbeats import beat


@pytest.mark.parametrize(
    ("check", "without"),
    [
        ("dispatchers", "no fax is taken in"),
        ("workers", "nothing is submitted"),
        ("webhooks", "receipts are not taken"),
    ],
)
def test_a_role_of_which_none_is_at_work_is_told_with_what_does_not_happen(
    results: Look, check: str, without: str
) -> None:
    result, text = results()[check]
    assert result == "fail"
    assert without in text
    assert f"start a {check[:-1]}" in text


def test_a_paused_account_and_its_doubts_are_told_with_the_command_that_helps(
    results: Look, server: RedisServer
) -> None:
    with redis.Redis.from_url(server.url(0)) as client, FaxLine(server.url(0)) as line:
        client.xgroup_create(line.keys.intake, INTAKE_GROUP, id="0", mkstream=True)
        client.hset(line.keys.account_state, "paused", "operator")
        found = results()["account default"]
    assert found == ("warn", "paused by an operator: faxline accounts resume default")


OURS = version("faxline")


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        ([OURS, OURS], ("ok", f"2 at work, version {OURS}")),
        (["99.0.0"], ("ok", "1 at work, version 99.0.0")),
        ([OURS, "99.0.0"], ("warn", f"2 at work, version {OURS} and 99.0.0: complete the roll-out")),
        (
            ["0.0.9"],
            ("warn", "1 at work, version 0.0.9, older than ours: it rejects what is new; upgrade it first"),
        ),
    ],
)
def test_the_versions_at_work_are_told_and_one_that_is_older_than_ours(
    server: RedisServer, client: Any, role: str, versions: list[str], expected: tuple[str, str]
) -> None:
    for i, each in enumerate(versions):
        beat(client, role, f"node-{i}", version=each)
    assert checks(server.url(0))[f"{role}s"] == expected


@pytest.mark.parametrize(
    ("expected", "word"),
    [
        (
            {"silent": 23},
            "node-2:7 has been silent for 23 s: it is frozen, cut off, refused by Redis or ended",
        ),
        (
            {"state": "stalled", "trouble": {"intake": "stands still for 73 s"}},
            "node-2:7 is stalled (intake stands still for 73 s): restart it",
        ),
        (
            {"state": "not_ready", "trouble": {"consumer": "fails"}},
            "node-2:7 is not ready (consumer fails)",
        ),
    ],
)
def test_a_process_that_does_not_do_its_work_is_named_with_the_reason(
    server: RedisServer, client: Any, expected: Any, word: str
) -> None:
    beat(client, "worker", "node-2", **expected)
    found = checks(server.url(0))["workers"]
    assert found == ("fail", f"none is at work, so nothing is submitted and no receipt is applied: {word}")
    beat(client, "worker", "node-1")
    assert checks(server.url(0))["workers"] == ("warn", f"1 at work, version {OURS}; {word}")


def test_an_account_that_no_process_at_work_has_in_its_settings_is_told(
    server: RedisServer, client: Any
) -> None:
    beat(client, "worker", "node-1", accounts=["acme"])
    beat(client, "dispatcher", "node-1", accounts=["acme", "default"])
    found = [check for check in all_checks(server.url(0)) if check.name == "account default"]
    assert [check.text for check in found if check.failed] == [
        "no worker at work has it among its accounts: add it to the settings of one"
    ]
    beat(client, "worker", "node-2", accounts=["default"])
    assert not any(check.failed for check in all_checks(server.url(0)) if check.name == "account default")


@pytest.mark.parametrize(
    ("used", "result", "word"),
    [(79, "ok", "open"), (80, "warn", "80%"), (100, "fail", "FAXLINE_CEILINGS__JOBS")],
)
def test_a_backlog_near_its_ceiling_is_told_before_faxes_are_rejected(
    server: RedisServer, client: Any, used: int, result: str, word: str
) -> None:
    client.hset(KEYS.account_state, mapping={"ceiling_jobs": 100, "taken": used + 5, "done:failed": 5})
    found = checks(server.url(0))["account default"]
    assert (found[0], word in found[1]) == (result, True)


def keys_told(url: str, text: str | None = None) -> tuple[str, str]:
    with FaxLine(url, keys=text) as line:
        (found,) = (check for check in line.checks() if check.name == "keys of default")
    return str(found.result), found.text


OLD, NEW = (f"{name}:{base64.b64encode(name.encode().ljust(KEY_BYTES)).decode()}" for name in ("old", "new"))


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [
        (None, OLD, ("skip", "no dispatcher of this version")),
        ("", None, ("skip", "unsealed")),
        ("", OLD, ("fail", "sealed by old, which the dispatchers do not have")),
        ("new", OLD, ("fail", "give it to workers and dispatchers first")),
        ("new old", OLD, ("ok", "new seals, 2 open")),
        ("old", f"{NEW}\n{OLD}", ("fail", "sealed by new")),
        ("old", None, ("ok", "old seals, 1 open")),
    ],
)
def test_keys_that_the_dispatchers_do_not_have_are_told_before_a_fax_is_sealed_by_them(
    server: RedisServer, client: Any, theirs: str | None, ours: str | None, expected: tuple[str, str]
) -> None:
    client.hset(KEYS.account_state, mapping={"layout": "1.2"} | ({} if theirs is None else {"keys": theirs}))
    found = keys_told(server.url(0), ours)
    assert (found[0], expected[1] in found[1]) == (expected[0], True)


@pytest.mark.parametrize("index", ["ready", "delayed", "waiting", "submitted", "in_doubt"])
def test_open_jobs_that_a_key_seals_which_is_gone_are_told_with_its_id(
    server: RedisServer, client: Any, index: str
) -> None:
    client.hset(KEYS.account_state, "keys", "new")
    for job, kept in (("a", "sealed:old:x"), ("b", "sealed:new:x"), ("c", "{}"), ("d", "sealed:old:y")):
        client.zadd(getattr(KEYS, index), {job: 1})
        client.hset(KEYS.job(job), "request", kept)
    client.zadd(KEYS.ready, {"!cancel!gone": 0, "without-a-record": 1})
    result, text = keys_told(server.url(0))
    assert result == "fail"
    assert "dispatchers lack: old (2)" in text


def test_an_account_that_paused_for_a_missing_key_is_told_with_what_to_put_back(
    server: RedisServer, client: Any
) -> None:
    client.hset(KEYS.account_state, "paused", "key_missing")
    result, text = checks(server.url(0))["account default"]
    assert result == "fail"
    assert "put it back into FAXLINE_SEALING_KEYS" in text


class Missing:
    """The entry point of a package that is installed without what it needs."""

    def __init__(self, name: str = "daemon") -> None:
        self.name = name

    def load(self) -> None:
        raise ModuleNotFoundError("httpx")


class Further:
    """An entry point of who looks at more; what it was given is kept."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def load(self) -> Callable[..., list[Check]]:
        def look(environment: dict[str, str], **options: Any) -> list[Check]:
            self.given = {"url": environment["FAXLINE_REDIS_URL"], **options}
            return [Check("more", Result.OK, "well")]

        return look


def test_without_the_daemons_packages_the_command_says_what_it_did_not_look_at(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = command(monkeypatch, capsys, Missing(), "--redis", server.url(0))
    assert (found[-1]["check"], found[-1]["result"]) == ("settings", "skip")
    assert "the extra `worker` is not installed" in found[-1]["text"]


def test_without_the_consoles_packages_nothing_is_said_of_a_console(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = command(monkeypatch, capsys, Missing("console"), "--redis", server.url(0))
    assert found
    assert "settings" not in {check["check"] for check in found}


def test_who_looks_at_more_is_given_the_same_server_for_the_limits_stand_there(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FAXLINE_REDIS_URL", "redis://elsewhere.invalid/0")
    point = Further()
    words = ("--redis", server.url(0), "--no-call", "--webhook-url", "https://fax.example.com")
    found = command(monkeypatch, capsys, point, *words)
    assert found[-1] == {"check": "more", "result": "ok", "text": "well"}
    assert point.given == {"url": server.url(0), "call": False, "webhook_url": "https://fax.example.com"}


@pytest.mark.parametrize(("days", "result"), [(0.5, "ok"), (3.0, "warn")], ids=str)
def test_an_account_that_was_removed_is_told_with_what_is_left_of_it_and_after_a_day_with_what_to_do(
    client: Any, server: RedisServer, days: float, result: str
) -> None:
    keys = RedisKeys("west")
    client.sadd(ACCOUNTS, "west")
    client.zadd(keys.submitted, {"a": 1, "b": 2})
    client.zadd(keys.ready, {"c": 1})
    client.hset(DRAINING, "west", note_of(round((time.time() - days * 86_400) * 1000), "/run/accounts"))
    client.hset(DRAINING, mapping={"east": "not a note", b"\xff": "1 /run/accounts"})
    found = [check for check in all_checks(server.url(0)) if "folder is gone" in check.text]
    assert [(check.name, str(check.result)) for check in found] == [("account west", result)]
    assert "under way: 2 submitted; 1 fax waits" in found[0].text
    todo = (
        "settle its faxes, or put the folder back until they have ended (ops/runbooks/FaxAccountDraining.md)"
    )
    assert (todo in found[0].text) == (result == "warn")


def test_nobody_is_told_to_add_an_account_again_that_was_removed(client: Any, server: RedisServer) -> None:
    for role in ROLES:
        beat(client, role, accounts=["default"])
    client.sadd(ACCOUNTS, "default", "west")
    unserved = "has it among its accounts"
    assert any(unserved in check.text for check in all_checks(server.url(0)))
    client.hset(DRAINING, "west", note_of(round(time.time() * 1000), "/run/accounts"))
    assert not any(unserved in check.text for check in all_checks(server.url(0)))


def test_where_no_account_is_named_those_that_there_are_are_looked_at(
    client: Any, server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("faxline.cli.doctor.entry_points", lambda **_: [])

    def looked_at(*words: str) -> list[str]:
        run(["--redis", server.url(0), *words, "doctor", "--json"])
        names = [json.loads(line)["check"] for line in capsys.readouterr().out.splitlines()]
        return [name for name in names if name.startswith("account ")]

    client.sadd(ACCOUNTS, "acme", "globex")
    for role in ROLES:
        beat(client, role, accounts=["acme", "globex"])
    assert looked_at() == ["account acme", "account globex"]
    assert "account default" in looked_at("--account", "default")
