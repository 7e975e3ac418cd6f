"""What the page of the accounts says of their limits and pauses, and what is shown while Redis is away."""

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_console.access.people import Person, Role
from tests.consoles import Console, put_fax, shown

LIMITS: Any = {"requests": 1000, "window": 3_600_000_000, "concurrency": 20, "burst": 50, "layout": "1.5"}


def test_a_lowered_limit_says_what_is_in_force_and_what_is_configured(
    console: Console, redis_client: redis.Redis
) -> None:
    seconds, _ = redis_client.time()
    lowered = LIMITS | {"share": "0.5", "share_at": seconds * 1_000_000}
    redis_client.hset(RedisKeys("north").account_state, mapping=lowered)
    redis_client.hset(RedisKeys("south").account_state, mapping=LIMITS)
    page = console.person("operator").get("/accounts")
    assert "500 in force of 1,000 configured" in shown(page)
    assert "in force" not in shown(console.person("bound").get("/accounts"))


@pytest.mark.usefixtures("orders")
def test_an_open_page_does_not_end_a_pause_that_it_did_not_show(
    console: Console, redis_client: redis.Redis
) -> None:
    keys, at = RedisKeys("north"), redis_client.time()[0] * 1_000_000
    redis_client.hset(keys.account_state, mapping={"paused": "insufficient_balance", "paused_at": at})
    bob, seen = console.person("operator"), re.compile('name="pause" value="([^"]+)"')
    (pause,) = seen.findall(bob.get("/accounts").text)
    answer = console.person("admin").act("/accounts/north", how="pause", reason="wrong letters")
    assert answer.status_code == 303
    answer = bob.act("/accounts/north", how="resume", pause=pause, reason="it is topped up")
    assert answer.status_code == 409
    assert "is paused otherwise by now: operator by admin: wrong letters" in shown(answer)
    assert redis_client.hget(keys.account_state, "paused") == b"operator"
    (pause,) = seen.findall(bob.get("/accounts").text)
    bob.act("/accounts/north", how="resume", pause=pause, reason="they are out")
    assert redis_client.hget(keys.account_state, "paused") == b""


@pytest.mark.parametrize(
    ("reason", "colour", "words"),
    [
        ("operator", "canceled", "Paused by a person"),
        ("insufficient_balance", "failed", "Paused: insufficient balance"),
    ],
)
def test_who_paused_an_account_has_its_own_colour_and_the_sign_of_a_pause(
    console: Console, redis_client: redis.Redis, reason: str, colour: str, words: str
) -> None:
    redis_client.hset(RedisKeys("north").account_state, mapping=LIMITS | {"paused": reason})
    page = console.person("operator").get("/accounts").text
    sign = f'<span class="state" data-s="{colour}"><svg class="i" aria-hidden="true">'
    assert f'{sign}<use href="/static/icons.svg#i-pause"/></svg><span>{words}</span></span>' in page


def test_while_redis_is_away_each_page_leads_to_the_faxes_that_have_ended(tmp_path: Path) -> None:
    with Console("redis://127.0.0.1:1/0", tmp_path) as console:
        page = console.person("operator").get("/accounts")
    assert page.status_code == 503
    assert '<a class="btn" href="/faxes">Search ended faxes</a>' in page.text
    assert '<span class="count">–<' in page.text  # noqa: RUF001 - a dash, as the page has it


def test_a_fax_that_waits_for_a_paused_account_says_who_paused_it_and_why_and_leads_there(
    console: Console, redis_client: redis.Redis
) -> None:
    keys = RedisKeys("north")
    at = redis_client.time()[0] * 1_000_000
    paused = {"paused": "operator", "paused_at": at, "paused_by": f"{at} otto: iFax maintenance"}
    redis_client.hset(keys.account_state, mapping=LIMITS | paused)
    step = json.dumps({"event": "fax.queued", "at": 1, "state": "queued", "attempt": 0})
    record: Any = {"state": "queued", "number": "+12025550168", "place": 7, "n": 1, "h:1": step}
    redis_client.hset(keys.job("a"), mapping=record)
    redis_client.zadd(keys.ready, {"a": 7})
    page = console.person("operator").get("/faxes/north/a")
    assert "by otto: iFax maintenance." in shown(page)
    assert 'href="/accounts#north"' in page.text
    viewer = console.person("viewer").get("/faxes/north/a")
    assert "by otto: iFax maintenance." in shown(viewer)
    assert "/accounts" not in viewer.text


@pytest.mark.parametrize("reason", ["insufficient_balance", "unreachable", "breaker"])
def test_the_page_of_a_waiting_fax_says_in_the_viewers_zone_since_when_its_account_is_paused(
    own_console: Console, redis_client: redis.Redis, reason: str
) -> None:
    own_console.store.add_user(Person("rosa", Role.VIEWER, zone="Pacific/Kiritimati"))
    keys, (at, _) = RedisKeys("north"), redis_client.time()
    us = at * 1_000_000
    paused = {"paused": reason, "paused_at": us, "probe_at": us + 600_000_000, "paused_why": f"{us} told"}
    redis_client.hset(keys.account_state, mapping=LIMITS | paused)
    put_fax(redis_client, "a", place=7)
    redis_client.zadd(keys.ready, {"a": 7})
    page = shown(own_console.person("rosa").get("/faxes/north/a"))
    for moment in (at, at + 600):
        local = datetime.fromtimestamp(moment, ZoneInfo("Pacific/Kiritimati"))
        assert f"{local:%H:%M:%S} +14 (" in page


