"""Heartbeats on a real server: who writes them, who reads them, what counts as gone."""

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest.mock import ANY, Mock

import pytest
import redis

from faxline import AsyncFaxLine, FaxLine, NotAllowed, Process, ProcessState
from faxline.contract.redis_keys import PROCESSES, SERVING
from faxline.reading.processes import NAMED, ROLES, at_work
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.observability.heartbeat import LARGEST, MANY, MOST, Heartbeat, look_at_processes
from faxline_worker.observability.pulse import Loops
from faxline_worker.receipts.refused_webhooks import RefusedWebhooks
from tests.stage.heartbeats import beat

USERS = Path(__file__).parents[4] / "ops/redis/users.acl"


def only(line: FaxLine) -> Process:
    (found,) = line.processes()
    return found


def test_a_process_tells_what_it_is_and_is_at_work_until_it_ends(
    redis_client: redis.Redis, line: FaxLine, wait_until: Callable[..., Any]
) -> None:
    loops = Loops()
    loops.add("intake").well()
    heartbeat = Heartbeat(redis_client, "dispatcher", ["default", "acme"], loops, Mock())
    heartbeat.start()
    with closing(heartbeat):
        wait_until(lambda: [process for process in line.processes() if process.serves("acme")])
        found = only(line)
        assert (found.role, found.name, found.state) == ("dispatcher", heartbeat.name, "working")
        assert found.name.startswith(f"{found.host}:{found.pid}:")
        assert (found.at_work, found.serves("acme"), found.serves("other")) == (True, True, False)
        assert at_work(line.processes()) == {"dispatcher": 1, "worker": 0, "webhook": 0}
        assert found.to_dict()["state"] == "working"
    assert line.processes() == []
    assert redis_client.hlen(f"{PROCESSES}dispatcher") == 1  # a webhook's user may delete nothing
    assert look_at_processes(redis_client) == []
    assert redis_client.hlen(f"{PROCESSES}dispatcher") == 0


def test_a_process_says_which_of_its_loops_stands_still(
    redis_client: redis.Redis, line: FaxLine, wait_until: Callable[..., Any]
) -> None:
    now = 0.0
    loops = Loops(60, lambda: now)
    loops.add("intake").well()
    now = 73.0
    heartbeat = Heartbeat(redis_client, "dispatcher", ["default"], loops, Mock())
    heartbeat.start()
    with closing(heartbeat):
        wait_until(line.processes)
        found = only(line)
        assert found.state is ProcessState.STALLED
        assert (found.at_work, found.trouble) == (False, {"intake": "stands still for 73 s"})


def test_what_else_must_be_so_for_a_process_to_work_is_told_too(
    redis_client: redis.Redis, line: FaxLine, wait_until: Callable[..., Any]
) -> None:
    checks: dict[str, bool | str] = {"listens": False, "ifax": "connection refused"}
    heartbeat = Heartbeat(redis_client, "webhook", ["default"], Loops(), Mock(), lambda: checks)
    heartbeat.start()
    with closing(heartbeat):
        wait_until(line.processes)
        assert only(line).state is ProcessState.NOT_READY
        assert only(line).trouble == {"listens": "fails", "ifax": "connection refused"}


@pytest.mark.parametrize(
    ("silent", "gone"), [(0, False), (9, False), (11, True), (-9, False), (-600, True)], ids=str
)
def test_a_process_without_a_heartbeat_for_ten_seconds_or_with_one_from_ahead_is_gone(
    redis_client: redis.Redis, line: FaxLine, silent: float, gone: bool
) -> None:
    beat(redis_client, "worker", silent=silent)
    found = only(line)
    assert (found.gone, found.at_work) == (gone, not gone)
    assert found.to_dict()["state"] == ("gone" if gone else "working")


