"""Somebody with a department is told nothing of the faxes of others, neither which nor how many there are."""

import json
import math
import re
import threading
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from tests.consoles import Console, shown

KEYS = RedisKeys("north")
CLOCK = re.compile(r"\d\d:\d\d:\d\d")
PLACE = 4_000_000_000_000_000


@pytest.fixture
def console(shared: Console, redis_client: redis.Redis) -> Console:
    """A console before 37 queued faxes of billing, and one of radiology behind them."""
    for number in range(37):
        fax(redis_client, f"secret.{number}", "billing", number)
    fax(redis_client, "scan.1", "radiology", 40)
    limits: Any = {"requests": 7, "window": 3_600_000_000, "layout": "1.5"}
    redis_client.hset(KEYS.account_state, mapping=limits)
    seconds, _ = redis_client.time()
    redis_client.zadd(KEYS.answers, {f"t{n}": seconds * 1_000_000 - n for n in range(7)})
    shared.counts.forget()
    return shared


def fax(client: redis.Redis, job: str, department: str, place: int, state: str = "queued") -> None:
    step = json.dumps({"event": "fax.queued", "at": 1, "state": "queued", "attempt": 0})
    record: Any = {
        "state": state,
        "number": "+12025550168",
        "created_at": 1_790_000_000_000,
        "n": 1,
        "h:1": step,
        "metadata": json.dumps({"department": department}),
        "place": PLACE + place,
        "priority": "normal",
    }
    client.hset(KEYS.job(job), mapping=record)
    if state == "queued":
        client.zadd(KEYS.ready, {job: PLACE + place})


@pytest.mark.parametrize(
    "path",
    [
        *("/faxes", "/faxes?q=state:queued", "/faxes?q=-meta.department:radiology", "/faxes?q=id:secret.1"),
        *("/faxes/north/scan.1", "/attention", "/mailings", "/mailings/new", "/send", "/usage"),
        *("/faxes/north/secret.1", "/mailings/north/secret", "/accounts", "/system", "/audit", "/usage.csv"),
    ],
)
def test_no_page_tells_of_the_faxes_of_others(console: Console, path: str) -> None:
    page = console.person("radiologist").get(path)
    text = CLOCK.sub("", shown(page))
    assert not re.search(r"\b3[78]\b|7 of 7", text)
    assert "secret" not in text.replace("No fax with the id secret.1", "")
    assert not re.search("(href|action)=./?faxes/north/secret", page.text)


def test_others_are_told_what_holds_the_same_fax(console: Console) -> None:
    page = console.person("viewer").get("/faxes/north/scan.1")
    assert "37 jobs are before it" in shown(page)
    say = page.text.partition('<p class="say">')[2].partition("</p>")[0]
    assert say == "Waiting for the hourly limit (7 of 7 used)."  # why stands first
    assert "38 faxes go first" in shown(console.person("clerk").get("/send"))


def test_a_plan_and_a_fax_behind_another_do_not_name_it(console: Console, redis_client: redis.Redis) -> None:
    fax(redis_client, "scan.2", "radiology", 50, "failed")
    redis_client.hset(KEYS.job("scan.2"), "job_id", 5)
    person = console.person("radiologist")
    plan = shown(person.act("/faxes/plan", verb="resend", pick=console.seen("north/scan.2")))
    assert "behind what is queued" in plan
    assert "38" not in CLOCK.sub("", plan)
    fax(redis_client, "scan.3", "radiology", 60)
    redis_client.zrem(KEYS.ready, "scan.3")
    place = str(PLACE + 60).zfill(17)
    redis_client.zadd(KEYS.waiting, {f"+12025550168|{place}|scan.3": 0})
    redis_client.hset(KEYS.lines, "+12025550168", " secret.5@9999999999999")
    assert "secret.5" in console.person("viewer").get("/faxes/north/scan.3").text
    own = person.get("/faxes/north/scan.3")
    assert "another fax to it is under way." in shown(own)
    assert "secret.5" not in own.text


def test_the_fax_that_has_a_job_id_already_is_named_to_those_who_see_it(
    console: Console, redis_client: redis.Redis, redis_url: str
) -> None:
    fax(redis_client, "scan.4", "radiology", 70, "in_doubt")

    def refuse(count: int) -> None:
        with redis.Redis.from_url(redis_url) as client:
            after = "0"
            for _ in range(count):
                page: Any = client.xread({KEYS.orders: after}, block=5000, count=1)
                after = page[0][1][0][0].decode()
                client.xadd(KEYS.reply(after), {"result": "taken", "job": "secret.5"})

    thread = threading.Thread(target=refuse, args=(4,))
    thread.start()
    answers = {
        name: [
            console.person(name).act(path, how="accepted", job_id="5", confirmed="5").text
            for path in ("/attention/north/doubts/scan.4", "/faxes/north/scan.4/resolve")
        ]
        for name in ("operator", "radiologist")
    }
    thread.join()
    assert all("This jobId belongs to the fax secret.5." in text for text in answers["operator"])
    assert all("This jobId belongs to another fax." in text for text in answers["radiologist"])
    assert not any("secret" in text for text in answers["radiologist"])


def test_a_departments_faxes_are_found_behind_many_of_others(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        fax(redis_client, f"more.{number}", "billing", -number)
    monkeypatch.setattr("faxline_console.finding.finder.MOST_LIVE", 20)
    person = console.person("radiologist")
    assert "scan.1" in person.get("/faxes?q=state:queued").text
    assert "Cancel 1 fax?" in shown(person.act("/faxes/plan", verb="cancel", all="1", q="state:queued"))
    monkeypatch.setattr("faxline_console.finding.own_faxes.MOST_READ", 30)
    page = shown(person.get("/faxes?q=state:queued"))
    assert "No fax was found, and not all were searched" in page
    plan = shown(person.act("/faxes/plan", verb="cancel", all="1", q="state:queued"))
    assert "Not all faxes on their way are shown here." in plan


def test_a_departments_doubt_is_found_behind_many_of_others_and_every_doubt_is_counted(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(30):
        fax(redis_client, f"a.{number:02}", "billing", 0, "in_doubt")
    fax(redis_client, "zz.1", "radiology", 0, "in_doubt")
    redis_client.zadd(
        KEYS.in_doubt, {**{f"a.{number:02}": math.inf for number in range(30)}, "zz.1": math.inf}
    )
    monkeypatch.setattr("faxline_console.acting.cases.MOST", 10)
    radiologist, operator = console.person("radiologist"), console.person("operator")
    assert "zz.1" in radiologist.get("/attention").text
    page = shown(operator.get("/attention"))
    assert "31 open" in page
    assert "21 more are not shown here" in page
    monkeypatch.setattr("faxline_console.finding.own_faxes.MOST_READ", 20)
    page = shown(radiologist.get("/attention"))
    assert "Nothing needs you" not in page
    assert "not all were searched" in page
