"""What the doctor finds, on real servers: every check is made to fail."""

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import FaxLine
from faxline.cli.running import run as run_command
from faxline.contract.check import Check, Result
from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline.contract.sealing.keyring import KEY_BYTES
from faxline.doctor.acl_checks import needed, too_much
from faxline.doctor.server_checks import server_checks
from faxline.reading.processes import ROLES
from faxline.reading.server_facts import server_facts
from faxline.steps.drivers import run
from faxline_local.processes import wait_for
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from tests.stage.heartbeats import beat

ROOMY = str(1 << 30)
SETTINGS = (
    *("appendonly", "appendfsync", "aof-load-truncated", "maxmemory-policy", "maxmemory"),
    *("min-replicas-to-write", "min-replicas-max-lag"),
    "proto-max-bulk-len",
)
Look = Callable[..., dict[str, tuple[str, str]]]


@pytest.fixture(scope="module")
def server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[Any]:
    with redis.Redis.from_url(server.url(0)) as made:
        made.flushdb()
        yield made


def all_checks(url: str, replicas: int = 0) -> list[Check]:
    with FaxLine(url, replicas=replicas) as line:
        return line.checks()


def checks(url: str, replicas: int = 0) -> dict[str, tuple[str, str]]:
    return {check.name: (str(check.result), check.text) for check in all_checks(url, replicas)}


@pytest.fixture
def results(server: RedisServer, client: Any) -> Iterator[Look]:
    """Check by check what the doctor says, after some CONFIG SET."""
    before = {name: client.config_get(name)[name] for name in SETTINGS}

    def look(**config: str) -> dict[str, tuple[str, str]]:
        for name, value in config.items():
            client.config_set(name.replace("_", "-"), value)
        return checks(server.url(0))

    yield look
    for name, value in before.items():
        client.config_set(name, value)


@pytest.fixture
def user(server: RedisServer, client: Any) -> Iterator[Callable[..., str]]:
    """Make a user of the server; its URL."""
    made = []

    def make(name: str, *rules: str) -> str:
        made.append(name)
        client.execute_command("ACL", "SETUSER", name, "reset", "on", ">secret", *rules)
        return server.url(0).replace("redis://", f"redis://{name}:secret@")

    yield make
    for name in made:
        client.acl_deluser(name)


def test_a_server_that_keeps_what_it_is_told_is_well(results: Look) -> None:
    found = results(appendfsync="always", maxmemory=ROOMY)
    names = (
        *("faxline", "redis", "version", "append-only file", "eviction", "memory", "largest value"),
        *("replication", "clock"),
    )
    assert {found[name][0] for name in names} == {"ok"}


@pytest.mark.parametrize(
    ("config", "check", "result", "fix"),
    [
        ({"appendonly": "no"}, "append-only file", "fail", "set appendonly yes"),
        ({"appendfsync": "everysec"}, "append-only file", "warn", "set appendfsync always"),
        ({"appendfsync": "no"}, "append-only file", "fail", "set appendfsync always"),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction", "fail", "set maxmemory-policy noeviction"),
        ({"proto_max_bulk_len": "512mb"}, "largest value", "warn", "set proto-max-bulk-len 32mb"),
        ({"maxmemory": "0"}, "memory", "warn", "set maxmemory"),
        ({"maxmemory": str(1 << 50)}, "memory", "warn", "lower it"),
        ({"min_replicas_to_write": "1"}, "replication", "fail", "start one"),
    ],
)
def test_a_server_that_is_set_otherwise_is_told_with_the_fix(
    results: Look, config: dict[str, str], check: str, result: str, fix: str
) -> None:
    found = results(**config)[check]
    assert found[0] == result
    assert fix in found[1]


@pytest.mark.parametrize(("room", "result"), [(1.1, "warn"), (1.0, "fail")])
def test_memory_that_is_almost_full_is_told(results: Look, client: Any, room: float, result: str) -> None:
    used = int(client.info("memory")["used_memory"])
    assert results(maxmemory=str(round(used * room)))["memory"][0] == result


def test_an_append_only_file_that_cannot_be_written_anew_is_told(server: RedisServer, client: Any) -> None:
    folder = Path(client.config_get("dir")["dir"]) / client.config_get("appenddirname")["appenddirname"]
    hidden = folder.with_name("hidden")

    def rewritten(status: str) -> bool:
        info = client.info("persistence")
        return info["aof_last_bgrewrite_status"] == status and not info["aof_rewrite_in_progress"]

    folder.rename(hidden)
    folder.write_text("a file in its place")
    try:
        with contextlib.suppress(redis.ResponseError):  # perhaps it says so at once
            client.execute_command("BGREWRITEAOF")
        assert wait_for(lambda: rewritten("err"), 30)
        found = checks(server.url(0))["append-only file"]
    finally:
        folder.unlink()
        hidden.rename(folder)
    assert found[0] == "fail"
    assert "its disk" in found[1]
    client.execute_command("BGREWRITEAOF")
    assert wait_for(lambda: rewritten("ok"), 30)