def test_accounts_that_are_too_many_to_tell_are_taken_for_served(
    redis_client: redis.Redis, line: FaxLine, wait_until: Callable[..., Any]
) -> None:
    names = [f"account-{i}" for i in range(MANY // 9)]
    heartbeat = Heartbeat(redis_client, "worker", names, Loops(), Mock())
    heartbeat.start()
    with closing(heartbeat):
        wait_until(line.processes)
        assert only(line).accounts is None
        assert only(line).serves("account-1")


@pytest.mark.parametrize(
    "text", ["", "?", "[]", "{}", '{"host": "h"}', "[" * 100_000, '{"host":"h","pid":"x"}'], ids=range(7)
)
def test_what_is_no_heartbeat_is_no_process_and_is_struck_off(
    redis_client: redis.Redis, line: FaxLine, text: str
) -> None:
    beat(redis_client, "worker")
    redis_client.hset(f"{PROCESSES}worker", "junk", text)
    assert only(line).host == "node-1"
    look_at_processes(redis_client)
    assert redis_client.hkeys(f"{PROCESSES}worker") == [b"node-1:7:x"]


def test_a_heartbeat_of_a_later_version_that_says_more_is_read(
    redis_client: redis.Redis, line: FaxLine
) -> None:
    beat(redis_client, "worker", cordoned=True, version="99.0.0")
    assert only(line).at_work


def test_those_long_gone_are_struck_off_and_those_just_gone_are_kept_for_the_doctor(
    redis_client: redis.Redis,
) -> None:
    beat(redis_client, "worker", "alive")
    beat(redis_client, "worker", "gone", silent=30)
    beat(redis_client, "worker", "long-gone", silent=90)
    assert [process.host for process in look_at_processes(redis_client)] == ["alive", "gone", "long-gone"]
    assert sorted(redis_client.hkeys(f"{PROCESSES}worker")) == [b"alive:7:x", b"gone:7:x"]


@pytest.mark.parametrize("what", ["many", "a large one", "a long name"])
def test_somebody_who_makes_up_processes_is_not_believed_for_long(
    redis_client: redis.Redis, what: str
) -> None:
    key = f"{PROCESSES}webhook"
    beat(redis_client, "webhook")
    text: Any = redis_client.hget(key, "node-1:7:x")
    made_up: dict[str, dict[Any, Any]] = {
        "many": {f"p{i}": text for i in range(MOST)},
        "a large one": {"p": "." * MOST * LARGEST},
        "a long name": {"p" * MOST * LARGEST: text},
    }
    redis_client.hset(key, mapping=made_up[what])
    assert look_at_processes(redis_client) == []
    assert not redis_client.exists(key)
    beat(redis_client, "webhook")
    assert len(look_at_processes(redis_client)) == 1


def test_a_redis_that_is_away_is_waited_for_and_told_once(
    server_binary: ServerBinary, wait_until: Callable[..., Any]
) -> None:
    log = Mock()
    with RedisServer(binary=server_binary) as server, redis.Redis.from_url(server.url(0)) as client:
        heartbeat = Heartbeat(client, "worker", ["default"], Loops(), log, every=0.05)
        heartbeat.start()
        with closing(heartbeat):
            wait_until(lambda: client.hlen(f"{PROCESSES}worker"))
            server.kill()
            wait_until(lambda: log.warning.called)
            server.restart()
            with redis.Redis.from_url(server.url(0)) as again:
                again.delete(f"{PROCESSES}worker")
                wait_until(lambda: again.hlen(f"{PROCESSES}worker"))
    log.warning.assert_called_once_with("no heartbeat can be written", error=ANY)
    assert log.warning.call_args.kwargs["error"].startswith("Redis ")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_writes_its_heartbeat_as_its_own_user(
    guarded: RedisServer, role: str, wait_until: Callable[..., Any]
) -> None:
    with (
        redis.Redis.from_url(guarded.url(0, role), protocol=2) as client,
        FaxLine(guarded.url(0, "producer")) as producer,
    ):
        heartbeat = Heartbeat(client, role, ["default"], Loops(), Mock())
        heartbeat.start()
        with closing(heartbeat):
            wait_until(lambda: at_work(producer.processes())[role] == 1)


def test_a_heartbeat_of_another_roles_user_names_the_user_that_it_needs(
    guarded: RedisServer, wait_until: Callable[..., Any]
) -> None:
    log = Mock()
    with redis.Redis.from_url(guarded.url(0, "dispatcher"), protocol=2) as client:
        heartbeat = Heartbeat(client, "worker", ["default"], Loops(), log)
        heartbeat.start()
        with closing(heartbeat):
            wait_until(lambda: log.warning.called)
    (event,), members = log.warning.call_args
    assert event == "no heartbeat can be written"
    assert "may not HSET fax:processes:worker" in members["error"]
    assert "'worker' of ops/redis/users.acl" in members["error"]


def test_producers_and_operators_see_who_is_at_work_and_a_webhook_does_not(guarded: RedisServer) -> None:
    with redis.Redis.from_url(guarded.url(0)) as admin:
        admin.delete(*(f"{PROCESSES}{role}" for role in ROLES))
        beat(admin, "worker")
    for user in ("producer", "operator"):
        with FaxLine(guarded.url(0, user)) as line:
            assert at_work(line.processes())["worker"] == 1
    with FaxLine(guarded.url(0, "webhook")) as line, pytest.raises(NotAllowed, match="heartbeats"):
        line.processes()


def one_account(admin: redis.Redis, account: str) -> str:
    """Make a producer's user of one account, as docs/redis.md says, and return its name."""
    rule = next(line for line in USERS.read_text().splitlines() if line.startswith("user producer "))
    words = re.findall(r"\([^)]*\)|\S+", rule.replace("{*}", f"{{{account}}}").partition("#<producer>")[2])
    admin.execute_command("ACL", "SETUSER", account, "reset", "on", "nopass", *words)  # type: ignore[no-untyped-call]
    return account


@pytest.mark.parametrize("role", ROLES)
def test_a_producer_of_one_account_learns_no_other_accounts_name_by_any_heartbeat(
    guarded: RedisServer, role: str, wait_until: Callable[..., Any]
) -> None:
    others = ["south", "south-clinic"]
    more = {
        "lacks": others,
        "shares": "1b4f2a90",
        "webhooks": {"south": {"reason": "no_proof", "count": 1, "ago": 1, "let_in": None}},
    }
    with (
        redis.Redis.from_url(guarded.url(0)) as admin,
        redis.Redis.from_url(guarded.url(0, role), protocol=2) as own,
        FaxLine(guarded.url(0, "operator")) as operator,
    ):
        heartbeat = Heartbeat(own, role, ["north", *others], Loops(), Mock(), more=lambda: more)
        heartbeat.start()
        with closing(heartbeat):
            wait_until(
                lambda: any(
                    one.name == heartbeat.name and one.accounts and one.lacks for one in operator.processes()
                )
            )
            user = one_account(admin, "north")
            url = re.sub("//[^@]*@", f"//{user}:x@", guarded.url(0, "producer"))
            with redis.Redis.from_url(url) as client, FaxLine(url, account="north") as line:
                said: Any = client.hgetall(f"{PROCESSES}{role}")
                assert heartbeat.name.encode() in said
                told = json.loads(said[heartbeat.name.encode()])
                assert set(told).isdisjoint(NAMED)
                with pytest.raises(redis.exceptions.NoPermissionError):
                    client.hgetall(f"{SERVING}{role}")
                (found,) = [one for one in line.processes() if one.name == heartbeat.name]
                assert (found.at_work, found.accounts, found.shares) == (True, None, "")
                assert found.serves("north")
                assert "south" not in str(said)
        look_at_processes(admin)


def test_what_a_process_said_of_accounts_goes_with_it(
    redis_client: redis.Redis, line: FaxLine, wait_until: Callable[..., Any]
) -> None:
    heartbeat = Heartbeat(redis_client, "worker", ["acme"], Loops(), Mock())
    heartbeat.start()
    with closing(heartbeat):
        wait_until(lambda: line.processes() and only(line).accounts == ("acme",))
    redis_client.hset(f"{SERVING}worker", "made-up", '{"accounts": ["acme"]}')
    look_at_processes(redis_client)
    assert not redis_client.exists(f"{PROCESSES}worker", f"{SERVING}worker")


def test_the_heartbeat_of_an_older_process_is_read_with_its_accounts(
    redis_client: redis.Redis, line: FaxLine
) -> None:
    beat(redis_client, "worker", accounts=["acme"], shares="1b4f2a90")
    assert (only(line).accounts, only(line).shares) == (("acme",), "1b4f2a90")


def test_with_an_older_acl_a_process_is_seen_and_nobody_is_told_for_whom_it_works(
    guarded: RedisServer, wait_until: Callable[..., Any]
) -> None:
    log = Mock()
    with (
        redis.Redis.from_url(guarded.url(0)) as admin,
        FaxLine(guarded.url(0, "operator")) as operator,
    ):
        rules = ("+time", "+@connection", "(+hset %W~fax:processes:webhook)")
        admin.execute_command("ACL", "SETUSER", "older", "reset", "on", "nopass", *rules)
        with redis.Redis.from_url(re.sub("//[^@]*@", "//older:x@", guarded.url(0)), protocol=2) as client:
            heartbeat = Heartbeat(client, "webhook", ["acme"], Loops(), log)
            heartbeat.start()
            with closing(heartbeat):
                wait_until(lambda: log.warning.called)
                (found,) = [one for one in operator.processes() if one.name == heartbeat.name]
                assert (found.at_work, found.accounts) == (True, None)
        look_at_processes(admin)
    (event,), members = log.warning.call_args
    assert event == "no heartbeat says which accounts are served"
    assert "may not HSET fax:serving:webhook" in members["error"]


def test_the_dispatchers_user_strikes_off_those_of_every_role(guarded: RedisServer) -> None:
    with (
        redis.Redis.from_url(guarded.url(0)) as admin,
        redis.Redis.from_url(guarded.url(0, "dispatcher"), protocol=2) as dispatcher,
    ):
        for role in ROLES:
            beat(admin, role, "long-gone", silent=90)
        look_at_processes(dispatcher)
        for role in ROLES:
            assert not admin.hexists(f"{PROCESSES}{role}", "long-gone:7:x")


def test_the_asyncio_line_sees_the_same(redis_client: redis.Redis, redis_url: str) -> None:
    beat(redis_client, "webhook", trouble={"event loop": "stands still for 12 s"}, state="not_ready")

    async def ask() -> list[Process]:
        async with AsyncFaxLine(redis_url) as line:
            return await line.processes()

    (found,) = asyncio.run(ask())
    assert json.loads(json.dumps(found.to_dict()))["trouble"] == {"event loop": "stands still for 12 s"}


def test_a_webhook_tells_what_it_refused_in_its_heartbeat_by_the_rights_that_it_has(
    guarded: RedisServer, wait_until: Callable[..., Any]
) -> None:
    refused = RefusedWebhooks()
    refused.refused("default", "no_proof")
    refused.let_in("acme")
    with (
        redis.Redis.from_url(guarded.url(0, "webhook")) as client,
        FaxLine(guarded.url(0, "operator")) as line,
    ):
        heartbeat = Heartbeat(
            client, "webhook", ["default", "acme"], Loops(), Mock(), more=refused.heartbeat_fields
        )
        heartbeat.start()
        with closing(heartbeat):
            wait_until(lambda: any(process.role == "webhook" for process in line.processes()))
            (found,) = (process.webhooks for process in line.processes() if process.role == "webhook")
    assert (found["default"].reason, found["default"].count, found["default"].let_in) == ("no_proof", 1, None)
    assert (found["acme"].reason, found["acme"].count) == (None, 0)
