"""What is done is done to the fax that the person saw, as it was seen; nothing is sent twice unnoticed."""

import json
import re
import threading
import time
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_console.acting import resends
from faxline_console.acting.seen import NOT_SETTLED
from tests.consoles import Console, Somebody, put_fax, shown
from tests.stage.archives import BEGIN, StagedArchive

KEYS = RedisKeys("north")
LATER = BEGIN + 40 * 86_400_000
"""When an id is used again."""


@pytest.fixture
def console(own_console: Console, archive: StagedArchive) -> Console:
    assert archive.keyring is None
    return own_console


@pytest.fixture
def clerk(console: Console) -> Somebody:
    return console.person("clerk")


def live(client: redis.Redis, job: str, state: str, **fields: Any) -> None:
    put_fax(client, job, **{"state": state, "number": "+13035550199", "job_id": 7, **fields})
    if state == "queued":
        client.zadd(KEYS.ready, {job: 1})


def pushed(client: redis.Redis) -> list[tuple[str, str]]:
    entries: Any = client.xrange(KEYS.intake)
    return [(kind.decode(), json.loads(text)["id"]) for _, entry in entries for kind, text in entry.items()]


def field(page: str, name: str) -> str:
    return page.partition(f'name="{name}" value="')[2].partition('"')[0]


def noted(client: redis.Redis, new: str, of: str, who: str) -> None:
    told: Any = {"at": BEGIN + 5000, "who": who, "what": "resend", "job": new, "about": of, "outcome": "done"}
    client.xadd(KEYS.audit, told, id=f"{BEGIN + 5000}-0")


