"""`faxline accounts`: the table, pause and resume."""

import io
import json
import re
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis

from faxline.cli.running import run
from faxline.contract.redis_keys import ACCOUNTS, DRAINING, RedisKeys
from faxline.reading.account_state import OPERATOR
from faxline.reading.draining import note_of
from tests.stage.command_line import KEYS, Cli
from tests.stage.heartbeats import beat


def test_accounts_shows_every_known_account_and_the_one_that_is_named(
    cli: Cli, redis_client: redis.Redis
) -> None:
    assert [state["account"] for state in cli("accounts", "--json").lines] == ["default"]
    redis_client.sadd(ACCOUNTS, "globex", "acme")
    assert [state["account"] for state in cli("accounts", "--json").lines] == ["acme", "globex"]
    found = cli("accounts", "--json", "--account", "other").lines
    assert [state["account"] for state in found] == ["acme", "globex", "other"]
    assert [state["account"] for state in cli("accounts", "show", "x", "y", "--json").lines] == ["x", "y"]


def test_the_accounts_table_tells_limits_backlog_and_what_holds_them(
    cli: Cli, redis_client: redis.Redis
) -> None:
    clock: Any = redis_client.time()
    now = clock[0] * 1_000_000
    limits = {"requests": 1000, "window": 3_600_000_000, "concurrency": 20, "burst": 50}
    accounts: dict[str, dict[str, Any]] = {
        "a": {},
        "b": {"paused": OPERATOR, "ceiling_jobs": 500, "taken": 30, "done:failed": 7, "ceiling_bytes": 0},
        "c": {"paused": "bad_key", "probe_at": now + 3_000_000_000},
        "f": {
            "paused": "unreachable",
            "probe_at": now + 3_000_000,
            "paused_at": now - 60_000_000,
            "paused_why": f"{now - 60_000_000} connection refused",
            "paused_by": f"{now - 61_000_000} of-an-older-pause:1",
        },
        "d": {"gate": now + 3_000_000_000, "share": 0.5, "share_at": now + 3_000_000_000},
    }
    for name, more in accounts.items():
        redis_client.hset(RedisKeys(name).account_state, mapping=limits | more)
    redis_client.zadd(RedisKeys("a").in_doubt, {"x": 1, "y": 2})
    for role, host in (("dispatcher", "node-1"), ("dispatcher", "node-2"), ("worker", "node-1")):
        beat(redis_client, role, host, accounts=["a"])
    done = cli("accounts", "show", *accounts, "e", at_work=())
    lines = done.out.splitlines()
    rows = {line.split()[0]: line for line in lines[1:7]}
    more = dict(line.split(": ", 1) for line in lines[7:-1])
    assert lines[-1] == "2 dispatchers, 1 worker, no webhook at work"
    assert [*rows] == [*accounts, "e"]
    assert max(map(len, lines[:7])) <= 80
    assert re.search(r"open +0 of 20 +0 of 1000 +0 of 50 +2 in doubt$", rows["a"])
    assert re.search(r"^b +paused ", rows["b"])
    assert more["b"] == "paused, by an operator; ceilings: 23 of 500 jobs"
    assert re.search(r"^c +paused ", rows["c"])
    assert re.search(r"paused, bad_key, next probe [-0-9: ]+ \(in (49|50) min", more["c"])
    assert re.search(r"^f +unreachable ", rows["f"])
    assert re.search(r"unreachable, since .* \(connection refused\), next probe", more["f"])
    found = cli("accounts", "show", "f", "--json").json
    assert (found["paused_why"], found["paused_by"]) == ("connection refused", None)
    assert found["paused_since"] is not None
    assert re.search(r"^d +429 +0 of 10 +0 of 500 +0 of 25 ", rows["d"])
    lowered = "limits are lowered: calls from 20, window from 1000, burst from 50"
    assert re.search(f"^429, closed until .*; {lowered}$", more["d"])
    assert "never run" in rows["e"]
    state = cli("accounts", "show", "d", "--json", at_work=()).json
    assert state["limits"]["window"] == {"used": 0, "effective": 500, "configured": 1000}
    assert state["cooldown_until"]
    assert state["at_work"] == {"dispatcher": 0, "worker": 0, "webhook": 0}
    assert cli("accounts", "show", "a", "--json", at_work=()).json["at_work"]["dispatcher"] == 2
    backlog = cli("accounts", "show", "b", "--json").json["backlog"]
    assert backlog == {"jobs": {"used": 23, "ceiling": 500}, "bytes": {"used": 0, "ceiling": 0}}


@pytest.mark.parametrize(("order", "after"), [("pause", OPERATOR), ("resume", "")])
def test_pause_and_resume_tell_the_state_after_it(
    cli: Cli, daemon: Callable[..., None], order: str, after: str
) -> None:
    said = {}

    def carry_out(client: Any, entry: str, fields: dict[bytes, bytes]) -> None:
        said.update(fields)
        client.hset(KEYS.account_state, "paused", after)
        client.xdel(KEYS.orders, entry)
        client.xadd(KEYS.reply(entry), {"result": "done"})

    daemon(KEYS.orders, carry_out)
    done = cli("accounts", order, "default", *(["--yes"] if order == "pause" else []), "--timeout", "20")
    assert done.code == 0
    is_so = "paused (operator)" if after else "open"
    assert done.out == f"account default is {is_so}, 0 jobs queued\n"
    assert said[b"order"] == order.encode()
    assert b"@" in said[b"by"]


def test_an_order_that_nobody_carries_out_is_exit_code_3_and_stays(
    cli: Cli, redis_client: redis.Redis
) -> None:
    done = cli("accounts", "pause", "default", "--yes", "--timeout", "0.05")
    assert (done.code, done.out) == (3, "")
    assert "no dispatcher carried out 'pause' for account 'default'" in done.err
    assert "the order stays" in done.err
    assert redis_client.xlen(KEYS.orders) == 1


@pytest.mark.parametrize(("answer", "code", "orders"), [("n", 2, 0), ("", 2, 0), ("y", 3, 1)])
def test_a_pause_is_asked_about_at_a_terminal(
    redis_client: redis.Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    orders: int,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer and f"{answer}\n"))
    assert run(["--redis", redis_url, "accounts", "pause", "default", "--timeout", "0.05"]) == code
    assert redis_client.xlen(KEYS.orders) == orders


def test_an_account_that_was_removed_is_shown_as_drained_and_not_as_open(
    cli: Cli, redis_client: redis.Redis
) -> None:
    for name in ("acme", "globex"):
        redis_client.hset(RedisKeys(name).account_state, "requests", 1000)
    redis_client.hset(DRAINING, "globex", note_of(1_795_000_000_000, "/run/accounts"))
    rows = cli("accounts", "show", "acme", "globex").out.splitlines()
    assert [row.split()[:2] for row in rows[1:3]] == [["acme", "open"], ["globex", "drained"]]
    assert "globex: its folder is gone since 2026-11-18 11:06 UTC: nothing new goes" in rows
    found = cli("accounts", "show", "acme", "globex", "--json").out.splitlines()
    assert [json.loads(row)["drained"] for row in found] == [False, True]
