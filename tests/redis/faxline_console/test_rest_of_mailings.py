"""The rest of a mailing is canceled through a plan: those that it showed, and nothing that came later."""

import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
import redis

from faxline import FaxLine
from faxline.contract.redis_keys import RedisKeys
from faxline_console.showing.formats import Times
from faxline_console.showing.outlook import end_of_queue
from tests.consoles import Console, Somebody, put_fax, shown
from tests.stage.archives import BEGIN

KEYS = RedisKeys("north")


@pytest.fixture
def console(own_console: Console) -> Console:
    return own_console


def rest_plan(person: Somebody, mailing: str) -> httpx.Response:
    """The plan to cancel the rest of a mailing."""
    return person.act("/faxes/plan", verb="cancel", rest=mailing)


def carried_out(person: Somebody, plan: httpx.Response) -> httpx.Response:
    """What became of a plan that was confirmed with a reason."""
    form = {
        name: plan.text.partition(f'name="{name}" value="')[2].partition('"')[0] for name in ("picks", "rest")
    }
    return person.act("/faxes/do", verb="cancel", reason="wrong letter", **form)


def canceled(client: redis.Redis) -> list[tuple[str, str]]:
    entries: Any = client.xrange(KEYS.intake)
    orders = [json.loads(fields[b"cancel"]) for _, fields in entries if b"cancel" in fields]
    return [(order["id"], order["by"]) for order in orders]


def test_canceling_the_rest_shows_a_plan_and_asks_for_those_that_it_showed_alone(
    console: Console, redis_client: redis.Redis
) -> None:
    for job, state in (
        ("june.1", "queued"),
        ("june.2", "delivered"),
        ("june.3", "queued"),
        ("june.4", "queued"),
    ):
        redis_client.sadd(KEYS.group("june"), job)
        put_fax(redis_client, job, state=state, group="june")
    put_fax(redis_client, "june.5", state="submitting", group="june", attempt=1)
    redis_client.sadd(KEYS.group("june"), "june.5")
    person = console.person("clerk")
    assert "Cancel the rest…" in shown(person.get("/mailings/north/june"))
    plan = rest_plan(person, "north/june")
    text = shown(plan)
    assert "Cancel 3 faxes?" in text
    assert "june.5 is sending already" in text
    assert "june.2" not in text
    put_fax(redis_client, "june.6", group="june")  # pushed into it since
    redis_client.sadd(KEYS.group("june"), "june.6")
    redis_client.hset(KEYS.job("june.3"), "state", "submitting")
    redis_client.hset(KEYS.job("june.4"), "created_at", BEGIN + 1)  # its id is another fax's now
    redis_client.hset(KEYS.job("june.5"), "state", "queued")
    done = carried_out(person, plan)
    assert canceled(redis_client) == [("june.1", "clerk: wrong letter")]
    text = shown(done)
    assert "1 fax asked to be canceled" in text
    assert "june.3 is sending since" in text
    assert 'href="/mailings/north/june">To the mailing' in done.text
    assert person.act("/faxes/do", verb="cancel", picks="", reason="x").status_code == 200
    assert len(canceled(redis_client)) == 1


def test_the_rest_of_a_large_mailing_is_canceled_by_one_plan_and_of_a_larger_one_the_plan_says_so(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(1200):
        put_fax(redis_client, f"june.{number}", group="june")
    redis_client.sadd(KEYS.group("june"), *(f"june.{number}" for number in range(1200)))
    person = console.person("clerk")
    plan = rest_plan(person, "north/june")
    assert "Cancel 1,200 faxes?" in shown(plan)
    assert "and 200 more" in shown(plan)
    monkeypatch.setattr("faxline_console.acting.chosen.MOST_REST", 1100)
    less = shown(rest_plan(person, "north/june"))
    assert "More than 1,100 faxes of it are open" in less
    monkeypatch.undo()
    assert "1,200 faxes asked to be canceled" in shown(carried_out(person, plan))
    assert len({job for job, _ in canceled(redis_client)}) == 1200


@pytest.mark.parametrize(("who", "status"), [("viewer", 403), ("bound", 404), ("auditor", 403)])
def test_who_may_not_send_or_not_see_the_account_gets_no_plan_to_cancel_the_rest(
    console: Console, redis_client: redis.Redis, who: str, status: int
) -> None:
    put_fax(redis_client, "june.1", group="june")
    redis_client.sadd(KEYS.group("june"), "june.1")
    answer = rest_plan(console.person(who), "north/june")
    assert answer.status_code == status
    assert "june.1" not in answer.text


def test_of_a_mailing_somebody_with_a_department_cancels_its_own_faxes_alone(
    console: Console, redis_client: redis.Redis
) -> None:
    for job, department in (("scans.1", "radiology"), ("others.1", "billing")):
        put_fax(redis_client, job, group="scans", metadata=json.dumps({"department": department}))
        redis_client.sadd(KEYS.group("scans"), job)
    person = console.person("radiologist")
    plan = rest_plan(person, "north/scans")
    assert "others" not in plan.text
    carried_out(person, plan)
    assert canceled(redis_client) == [("scans.1", "radiologist: wrong letter")]


def test_a_forecast_that_is_past_is_not_shown(redis_url: str, redis_client: redis.Redis) -> None:
    redis_client.zadd(KEYS.ready, {f"job.{number}": 3e15 for number in range(5)})
    limits: Any = {"requests": 1, "window": 3_600_000_000, "concurrency": 1, "layout": "1.5"}
    redis_client.hset(KEYS.account_state, mapping=limits)
    with FaxLine(redis_url, "north") as line:
        state = line.account_state()
    assert "expected to start by" in end_of_queue(state, Times("UTC"))
    assert not end_of_queue(replace(state, now=state.now - 48 * 3_600_000_000), Times("UTC"))


def test_a_mailing_of_which_nothing_waits_offers_no_cancellation(
    console: Console, redis_client: redis.Redis
) -> None:
    redis_client.sadd(KEYS.group("scans"), "scans.1", "scans.2")
    put_fax(redis_client, "scans.1", state="submitted", group="scans", job_id=7)
    put_fax(redis_client, "scans.2", state="delivered", group="scans")
    clerk = console.person("clerk")
    assert "Cancel the rest" not in shown(clerk.get("/mailings/north/scans"))
    redis_client.sadd(KEYS.group("scans"), "scans.3")
    put_fax(redis_client, "scans.3", group="scans")
    page = clerk.get("/mailings/north/scans").text
    assert "1 that iFax has or may have is not stopped" in page
    assert "Cancel the rest" in page.partition('id="live"')[2].partition("</section></div>\n")[0]
