"""What the list of faxes says around its rows: its tabs' numbers, what is missing, what would be found."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import pytest
import redis

from faxline import QueueUnavailable
from faxline.contract.redis_keys import RedisKeys
from faxline.reading.job import Job
from faxline_console.access.people import Person, Role
from faxline_console.acting.picks import Pick
from faxline_console.live.line import ConsoleLine
from tests.archives import new_archive
from tests.consoles import Console, shown
from tests.stage.archives import BEGIN, StagedArchive, StagedFax

KEYS = RedisKeys("north")


@pytest.fixture(scope="module")
def stored() -> list[StagedFax]:
    return [
        StagedFax("a", "north", metadata={"department": "radiology"}),
        StagedFax("b", "north", at=1, state="failed", reason="busy", metadata={"department": "billing"}),
        StagedFax("c", "south", at=2, to="+12025550168"),
        StagedFax("d", "north", at=3, told={"partial": True, "transferred": 1}),
    ]


def live(
    client: redis.Redis, job: str, state: str = "queued", number: str = "+12025550199", **metadata: str
) -> None:
    told: Any = {
        "state": state,
        "number": number,
        "created_at": BEGIN + 60_000,
        "metadata": json.dumps(metadata),
        "n": 1,
        "h:1": json.dumps({"event": "fax.queued", "at": BEGIN, "state": "queued", "attempt": 0}),
    }
    client.hset(KEYS.job(job), mapping=told)
    client.zadd(
        KEYS.ready if state == "queued" else KEYS.submitted, {job: 2e15 if state == "queued" else 9e12}
    )


def tabs(page: str) -> dict[str, str]:
    nav = page.partition('<nav class="tabs"')[2].partition("</nav>")[0]
    links = (re.sub("<[^>]*>", "", f"<{link}").strip() for link in nav.split("<a ")[1:])
    found = (re.fullmatch(r"(.*?) ?([\d,]*\+?)", link) for link in links)
    return {match[1]: match[2] for match in found if match}


def test_each_tab_tells_how_many_there_are_and_they_add_up(
    console: Console, redis_client: redis.Redis
) -> None:
    live(redis_client, "q1")
    live(redis_client, "q2")
    live(redis_client, "s1", "submitted")
    for line in ("", "state:failed", "since:2026-10-01"):
        page = console.person("viewer").get("/faxes", params={"q": line})
        assert tabs(page.text) == {
            "All": "7",
            "Queued": "2",
            "Sending": "1",
            "In doubt": "0",
            "Delivered": "2",
            "Partly": "1",
            "Failed": "1",
            "Unconfirmed": "0",
            "Canceled": "0",
        }, line
        assert "3 on their way" in shown(page)
    assert tabs(console.person("bound").get("/faxes").text)["All"] == "1"


def test_a_department_is_told_the_numbers_of_its_own_faxes_alone(
    console: Console, redis_client: redis.Redis
) -> None:
    live(redis_client, "q1", department="billing")
    live(redis_client, "q2", department="radiology")
    live(redis_client, "s1", "submitted", department="billing")
    person = console.person("radiologist")
    for line in ("", "state:queued", "account:north"):
        found = tabs(person.get("/faxes", params={"q": line}).text)
        assert found == {
            "All": "2",
            "Queued": "1",
            "Sending": "0",
            "In doubt": "0",
            "Delivered": "1",
            "Partly": "0",
            "Failed": "0",
            "Unconfirmed": "0",
            "Canceled": "0",
        }, line


def test_what_the_archive_cannot_count_at_once_has_no_number(
    console: Console, redis_client: redis.Redis
) -> None:
    live(redis_client, "q1")
    found = tabs(console.person("viewer").get("/faxes", params={"q": "-reason:busy"}).text)
    assert found["Queued"] == "1"
    assert {found[word] for word in ("All", "Delivered", "Failed", "Canceled")} == {""}


def test_faxes_on_their_way_are_found_by_state_however_many_are_in_another(
    console: Console, redis_client: redis.Redis
) -> None:
    for number in range(201):
        live(redis_client, f"s{number}", "submitted")
    live(redis_client, "q1")
    page = console.person("viewer").get("/faxes", params={"q": "state:queued"})
    assert "Select q1" in page.text
    assert tabs(page.text)["Sending"] == "201"
    bounded = tabs(console.person("viewer").get("/faxes", params={"q": "since:2026-01-01"}).text)
    assert bounded["Sending"] == "200+"


def test_a_page_without_a_fax_says_what_was_asked_and_what_a_wider_search_finds(console: Console) -> None:
    person = console.person("auditor")
    page = shown(person.get("/faxes", params={"q": "state:canceled,failed account:south"}))
    assert "No canceled or failed fax of the account south" in page
    assert "In any state there is 1 : delivered." in page
    answer = person.act("/faxes", q="to:+12025550168 state:failed since:2026-10-28 until:2026-10-28")
    empty = person.get(answer.headers["location"])
    text = shown(empty)
    assert "No failed fax to …0168 pushed on Wednesday 28 October 2026" in text
    assert "In any state and at any time there is 1 : delivered." in text
    button = empty.text.partition('formaction="/faxes"')[0].rpartition('value="')[2].partition('"')[0]
    assert "south/c" in person.get(person.act("/faxes", q=button).headers["location"]).text
    nothing = shown(person.get("/faxes", params={"q": "group:none"}))
    assert "No fax of the group none" in nothing
    assert "Nor would the search find any in another state" in nothing
    for name in ("admin", "auditor", "viewer"):
        person = console.person(name)
        by_end = shown(person.get(person.act("/faxes", q="to:0169").headers["location"]))
        assert "Ended faxes were not searched" in by_end
        assert "Nor would the search" not in by_end
    own = shown(console.person("radiologist").get("/faxes", params={"q": "state:failed"}))
    assert "In any state there is 1 : delivered." in own
    assert "You see faxes with department radiology only." in own


def test_a_late_archive_is_told_with_how_long_it_is_behind(
    console: Console, redis_client: redis.Redis
) -> None:
    state: Any = {"archive": "1", "archived_events": "1-0 1"}
    redis_client.hset(KEYS.account_state, mapping=state)
    assert "behind" not in shown(console.person("viewer").get("/faxes"))
    seconds, _ = redis_client.time()
    redis_client.xadd(KEYS.events, {"event": "fax.queued"}, id=f"{(seconds - 360) * 1000}-0")
    console.counts.forget()
    assert "The archive is 6 min behind." in shown(console.person("viewer").get("/faxes"))
    assert "behind" not in shown(console.person("bound").get("/faxes"))


def test_the_link_to_newer_faxes_names_a_kept_search_by_its_key(console: Console) -> None:
    person = console.person("viewer")
    address = person.act("/faxes", q="to:+12025550168").headers["location"]
    for page in (person.get(address).text, person.get(f"{address}&after=1~north~a").text):
        assert f'data-newer="{address}"' in page


def ids(page: str) -> list[str]:
    picks = [Pick.read(part.partition('"')[0]) for part in page.split('name="pick" value="')[1:]]
    return [f"{pick.account}/{pick.job}" for pick in picks if pick]


def test_a_whole_number_finds_and_plans_no_fax_to_another_number_with_the_same_end(
    console: Console, redis_client: redis.Redis
) -> None:
    for job, number in (("own", "+12025550147"), ("us", "+13035550147"), ("de", "+4930550147")):
        live(redis_client, job, number=number)
    person = console.person("clerk")

    def found(line: str) -> list[str]:
        return sorted(ids(person.get(person.act("/faxes", q=line).headers["location"]).text))

    assert found("to:+12025550147") == found("+1 (202) 555-0147") == ["north/own"]
    assert found("to:0147") == ["north/de", "north/own", "north/us"]
    assert found("to:5550147") == ["north/own", "north/us"]
    assert found("state:queued -to:+12025550147") == ["north/de", "north/us"]
    assert found("030 / 55 01 47") == found("0049 (0) 30 / 55 01 47") == ["north/de"]
    plan = person.act("/faxes/plan", verb="cancel", all="1", q="to:+12025550147")
    assert "Cancel 1 fax" in plan.text
    assert "north/own" in plan.text
    assert "north/us" not in plan.text


def test_what_the_archive_cannot_leave_out_by_its_end_is_not_found(console: Console) -> None:
    person = console.person("clerk")
    page = person.get(person.act("/faxes", q="-to:0168").headers["location"])
    assert ids(page.text) == []
    assert "Write a number whole, with + and its country code" in page.text
    both = person.get(person.act("/faxes", q="to:+12025550168,0123").headers["location"])
    assert ids(both.text) == ["south/c"]
    assert "Write a number whole, with + and its country code" in both.text
    as_here = person.get(person.act("/faxes", q="202 555 0168").headers["location"])  # +20 is Egypt
    assert "Write a number whole, with + and its country code" in as_here.text


@pytest.mark.parametrize("line", ["2025550168", "(202) 555-0168", "to:12025550169", "to:+12025550199,0168"])
def test_a_number_without_its_plus_is_never_said_to_have_no_fax(console: Console, line: str) -> None:
    person = console.person("clerk")
    text = shown(person.get(person.act("/faxes", q=line).headers["location"]))
    assert "Ended faxes were not searched: the number is not whole" in text
    assert "No fax was found, and not all were searched" in text
    assert "An ended fax is found by its whole number alone, with + and its country code" in text
    assert "Nor would the search" not in text
    assert "No fax to" not in text


def test_a_number_as_it_is_dialled_in_north_america_is_offered_with_its_country(console: Console) -> None:
    person = console.person("clerk")
    empty = person.get(person.act("/faxes", q="(202) 555-0168").headers["location"])
    assert "Search for +12025550168, United States" in shown(empty)
    found = person.get(person.act("/faxes", q="+12025550168").headers["location"])
    assert ids(found.text) == ["south/c"]
    console.store.add_user(Person("german", Role.CLERK, zone="Europe/Berlin"))
    german = console.person("german")
    text = shown(german.get(german.act("/faxes", q="030 / 90 18 21").headers["location"]))
    assert "Search for +4930901821, Germany" in text
    console.store.add_user(Person("azorean", Role.CLERK, zone="Atlantic/Azores"))
    azorean = console.person("azorean")
    text = shown(azorean.get(azorean.act("/faxes", q="030 / 90 18 21").headers["location"]))
    assert "Search for" not in text  # there is no such number in Portugal
    viewer = console.person("viewer")
    text = shown(viewer.get(viewer.act("/faxes", q="(202) 555-0168").headers["location"]))
    assert "Search for" not in text
    assert "Who may reveal numbers finds ended faxes by a whole number" in text


def test_a_word_alone_that_finds_nothing_says_what_it_was_read_as_and_what_else_it_may_be(
    console: Console,
) -> None:
    text = shown(console.person("clerk").get("/faxes?q=failed"))
    assert "The word “failed” alone was read as an id. For faxes in that state write state:failed." in text
    assert "was read as an id" not in shown(console.person("clerk").get("/faxes?q=id:failed"))


@pytest.mark.parametrize(
    "line", ["+1 202 555 0147", "(202) 555-0147", "12025550147", "meta.phone:+12025550147", "id:x.2025550147"]
)
def test_what_may_be_a_number_leads_to_an_address_without_it(console: Console, line: str) -> None:
    person = console.person("viewer")
    for answer in (person.act("/faxes", q=line), person.get("/faxes", params={"q": line})):
        assert answer.status_code == 303
        assert answer.headers["location"].startswith("/faxes?s=")


def test_a_line_that_is_wrong_is_told_and_no_link_has_its_number(console: Console) -> None:
    person = console.person("viewer")
    page = person.act("/faxes", q="to:+12025550147 state:bogus")
    assert page.status_code == 400
    assert not any("0147" in link.partition('"')[0] for link in page.text.split('href="'))
    shared = person.get("/faxes", params={"q": "state:bogus"})
    assert shared.status_code == 400
    assert "state:bogus is not known" in shared.text


def test_a_fax_that_leaves_its_state_while_it_is_looked_for_is_not_listed_as_it_was(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(redis_client, "leaves")
    live(redis_client, "stays")
    read = ConsoleLine.named

    async def named(line: ConsoleLine, names: Sequence[str], only: Sequence[str] = ()) -> list[Job]:
        redis_client.hset(KEYS.job("leaves"), "state", "canceled")
        return await read(line, names, only)

    monkeypatch.setattr(ConsoleLine, "named", named)
    page = console.person("viewer").get("/faxes", params={"q": "state:queued account:north"})
    assert ids(page.text) == ["north/stays"]


def test_a_redis_that_goes_away_while_faxes_are_looked_for_is_told_with_the_ended_ones(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    live(redis_client, "q1")
    monkeypatch.setattr(ConsoleLine, "named", AsyncMock(side_effect=QueueUnavailable("away")))
    page = console.person("viewer").get("/faxes")
    assert "Redis does not answer: faxes on their way are missing here" in shown(page)
    assert "north/q1" not in ids(page.text)
    assert ids(page.text)


def test_an_archive_that_made_its_file_after_the_console_started_is_found_on_every_page(
    redis_url: str, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        admin = console.person("admin")
        assert "There is no archive" in shown(admin.get("/faxes"))
        assert "<h2>Archive</h2>" not in admin.get("/system").text
        assert "no archive" in shown(admin.get("/usage"))
        staged = StagedArchive(new_archive(url))
        staged.add("late", account="north")
        staged.engine.dispose()
        assert "There is no archive" not in shown(admin.get("/faxes"))
        assert "<h2>Archive</h2>" in admin.get("/system").text
        assert "no archive" not in shown(admin.get("/usage"))
        assert ">late</" in admin.get("/faxes").text
        assert admin.get("/faxes/north/late").status_code == 200


def test_a_line_that_is_far_too_long_is_not_shown_whole(console: Console) -> None:
    line, viewer = "ab " * 20_000, console.person("viewer")
    for answer in (
        viewer.act("/faxes", q=line),
        viewer.act("/faxes", how="form", reason=line),
        viewer.get("/faxes", params={"q": line, "state": "failed"}),
    ):
        assert (answer.status_code, "longer than 1000 characters" in answer.text) == (400, True)
        assert answer.text.count("ab") < 20_000