@pytest.mark.parametrize(("who", "told"), [("clerk", False), ("operator", True)])
def test_only_those_who_see_the_system_are_told_of_its_processes(
    console: Console, redis_client: redis.Redis, who: str, told: bool
) -> None:
    keys, at = RedisKeys("north"), redis_client.time()[0] * 1_000_000
    paused = {"paused": "invalid_key", "paused_at": at, "paused_by": f"{at} vm:16602"}
    redis_client.hset(keys.account_state, mapping=LIMITS | paused)
    put_fax(redis_client, "a", place=7)
    redis_client.zadd(keys.ready, {"a": 7})
    person = console.person(who)
    page = shown(person.get("/faxes/north/a"))
    assert "The account is paused since" in page
    assert ("vm:16602 found it." in page) is told
    redis_client.hset(keys.account_state, "paused", "")
    page = shown(person.get("/faxes/north/a"))
    assert "Nothing holds it. The next free worker takes it." in page
    assert ("check that a worker runs" in page) is told


def test_what_waits_for_an_account_is_a_link_to_its_faxes(
    console: Console, redis_client: redis.Redis
) -> None:
    redis_client.hset(RedisKeys("north").account_state, mapping=LIMITS | {"paused": "operator"})
    person = console.person("operator")
    queued = "/faxes?q=account%3Anorth+state%3Aqueued"
    assert f'<a href="{queued}">0 faxes queued</a>' in person.get("/accounts").text
    attention = person.get("/attention")
    assert f'href="{queued}"' in attention.text
    assert "0 faxes wait and spend no attempt" in shown(attention)


@pytest.mark.usefixtures("orders")
def test_an_operator_probes_a_paused_account_with_a_reason_and_reads_what_came_of_it(
    console: Console, redis_client: redis.Redis
) -> None:
    keys, at = RedisKeys("north"), redis_client.time()[0] * 1_000_000
    paused = {"paused": "insufficient_balance", "paused_at": at, "probe_at": at + 600_000_000}
    redis_client.hset(keys.account_state, mapping=LIMITS | paused)
    operator = console.person("operator")
    for path in ("/accounts", "/attention"):
        text = shown(operator.get(path))
        assert "The next probe goes at" in text
        assert "Probe now" in text
    seen = f"insufficient_balance {at}"
    assert f'name="pause" value="{seen}"' in operator.get("/attention").text
    assert operator.act("/accounts/north", how="probe", pause=seen).status_code == 400
    assert operator.act("/accounts/north", how="probe", reason="x").status_code == 400
    answer = operator.act("/accounts/north", how="probe", pause=seen, reason="topped up")
    assert answer.headers["location"] == "/accounts?probe=done&account=north#north"
    assert "The probe goes now" in shown(operator.get("/accounts?probe=done&account=north"))
    assert int(redis_client.hget(keys.account_state, "probe_at") or 0) < at + 600_000_000
    entries: Any = redis_client.xrange(keys.audit)
    assert [(entry[b"what"], entry[b"who"]) for _, entry in entries] == [(b"probe", b"operator: topped up")]
    redis_client.hset(keys.account_state, "paused", "operator")
    for path in ("/accounts", "/attention"):
        assert "Probe" not in shown(operator.get(path))
    answer = operator.act("/accounts/north", how="probe", pause=f"operator {at}", reason="x")
    assert answer.headers["location"] == "/accounts?probe=held&account=north#north"
    answer = operator.act("/accounts/north", how="probe", pause=seen, reason="x")
    assert (answer.status_code, "north is paused otherwise by now" in shown(answer)) == (409, True)
    assert "<b>x" not in operator.get("/accounts?probe=<b>x").text


def test_the_page_says_what_became_of_the_probe_and_in_ifaxs_words_why_the_account_is_still_paused(
    console: Console, redis_client: redis.Redis
) -> None:
    keys, at = RedisKeys("north"), redis_client.time()[0] * 1_000_000
    paused = {"paused": "insufficient_balance", "paused_at": at, "paused_why": f"{at} Add credit"}
    probes = {"probe_at": at + 600_000_000, "probes": 2}
    redis_client.hset(keys.account_state, mapping=LIMITS | paused | probes)
    operator, after = console.person("operator"), "/accounts?probe=done&account=north"
    text = shown(operator.get(after))
    assert "Add credit. 2 probes have gone since, and the account is still paused." in text
    assert "The probe went, and north is still paused." in text
    assert "The probe goes now" not in text
    redis_client.zadd(keys.permits, {"t|a": at / 1000 + 60_000})
    assert "The probe of north is under way." in shown(operator.get(after))
    redis_client.hset(keys.account_state, "paused", "")
    text = shown(operator.get(after))
    assert "north is open." in text
    assert "probe" not in text.lower()


def test_an_account_at_its_limit_says_when_the_next_call_can_go_and_the_list_what_its_faxes_wait_for(
    console: Console, redis_client: redis.Redis
) -> None:
    keys, now = RedisKeys("north"), redis_client.time()[0] * 1_000_000
    redis_client.hset(keys.account_state, mapping=LIMITS | {"requests": 2})
    redis_client.zadd(keys.answers, {"a": now - 60_000_000, "b": now - 60_000_000})
    put_fax(redis_client, "a")
    put_fax(redis_client, "later", send_at=4_102_477_200_000)
    redis_client.zadd(keys.ready, {"a": 7, "later": 8})
    operator = console.person("operator")
    assert "The next call can go at about" in shown(operator.get("/accounts"))
    assert shown(operator.get("/faxes")).count("Waits for the limit of requests") == 1
    redis_client.hset(keys.account_state, "paused", "insufficient_balance")
    console.counts.forget()
    assert shown(operator.get("/faxes")).count("The account is paused: insufficient balance") == 1