def test_a_fax_that_the_archive_still_has_as_unconfirmed_is_left_out_once_it_was_delivered(
    clerk: Somebody, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    archive.add("late", account="north", state="unconfirmed", reason="no_receipt")
    live(redis_client, "late", "delivered")
    plan = shown(clerk.act("/faxes/plan", verb="resend", all="1", q="state:unconfirmed"))
    assert "There is no fax to resend" in plan
    assert "late is delivered since" in plan


@pytest.mark.parametrize(("verb", "status"), [("export", 400), ("resend", 200), ("cancel", 200)])
def test_a_form_without_a_tick_says_that_nothing_is_ticked(clerk: Somebody, verb: str, status: int) -> None:
    answer = clerk.act("/faxes/plan", verb=verb, q="state:unconfirmed")
    assert (answer.status_code, answer.headers["content-type"][:9]) == (status, "text/html")
    assert "No fax is ticked." in shown(answer)


@pytest.mark.parametrize("chosen", ["ticked", "all"])
@pytest.mark.parametrize("verb", ["resend", "cancel"])
def test_another_fax_that_has_the_id_now_is_left_out(
    clerk: Somebody, archive: StagedArchive, redis_client: redis.Redis, verb: str, chosen: str
) -> None:
    archive.add("daily", account="north", state="failed", reason="busy")
    live(redis_client, "daily", "delivered" if verb == "resend" else "queued", created_at=LATER)
    pick = field(clerk.get("/faxes?q=state:failed").text, "pick")
    how = {"pick": pick} if chosen == "ticked" else {"all": "1", "q": "state:failed"}
    assert "daily is another fax's id now" in shown(clerk.act("/faxes/plan", verb=verb, **how)).replace(
        "&#39;", "'"
    )
    clerk.act("/faxes/do", verb=verb, picks=pick, reason="x")
    assert pushed(redis_client) == []


def test_an_export_has_no_other_fax_under_the_id_of_the_one_that_was_ticked(
    clerk: Somebody, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    archive.add("daily", account="north", state="failed", reason="busy")
    pick = field(clerk.get("/faxes?q=state:failed").text, "pick")
    live(redis_client, "daily", "delivered", created_at=LATER)
    text = clerk.act("/faxes/plan", verb="export", pick=pick).text
    assert "0199" not in text
    assert "Not complete: daily is another fax's id now" in text


def test_a_fax_that_changed_after_its_plan_was_shown_is_left_out_when_it_is_carried_out(
    clerk: Somebody, redis_client: redis.Redis
) -> None:
    live(redis_client, "one", "failed")
    live(redis_client, "two", "failed")
    picks = [
        field(part, "seen") for part in (clerk.get(f"/faxes/north/{name}").text for name in ("one", "two"))
    ]
    plan = clerk.act("/faxes/plan", verb="resend", pick=picks)
    assert "Resend 2 faxes?" in shown(plan)
    redis_client.hset(KEYS.job("one"), "state", "delivered")
    done = clerk.act("/faxes/do", verb="resend", picks=field(plan.text, "picks"), reason="x")
    assert "one is delivered since" in shown(done)
    assert pushed(redis_client) == [("resend", "two.r1")]


def test_a_fax_that_no_longer_matches_its_search_is_left_out_when_it_is_carried_out(
    clerk: Somebody, redis_client: redis.Redis
) -> None:
    live(redis_client, "one", "queued", group="june")
    redis_client.sadd(KEYS.group("june"), "one")
    plan = clerk.act("/faxes/plan", verb="cancel", all="1", q="group:june meta.case:7 state:queued")
    assert "There is no fax to cancel" in shown(plan)
    redis_client.hset(KEYS.job("one"), "metadata", '{"case":"7"}')
    plan = clerk.act("/faxes/plan", verb="cancel", all="1", q="group:june meta.case:7")
    redis_client.hset(KEYS.job("one"), "metadata", '{"case":"8"}')
    form = {name: field(plan.text, name) for name in ("picks", "all", "q")}
    done = clerk.act("/faxes/do", verb="cancel", reason="x", **form)
    assert "one no longer matches the search" in shown(done)
    assert pushed(redis_client) == []


def test_two_plans_for_one_fax_push_one_id_and_the_second_is_told_of_the_first(
    console: Console, clerk: Somebody, redis_client: redis.Redis
) -> None:
    live(redis_client, "f", "failed")
    operator, form = console.person("operator"), {"verb": "resend", "picks": console.seen("north/f")}
    plans = [who.act("/faxes/plan", verb="resend", pick=console.seen("north/f")) for who in (clerk, operator)]
    assert all("Resend 1 fax?" in shown(plan) for plan in plans)
    for who in (clerk, operator):  # before intake has registered the first one, which then refuses the second
        who.act("/faxes/do", reason="x", **form)
    assert pushed(redis_client) == [("resend", "f.r1")] * 2
    redis_client.delete(KEYS.intake)
    live(redis_client, "f.r1", "queued", of="f", created_at=BEGIN + 5000)
    noted(redis_client, "f.r1", "f", "clerk: x")
    done = shown(operator.act("/faxes/do", reason="x", **form))
    assert "f was resent already (f.r1, 27 Oct 11:20:05 UTC, by clerk)" in done
    assert "was resent already" in shown(
        clerk.act("/faxes/plan", verb="resend", pick=console.seen("north/f"))
    )
    assert pushed(redis_client) == []


def test_a_resend_by_any_other_program_is_known_by_the_audit(
    console: Console, clerk: Somebody, redis_client: redis.Redis
) -> None:
    live(redis_client, "f", "failed")
    noted(redis_client, "invoice-78", "f", "ada: paper was out")
    plan = shown(clerk.act("/faxes/plan", verb="resend", pick=console.seen("north/f")))
    assert "f was resent already (invoice-78, 27 Oct 11:20:05 UTC, by ada)" in plan
    page = clerk.get("/faxes/north/f")
    assert "It was resent already (invoice-78, 27 Oct 11:20:05 UTC, by ada)." in shown(page)
    assert field(page.text, "next") == "f.r1"


def test_a_plan_and_a_page_say_before_when_resends_of_other_programs_were_not_looked_for(
    console: Console, clerk: Somebody, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resends, "LATEST", 1000)
    begun = round(time.time() * 1000) - 5_000
    live(redis_client, "f", "failed", created_at=begun)
    call: Any = {"who": "worker:1", "what": "fax-send", "job": "other", "outcome": "accepted"}
    with redis_client.pipeline(transaction=False) as pipe:
        for number in range(1500):
            pipe.xadd(KEYS.audit, call | {"at": begun + number}, id=f"{begun + number}-0")
        pipe.execute()
    plan = clerk.act("/faxes/plan", verb="resend", pick=console.seen("north/f"))
    done = clerk.act("/faxes/do", verb="resend", picks=field(plan.text, "picks"))
    for page in (plan, done, clerk.get("/faxes/north/f")):
        assert re.search(r"Resends by other programs before .* were not looked for", shown(page))
    monkeypatch.setattr(resends, "LATEST", 5000)
    assert "were not looked for" not in shown(clerk.get("/faxes/north/f"))


def test_the_resends_of_an_id_that_was_used_before_and_faxes_that_only_look_like_resends_do_not_count(
    console: Console, clerk: Somebody, redis_client: redis.Redis
) -> None:
    live(redis_client, "f", "failed", created_at=LATER)
    live(redis_client, "f.r1", "delivered", of="f")
    live(redis_client, "f.r2", "delivered", created_at=LATER + 5000)
    noted(redis_client, "f.r1", "f", "ada")
    form = {"verb": "resend", "picks": console.seen("north/f"), "reason": "x"}
    assert "1 fax pushed again" in shown(clerk.act("/faxes/do", **form))
    assert pushed(redis_client) == [("resend", "f.r3")]


def test_the_page_of_a_fax_resends_once_more_but_not_from_a_page_that_is_older_than_the_last_resend(
    clerk: Somebody, redis_client: redis.Redis
) -> None:
    live(redis_client, "f", "failed")
    old = field(clerk.get("/faxes/north/f").text, "next")
    live(redis_client, "f.r1", "failed", of="f", created_at=BEGIN + 5000)
    answer = clerk.act("/faxes/north/f/resend", next=old, reason="x")
    assert (answer.status_code, pushed(redis_client)) == (400, [])
    assert "This fax was resent already (f.r1, 27 Oct 11:20:05 UTC). Nothing was changed." in shown(answer)
    clerk.act("/faxes/north/f/resend", next=field(answer.text, "next"), reason="x")
    assert pushed(redis_client) == [("resend", "f.r2")]


def test_a_copy_goes_to_another_number_once_its_plan_showed_how_that_is_dialled(
    console: Console, clerk: Somebody, redis_client: redis.Redis
) -> None:
    live(redis_client, "f", "delivered", pages=3, transferred=3)
    path = "/faxes/north/f/elsewhere"
    assert "Send a copy elsewhere…" in shown(clerk.get("/faxes/north/f"))
    assert clerk.act(path, to="+12025550147").status_code == 400
    for wrong in ("", "12", "+1 202 555", "<script>alert(1)</script>"):
        page = clerk.act(path, to=wrong, reason="moved")
        assert (page.status_code, "Nothing was sent." in shown(page)) == (400, True)
        assert "<script>alert" not in page.text
    page = clerk.act(path, to="030 123456", reason="moved")  # the page has no field for a country
    assert ("country code is missing" in shown(page), "name the country" in shown(page)) == (True, False)
    plan = clerk.act(path, to="+1 (202) 555-0147", reason="moved")
    assert "Send a copy to +12025550147?" in shown(plan)
    assert "goes to +12025550147 , United States, 3 pages" in shown(plan)
    assert not redis_client.exists(KEYS.intake)
    form = {name: field(plan.text, name) for name in ("to", "confirmed", "next")} | {"reason": "moved"}
    assert clerk.act(path, **form | {"to": "+12025550148"}).status_code == 200  # another plan
    assert clerk.act(path, **form | {"next": "f.r7"}).status_code == 400
    assert not redis_client.exists(KEYS.intake)
    done = clerk.act(path, **form)
    assert done.headers["location"] == "/faxes/north/f.r1?done=pushed"
    entries: Any = redis_client.xrange(KEYS.intake)
    (entry,) = [json.loads(fields[b"resend"]) for _, fields in entries]
    assert (entry["id"], entry["of"], entry["faxNumber"], entry["by"]) == (
        *("f.r1", "f", "+12025550147", "clerk: moved"),
    )
    live(redis_client, "on", "queued")
    refused = clerk.act("/faxes/north/on/elsewhere", to="+12025550147", reason="x")
    assert (refused.status_code, "This fax is still queued." in shown(refused)) == (400, True)
    assert "Send a copy" not in shown(console.person("viewer").get("/faxes/north/f"))


def test_somebody_with_a_department_is_not_told_which_fax_of_others_a_resend_is(
    console: Console, redis_client: redis.Redis
) -> None:
    live(redis_client, "f", "failed", metadata='{"department":"radiology"}')
    live(redis_client, "secret", "queued", of="f", created_at=BEGIN + 5000)
    noted(redis_client, "secret", "f", "ada")
    person = console.person("radiologist")
    plan = person.act("/faxes/plan", verb="resend", pick=console.seen("north/f"))
    assert "f was resent already (27 Oct 11:20:05 UTC)" in shown(plan)
    assert "secret" not in plan.text + person.get("/faxes/north/f").text


@pytest.mark.parametrize(
    ("action", "fields", "state"),
    [
        ("cancel", {}, "queued"),
        ("resend", {"next": "f.r1"}, "failed"),
        ("resolve", {"how": "fail"}, "in_doubt"),
        ("forget", {}, "failed"),
        ("reveal", {}, "queued"),
    ],
)
def test_an_action_on_a_page_of_another_fax_of_the_same_id_is_refused(
    console: Console, redis_client: redis.Redis, action: str, fields: dict[str, str], state: str
) -> None:
    live(redis_client, "f", state)
    seen = console.seen("north/f")
    live(redis_client, "f", state, created_at=LATER)
    answer = console.person("admin").act(f"/faxes/north/f/{action}", reason="x", seen=seen, **fields)
    assert answer.status_code == 400
    assert "this is another fax than the one that you saw. Nothing was changed." in shown(answer)
    assert not redis_client.exists(KEYS.intake, KEYS.orders)


@pytest.mark.parametrize(
    ("action", "fields"), [("resend", {"next": "f.r1"}), ("forget", {})], ids=["resend", "forget"]
)
def test_an_action_on_a_fax_that_was_delivered_after_its_page_was_loaded_is_refused(
    console: Console, redis_client: redis.Redis, action: str, fields: dict[str, str]
) -> None:
    live(redis_client, "f", "unconfirmed")
    seen = console.seen("north/f")
    redis_client.hset(KEYS.job("f"), "state", "delivered")
    answer = console.person("admin").act(f"/faxes/north/f/{action}", reason="x", seen=seen, **fields)
    assert answer.status_code == 400
    assert "This fax is delivered since. Nothing was changed." in shown(answer)
    assert not redis_client.exists(KEYS.intake, KEYS.orders)


@pytest.mark.parametrize("path", ["/faxes/north/f/resolve", "/attention/north/doubts/f"])
def test_an_answer_to_the_doubt_about_one_attempt_does_not_settle_that_about_the_next(
    console: Console, redis_client: redis.Redis, path: str
) -> None:
    live(redis_client, "f", "in_doubt", attempt=1)
    redis_client.zadd(KEYS.in_doubt, {"f": float("inf")})
    seen = console.seen("north/f")
    redis_client.hset(KEYS.job("f"), "attempt", 2)
    answer = console.person("operator").act(path, how="accepted", job_id="5", seen=seen)
    assert (answer.status_code, redis_client.exists(KEYS.orders)) == (400, 0)
    assert "was sent again since" in shown(answer)


@pytest.mark.parametrize("why", ["sent_again", "pushed_again", "word_waits", "other_number", "told_failed"])
@pytest.mark.parametrize("path", ["/faxes/north/f/resolve", "/attention/north/doubts/f"])
def test_an_answer_to_a_doubt_names_the_attempt_and_its_page_says_why_it_was_refused(
    console: Console, redis_client: redis.Redis, redis_url: str, path: str, why: str
) -> None:
    live(redis_client, "f", "in_doubt", attempt=3)
    redis_client.zadd(KEYS.in_doubt, {"f": float("inf")})
    orders: list[dict[bytes, bytes]] = []

    def refuse() -> None:
        with redis.Redis.from_url(redis_url) as client:
            page: Any = client.xread({KEYS.orders: "0"}, block=20_000, count=1)
            entry, order = page[0][1][0]
            orders.append(order)
            reply: Any = {"result": "refused", "state": "in_doubt", "why": why, "attempt": "4"}
            client.xadd(KEYS.reply(entry.decode()), reply)

    thread = threading.Thread(target=refuse)
    thread.start()
    answer = console.person("operator").act(path, how="fail", reason="x", seen=console.seen("north/f"))
    thread.join()
    assert (answer.status_code, orders[0][b"attempt"]) == (400, b"3")
    assert NOT_SETTLED[why] in shown(answer)


@pytest.mark.parametrize("action", ["report.pdf", "proof.zip", "receipt.json"])
def test_no_file_is_made_of_another_fax_than_the_page_showed(
    console: Console, archive: StagedArchive, redis_client: redis.Redis, action: str
) -> None:
    archive.add("f", account="north")
    seen = console.seen("north/f")
    archive.add("f", account="north", at=500)
    assert console.person("clerk").act(f"/faxes/north/f/{action}", seen=seen).status_code == 409
    assert not redis_client.exists(KEYS.orders)


@pytest.mark.parametrize(
    "text", ["", "north/f", "north/x/failed/1/f", "north/1/failed/²/f", "north/1/failed/1/g"]
)
def test_a_form_that_does_not_say_what_was_seen_does_nothing(
    console: Console, redis_client: redis.Redis, text: str
) -> None:
    live(redis_client, "f", "queued")
    answer = console.person("admin").act("/faxes/north/f/cancel", reason="x", seen=text)
    assert (answer.status_code, "The form is not whole" in shown(answer)) == (400, True)
    if text != "north/1/failed/1/g":
        answer = console.person("admin").act("/faxes/do", verb="cancel", reason="x", picks=text or "f")
        assert answer.status_code == 400
    assert not redis_client.exists(KEYS.intake)
