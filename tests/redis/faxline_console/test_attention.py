"""What needs attention: the queue, its count on every page, and what the queue's forms answer."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_console.live.line import ConsoleLine
from tests.consoles import Console, Somebody, shown

AT = 1_790_000_000_000
SCRIPT = "<script>alert(1)</script>"


def record(client: redis.Redis, account: str, job: str, state: str, **fields: str | int) -> None:
    keys = RedisKeys(account)
    values: Any = {
        "state": state,
        "number": "+12025550168",
        "priority": "normal",
        "updated_at": AT,
        "admitted_at": AT,
    }
    client.hset(keys.job(job), mapping=values | fields)
    if state == "in_doubt":
        client.zadd(keys.in_doubt, {job: math.inf})


def event(client: redis.Redis, account: str, job: str, name: str, **data: object) -> None:
    fields: Any = {"event": name, "job": job, "at": AT, "data": json.dumps(data)}
    client.xadd(RedisKeys(account).events, fields)


@pytest.fixture
def console(own_console: Console) -> Console:
    return own_console


def test_a_doubt_shows_what_to_look_for_and_three_buttons_of_the_same_weight(
    console: Console, redis_client: redis.Redis
) -> None:
    record(
        redis_client, "north", "lab.1", "in_doubt", reason="read_timeout", metadata=json.dumps({"a": SCRIPT})
    )
    page = console.person("operator").get("/attention")
    assert page.status_code == 200, page.text
    text = shown(page)
    assert "lab.1" in text
    assert "Read timeout. iFax may have it." in text
    assert "••• ••• 0168" in text
    assert "2025550168" not in page.text
    answers = re.findall('<(?:button name="how" value|summary class)="([^"]*)"[^>]*>([^<]*)<', page.text)
    assert answers == [("accepted", "It is there"), ("btn", "Not there: send again…"), ("btn", "Give up…")]
    assert not re.search('class="[^"]*primary', page.text.partition("<main")[2])


def test_doubts_that_wait_for_their_policy_are_told_with_their_count_and_when_they_come(
    console: Console, redis_client: redis.Redis
) -> None:
    for job, minute in (("lab.1", 59), ("lab.2", 58)):
        record(redis_client, "north", job, "in_doubt")
        due = datetime(2099, 1, 1, 12, minute, tzinfo=UTC).timestamp()
        redis_client.zadd(RedisKeys("north").in_doubt, {job: due * 1e3})
    page = console.person("operator").get("/attention")
    assert "0 open" in shown(page)
    assert '<a href="/faxes?q=state:in_doubt">2 faxes are in doubt</a>' in page.text
    assert "decides the first at 1 Jan 2099 12:58:00 UTC" in shown(page)
    assert "in doubt</a>" not in console.person("bound").get("/attention").text


def test_a_doubt_that_is_held_at_the_end_of_its_wait_is_not_said_to_be_decided_by_its_policy(
    console: Console, redis_client: redis.Redis
) -> None:
    record(redis_client, "north", "lab.1", "in_doubt")
    redis_client.hset(RedisKeys("north").account_state, "then", "hold")
    due = datetime(2099, 1, 1, 12, 58, tzinfo=UTC).timestamp()
    redis_client.zadd(RedisKeys("north").in_doubt, {"lab.1": due * 1e3})
    operator = console.person("operator")
    page = shown(operator.get("/attention"))
    assert "It waits for an answer here from 1 Jan 2099 12:58:00 UTC on." in page
    assert "policy decides" not in page
    own = shown(operator.get("/faxes/north/lab.1"))
    assert "Nobody is asked before 1 Jan 2099 12:58:00 UTC" in own


def test_the_count_is_in_the_title_and_the_rail_of_every_page_for_those_who_settle(
    console: Console, redis_client: redis.Redis, wait_until: Callable[..., str]
) -> None:
    record(redis_client, "north", "lab.1", "in_doubt")
    record(redis_client, "south", "lab.2", "in_doubt")
    for name, count in (("operator", 2), ("bound", 1)):
        person = console.person(name)

        def counted(person: Somebody = person, title: str = f"<title>({count}) Faxes") -> str:
            page = person.get("/faxes").text
            return page if title in page else ""

        page = wait_until(counted)  # a page does not wait long for the first count
        assert f"{count} need attention" in page
    assert "need attention" not in console.person("clerk").get("/faxes").text


def test_a_wrong_job_id_is_told_beside_its_field_which_keeps_what_was_typed(
    console: Console, redis_client: redis.Redis
) -> None:
    record(redis_client, "north", "lab.1", "in_doubt")
    person = console.person("operator")
    for typed in ("8812x", "", "٣", "9" * 30):
        answer = person.act("/attention/north/doubts/lab.1", how="accepted", job_id=typed)
        assert answer.status_code == 400
        assert "A jobId has digits only." in answer.text.replace("&#39;", "'")
        assert f'value="{typed}" aria-invalid="true"' in answer.text
    answer = person.act("/attention/north/doubts/lab.1", how="accepted", job_id='"><script>')
    assert "<script>" not in answer.text.partition("<main")[2]
    assert redis_client.xlen(RedisKeys("north").orders) == 0


@pytest.mark.parametrize("path", ["/faxes/north/lab.1/resolve", "/attention/north/doubts/lab.1"])
def test_a_job_id_settles_a_doubt_only_once_it_was_shown_beside_its_fax_and_confirmed(
    console: Console, redis_client: redis.Redis, path: str
) -> None:
    record(redis_client, "north", "lab.1", "in_doubt", attempt=1)
    person = console.person("operator")
    for confirmed in ({}, {"confirmed": "99999"}):  # at first, and of a form that showed another one
        page = person.act(path, how="accepted", job_id="999999", **confirmed)
        assert page.status_code == 200
        text = shown(page)
        assert "Is it jobId 999999 at iFax?" in text
        assert "Fax lab.1 To ••• ••• 0168 Account north" in text
        assert "cannot be taken back" in text
        assert 'name="confirmed" value="999999"' in page.text
    assert redis_client.xlen(RedisKeys("north").orders) == 0


@pytest.mark.parametrize(("how", "typed"), [("accepted", ""), ("accepted", "8812x"), ("", "")])
def test_a_wrong_answer_to_a_doubt_that_was_settled_meanwhile_is_told_how_it_was_settled(
    console: Console, redis_client: redis.Redis, how: str, typed: str
) -> None:
    record(redis_client, "north", "lab.1", "in_doubt")
    person, seen = console.person("operator"), console.seen("north/lab.1")
    record(redis_client, "north", "lab.1", "delivered")
    answer = person.act("/attention/north/doubts/lab.1", how=how, job_id=typed, seen=seen)
    assert answer.status_code == 409
    assert "lab.1 was settled before your answer." in shown(answer)
    assert redis_client.xlen(RedisKeys("north").orders) == 0


def test_a_fax_of_which_no_page_arrived_is_not_said_to_have_arrived_in_part(
    console: Console, redis_client: redis.Redis
) -> None:
    step = {"event": "fax.delivered", "at": AT, "state": "delivered", "attempt": 1, "partial": True}
    told: Any = {"pages": 1, "transferred": 0, "partial": 1, "n": 1, "h:1": json.dumps(step)}
    record(redis_client, "north", "none.1", "delivered", **told)
    event(redis_client, "north", "none.1", "fax.delivered", partial=True)
    operator = console.person("operator")
    text = shown(operator.get("/attention"))
    assert "No page of it arrived" in text
    assert "0 of 1 page arrived. iFax reports it as delivered all the same." in text
    assert "a part of it" not in text
    page = operator.get("/faxes/north/none.1").text.partition("What happened")[2].partition("</section>")[0]
    assert "<b>Partly delivered</b>" in page
    assert 'data-s="delivered"' not in page


def test_a_fax_that_ended_without_certainty_follows_and_is_not_counted(
    console: Console, redis_client: redis.Redis
) -> None:
    record(redis_client, "north", "part.1", "delivered", pages=5, transferred=2)
    event(redis_client, "north", "part.1", "fax.delivered", partial=True)
    record(redis_client, "north", "gone.1", "unconfirmed", job_id=7)
    event(redis_client, "north", "gone.1", "fax.unconfirmed")
    record(redis_client, "north", "late.1", "delivered", pages=5, transferred=5)
    event(redis_client, "north", "late.1", "fax.unconfirmed")
    text = shown(console.person("operator").get("/attention"))
    assert "0 open" in text
    assert "2 of 5 pages arrived" in text
    assert "gone.1" in text
    assert "late.1" not in text
    assert "part.1" not in shown(console.person("bound").get("/attention"))


@pytest.mark.parametrize(
    ("how", "before", "after"),
    [
        (
            "redrive",
            "What still cannot be read is set aside again. Reason",
            "it is set aside again within seconds",
        ),
        ("drop", "It is deleted for good, and nothing has what it says. Reason", "The entry was dropped."),
    ],
)
def test_an_entry_is_put_back_or_dropped_once_the_page_said_what_that_does_and_the_page_says_what_was_done(
    console: Console,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
    before: str,
    after: str,
) -> None:
    ordered: list[str] = []

    async def carry_out(_: ConsoleLine, entry: str, *, by: str) -> None:
        ordered.append(f"{entry} {by}")

    monkeypatch.setattr(ConsoleLine, how, carry_out)
    dead: Any = {"stream": "status", "entry": "7-0", "why": "malformed", "kind": "other"}
    added: Any = redis_client.xadd(RedisKeys("north").dead, dead)
    entry = added.decode()
    person = console.person("operator")
    page = person.get("/attention")
    assert before in shown(page)
    assert re.findall(
        f'name="entry" value="{entry}"><input type="hidden" name="how" value="{how}"><p>', page.text
    )
    assert '<button name="how"' not in page.text.partition("<main")[2]
    answer = person.act("/attention/north/dead", how=how, entry=entry, reason="looked at")
    assert ordered == [f"{entry} operator: looked at"]
    assert after in shown(person.get(answer.headers["location"]))


@pytest.mark.parametrize("name", ["viewer", "clerk", "auditor"])
def test_who_may_not_settle_sees_no_queue_and_settles_nothing(
    console: Console, redis_client: redis.Redis, name: str
) -> None:
    record(redis_client, "north", "lab.1", "in_doubt")
    person = console.person(name)
    assert person.get("/attention").status_code == 403
    assert person.act("/attention/north/doubts/lab.1", how="fail").status_code == 403
    assert person.act("/attention/north/dead", how="drop", entry="1-1").status_code == 403
    assert redis_client.xlen(RedisKeys("north").orders) == 0


@pytest.mark.parametrize("name", ["bound", "radiologist"])
def test_a_doubt_of_another_account_or_department_is_not_there(
    console: Console, redis_client: redis.Redis, name: str
) -> None:
    record(redis_client, "north", "lab.1", "in_doubt", metadata=json.dumps({"department": "billing"}))
    person = console.person(name)
    assert "lab.1" not in person.get("/attention").text
    assert person.act("/attention/north/doubts/lab.1", how="fail").status_code == 404
    assert person.act("/attention/north/doubts/lab.1/number").status_code == 404
    assert person.act("/attention/north/dead", how="drop", entry="1-1").status_code == 404
    assert redis_client.xlen(RedisKeys("north").orders) == 0


def test_the_console_is_ready_while_redis_and_its_database_answer(console: Console) -> None:
    answer = console.person("viewer").get("/readyz")
    assert (answer.status_code, answer.text) == (200, "redis: ok\ndatabase: ok\n")


def test_the_line_of_a_doubt_has_the_caller_id_and_the_time_at_ifax_and_no_number_until_it_is_shown(
    console: Console, redis_client: redis.Redis
) -> None:
    record(redis_client, "north", "lab.1", "in_doubt", sender="+12025550100", updated_at=AT + 30_000)
    page = console.person("operator").get("/attention")
    copied = page.text.partition('data-copy="')[2].partition('"')[0]
    assert copied == (
        "to …0168, from +12025550100, unknown pages, at iFax between 21 Sep 14:13:20 UTC and "
        "21 Sep 14:15:50 UTC, account north"
    )


def test_what_is_left_as_it_is_is_listed_no_more_until_it_changes(
    console: Console, redis_client: redis.Redis
) -> None:
    record(redis_client, "north", "gone.1", "unconfirmed", job_id=7)
    event(redis_client, "north", "gone.1", "fax.unconfirmed")
    operator = console.person("operator")
    assert "Leave as it is" in operator.get("/attention").text
    assert operator.act("/attention/north/ended/gone.1/leave").status_code == 303
    assert "gone.1" not in console.person("admin").get("/attention").text
    record(redis_client, "north", "gone.1", "delivered", pages=5, transferred=2, updated_at=AT + 1)
    assert "gone.1" in operator.get("/attention").text
    assert console.person("bound").act("/attention/north/ended/gone.1/leave").status_code == 404
    assert console.person("clerk").act("/attention/north/ended/gone.1/leave").status_code == 403


def test_an_unconfirmed_fax_is_resent_through_its_plan(console: Console, redis_client: redis.Redis) -> None:
    record(redis_client, "north", "gone.1", "unconfirmed", job_id=7)
    event(redis_client, "north", "gone.1", "fax.unconfirmed")
    page = console.person("operator").get("/attention").text
    assert '<form class="inline" method="post" action="/faxes/plan">' in page
    assert f'name="pick" value="{console.seen("north/gone.1")}"' in page