def test_a_replica_is_no_place_for_the_state_and_a_primary_must_not_write_without_one(
    server: RedisServer, client: Any, server_binary: ServerBinary, results: Look
) -> None:
    host, port = server.url(0).split("//")[1].split("/")[0].split(":")
    with RedisServer(binary=server_binary) as other, redis.Redis.from_url(other.url(0)) as replica:
        replica.replicaof(host, port)
        assert wait_for(lambda: server_facts(client).replicas == 1, 30)
        assert checks(other.url(0))["replication"][0] == "fail"
        assert results()["replication"][0] == "warn"
        late = results(min_replicas_to_write="1")["replication"]
        assert (late[0], late[1].endswith("set min-replicas-max-lag 1")) == ("warn", True)
        alone = results(min_replicas_max_lag="1")["replication"]
        assert (alone[0], alone[1].endswith("run 2 replicas")) == ("warn", True)
        with RedisServer(binary=server_binary) as third, redis.Redis.from_url(third.url(0)) as another:
            another.replicaof(host, port)
            assert wait_for(lambda: server_facts(client).replicas == 2, 30)
            assert checks(server.url(0))["replication"] == ("ok", "2 connected")
            assert checks(server.url(0), replicas=1)["replication"] == ("ok", "2 connected")
            needs_another = checks(server.url(0), replicas=2)["replication"]
            assert (needs_another[0], needs_another[1].endswith("run 3 replicas")) == ("warn", True)
            stands = checks(server.url(0), replicas=3)["replication"]
            assert (stands[0], "FAXLINE_REDIS_REPLICAS is 3" in stands[1]) == ("fail", True)


def test_a_file_whose_end_redis_would_read_on_by_itself_is_told(
    results: Look, server_binary: ServerBinary
) -> None:
    found = results(appendfsync="always", aof_load_truncated="yes")["append-only file"]
    if server_binary.name == "valkey":  # it leaves all of the transaction out
        assert found == ("ok", "on, appendfsync always")
    else:
        assert found[0] == "warn"
        assert found[1].endswith("set aof-load-truncated no")


@pytest.mark.parametrize(("shift", "word"), [(-60.0, "ahead of"), (60.0, "behind")])
def test_a_clock_that_is_another_than_ours_is_told(client: Any, shift: float, word: str) -> None:
    found = {check.name: check for check in run(client, server_checks(lambda: time.time() + shift))}
    assert str(found["clock"].result) == "warn"
    assert word in found["clock"].text


def test_a_server_open_to_all_on_its_machine_is_told(results: Look) -> None:
    result, text = results()["user"]
    assert result == "warn"
    assert "without a password, open to all on this machine" in text
    assert "rights" not in results()
    assert not any(name.startswith("rights of") for name in results())  # none of our users is there


def test_the_user_who_may_do_everything_is_told_also_with_a_password(
    server: RedisServer, client: Any
) -> None:
    client.execute_command("ACL", "SETUSER", "default", ">known")
    client.execute_command("ACL", "SETUSER", "default", "resetpass", ">known")
    try:
        found = checks(server.url(0).replace("redis://", "redis://:known@"))["user"]
    finally:
        client.execute_command("ACL", "SETUSER", "default", "nopass")
    assert found[0] == "warn"
    assert "which may do everything" in found[1]


READS = ("%R~fax:*", "+@read", "+ping", "+@connection", "+multi", "+exec", "+time")


@pytest.mark.parametrize(
    ("missing", "check", "grant"),
    [
        ("info", "server", "grant +info"),
        ("acl|whoami", "user", "grant +acl|whoami"),
        ("acl|dryrun", "rights", "grant +acl|dryrun"),
        ("time", "clock", "grant +time"),
        ("config|get", "append-only file", "grant +config|get"),
    ],
)
def test_what_a_user_may_not_look_at_is_told_with_what_to_grant(
    user: Callable[..., str], missing: str, check: str, grant: str
) -> None:
    rules = ["+info", "+acl|whoami", "+acl|dryrun", "+config|get"]
    url = user("looker", *READS, *(rule for rule in rules if rule != f"+{missing}"), f"-{missing}")
    found = checks(url)[check]
    assert found[0] == "warn"
    assert grant in found[1]


def test_a_user_who_may_only_connect_gets_an_answer_all_the_same(user: Callable[..., str]) -> None:
    found = checks(user("nobody", "+ping"))
    results = {name: result for name, (result, _) in found.items()}
    assert results.pop("faxline") == results.pop("redis") == "ok"
    assert set(results.values()) == {"warn"}


def rules(commands: Sequence[Sequence[str]]) -> list[str]:
    return [f"+{words[0].lower()}" for words in commands]


