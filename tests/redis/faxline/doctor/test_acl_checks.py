"""What the doctor finds with the rights of the users, and what it says where it may not look."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from faxline.doctor.acl_checks import needed, too_much
from faxline_local.redis_server import RedisServer
from tests.stage.doctor_looks import KEYS, Look, checks


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


NEEDED, TOO_MUCH = needed(KEYS), too_much(KEYS)
NARROW = {
    "producer": f"(+xadd ~{KEYS.intake}) (+xpending %R~{KEYS.intake}) (+set ~{KEYS.upload('*')}) "
    f"(+hgetall +xread %R~{KEYS.job('*')} %R~{KEYS.events} %R~fax:processes:*) (+xautoclaim ~{KEYS.events})",
    "webhook": f"(+xadd ~{KEYS.status}) (+hset ~fax:processes:webhook ~fax:serving:webhook) "
    "(+smismember %R~fax:accounts)",
    "dispatcher": "~fax:{*}:* ~fax:accounts ~wake-ups:* ~fax:processes:dispatcher ~fax:serving:dispatcher "
    "~{fax:accounts}:draining +@read +@write -@dangerous "
    "+evalsha +info",
    "worker": "~fax:{*}:* ~wake-ups:* ~fax:processes:worker ~fax:serving:worker "
    "%R~{fax:accounts}:draining +@read +@write -@dangerous +evalsha +info "
    "(+smismember %R~fax:accounts)",
    "operator": f"+info +time %R~{KEYS.job('*')} %R~{KEYS.lost} %R~{KEYS.ready} %R~fax:accounts "
    "%R~fax:processes:* %R~fax:serving:* %R~{fax:accounts}:draining +hgetall +zrange +smembers "
    f"(+xadd ~{KEYS.orders})",
    "archive": f"+evalsha +smembers +smismember ~fax:{{*}}: ~{KEYS.account_state} %R~fax:accounts +hset "
    "~fax:processes:archive ~fax:serving:archive (+hgetall %R~{fax:accounts}:draining) "
    f"(+xread +xgroup ~{KEYS.events} ~{KEYS.audit}) (+hmget %R~{KEYS.job('*')}) (+set ~{KEYS.archive})",
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


def test_a_user_who_may_not_see_the_heartbeats_is_told_so(user: Callable[..., str]) -> None:
    found = checks(user("narrow", "+@all", "~fax:{*}:*", "~fax:accounts"))["processes"]
    assert found[0] == "warn"
    assert "not allowed to read the heartbeats" in found[1]
