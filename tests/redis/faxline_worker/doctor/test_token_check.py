"""The doctor asks iFax whether it knows the key, under the limits, and how its clock stands."""

import time
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline.reading.account_reader import read_account_state_from
from faxline.reading.account_state import AccountState
from faxline_local.processes import free_port, wait_for
from faxline_local.redis_server import RedisServer
from faxline_sandbox import Account, SandboxConfig, SandboxServer
from faxline_worker.doctor.daemon_checks import examine
from tests.stage.doctoring import ROOM, Serve, named, store_of


def state(client: redis.Redis) -> AccountState:
    return read_account_state_from(client, RedisKeys("default"))


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
    environment: dict[str, str], server_of: Serve
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