KEYS = RedisKeys("default")
NEEDED, TOO_MUCH = needed(KEYS), too_much(KEYS)
NARROW = {
    "producer": f"(+xadd ~{KEYS.intake}) (+set ~{KEYS.upload('*')}) (+hgetall +xread %R~{KEYS.job('*')} "
    f"%R~{KEYS.events} %R~fax:processes:*) (+xautoclaim ~{KEYS.events})",
    "webhook": f"(+xadd ~{KEYS.status}) (+hset ~fax:processes:webhook) (+smismember %R~fax:accounts)",
    "dispatcher": "~fax:{*}:* ~fax:accounts ~wake-ups:* ~fax:processes:dispatcher +@read +@write -@dangerous "
    "+evalsha +info",
    "worker": "~fax:{*}:* ~wake-ups:* ~fax:processes:worker +@read +@write -@dangerous +evalsha +info "
    "(+smismember %R~fax:accounts)",
    "operator": f"+info +time %R~{KEYS.job('*')} %R~{KEYS.lost} %R~{KEYS.ready} %R~fax:accounts "
    f"%R~fax:processes:* +hgetall +zrange +smembers (+xadd ~{KEYS.orders})",
    "archive": f"+evalsha +smembers +smismember ~fax:{{*}}: ~{KEYS.account_state} %R~fax:accounts +hset "
    f"~fax:processes:archive (+xread +xgroup ~{KEYS.events} ~{KEYS.audit}) (+hmget %R~{KEYS.job('*')}) "
    f"(+set ~{KEYS.archive})",
}
"""Each user's rights as short as they can be."""


def split(text: str) -> list[str]:
    """Rules, of which those in parentheses are one."""
    found: list[str] = []
    for word in text.split():
        if found and found[-1].count("(") > found[-1].count(")"):
            found[-1] += f" {word}"
        else:
            found.append(word)
    return found


@pytest.mark.parametrize("name", NARROW)
def test_a_user_with_the_rights_that_it_needs_and_no_more_is_well(
    results: Look, user: Callable[..., str], name: str
) -> None:
    user(name, *split(NARROW[name]))
    assert results()[f"rights of {name}"] == ("ok", "what it needs, and no more")


@pytest.mark.parametrize("name", NARROW)
def test_a_user_that_lacks_a_right_is_told_with_the_command(
    results: Look, user: Callable[..., str], name: str
) -> None:
    command = NEEDED[name][0][0].lower()
    user(name, *split(NARROW[name].replace("+xadd", "+ping")), f"-{command}")
    result, text = results()[f"rights of {name}"]
    assert result == "fail"
    assert f"lacks {command.upper()}" in text
    assert "ops/redis/users.acl" in text


@pytest.mark.parametrize("name", NARROW)
def test_a_user_that_may_do_everything_is_told_with_what_it_should_not(
    results: Look, user: Callable[..., str], name: str
) -> None:
    user(name, "~*", "+@all")
    result, text = results()[f"rights of {name}"]
    assert result == "warn"
    assert "FLUSHALL" in text


@pytest.mark.parametrize(
    ("name", "right", "expected"),
    [
        ("producer", "+eval ~fax:*", "EVAL"),
        ("producer", f"(+xadd ~{KEYS.status})", f"XADD {KEYS.status}"),
        ("webhook", f"(+xadd ~{KEYS.intake})", f"XADD {KEYS.intake}"),
        ("operator", "+get ~fax:*", "GET fax:"),
        ("worker", "~*", "DEL"),
    ],
)
def test_each_right_too_many_is_named(
    results: Look, user: Callable[..., str], name: str, right: str, expected: str
) -> None:
    user(name, *split(f"{NARROW[name]} {right}"))
    result, text = results()[f"rights of {name}"]
    assert result == "warn"
    assert expected in text


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
        ({"silent": 23}, "node-2:7 has been silent for 23 s: it is frozen, cut off or ended"),
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


def test_a_user_who_may_not_see_the_heartbeats_is_told_so(user: Callable[..., str]) -> None:
    found = checks(user("narrow", "+@all", "~fax:{*}:*", "~fax:accounts"))["processes"]
    assert found[0] == "warn"
    assert "not allowed to read the heartbeats" in found[1]


def test_ids_that_are_used_up_are_told_and_that_a_stream_was_replaced_lately(
    server: RedisServer, client: Any
) -> None:
    assert checks(server.url(0))["streams of default"] == ("ok", "there is room for new ids")
    last = f"{2**64 - 1}-{2**64 - 1}"
    for words in ((), ("MAXLEN", "0")):
        client.delete(KEYS.intake)
        client.execute_command("XADD", KEYS.intake, *words, last, "send", "{}")
        result, text = checks(server.url(0))["streams of default"]
        assert (result, "nobody can push" in text) == ("fail", True)
    client.delete(KEYS.intake)
    seconds, _ = client.time()
    client.hset(KEYS.account_state, "replaced_at:status", seconds * 1000)
    result, text = checks(server.url(0))["streams of default"]
    assert result == "warn"
    assert "status ran out of ids and was replaced at" in text
    assert "as the webhook" in text
    client.hset(KEYS.account_state, "replaced_at:status", (seconds - 8 * 86_400) * 1000)
    assert checks(server.url(0))["streams of default"][0] == "ok"


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


def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], point: Any, *words: str
) -> list[dict[str, str]]:
    monkeypatch.setattr("faxline.cli.doctor.entry_points", lambda *, group: [point] if group else [])
    run_command(["doctor", "--json", *words])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


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
