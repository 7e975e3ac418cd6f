"""The pages of those who look after Faxline: the audit and the system."""

import csv
import io
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline_console.pages.system import tells_of, verdict
from tests.consoles import Console, shown
from tests.stage.archives import StagedFax
from tests.stage.heartbeats import beat

AT = 1_790_000_000_000


@pytest.fixture(scope="module")
def stored() -> list[StagedFax]:
    return [StagedFax("old", "north")]


def note(client: redis.Redis, number: int, account: str = "north", **fields: str) -> None:
    told: Any = {"at": AT + number, "who": "ada: wrong letter", "what": "cancel", "outcome": "done"} | fields
    client.xadd(RedisKeys(account).audit, told, id=f"{AT + number}-0")


@pytest.mark.parametrize(
    ("fail", "warn", "said"),
    [
        (0, 0, "All is well"),
        (0, 1, "Nothing fails; 1 warning to look at"),
        (1, 0, "1 check fails"),
        (2, 3, "2 checks fail, 3 warnings to look at"),
    ],
)
def test_the_system_says_in_a_sentence_whether_all_is_well(fail: int, warn: int, said: str) -> None:
    assert verdict(fail, warn) == said


def test_the_newest_orders_are_shown_by_pages_and_calls_are_not_among_them(
    console: Console, redis_client: redis.Redis
) -> None:
    for number in range(205):
        note(redis_client, number, job=f"job.{number}")
    note(redis_client, 300, what="fax-send", who="worker:1")
    auditor, asked = console.person("auditor"), {"until": "2026-09-21", "since": "2026-09-21"}
    page = auditor.get("/audit", params=asked).text
    assert page.count("<code>job.") == 200
    assert page.index("job.204<") < page.index("job.203<")
    assert "worker:1" not in page
    older = page.rpartition('">Older</a>')[0].rpartition('href="')[2].replace("&amp;", "&")
    assert auditor.get(older).text.count("<code>job.") == 5


def test_the_audit_is_searched_by_person_order_fax_and_day(
    console: Console, redis_client: redis.Redis
) -> None:
    note(redis_client, 1, job="a")
    note(redis_client, 2, job="b", who="bob", what="reveal")
    note(redis_client, 3, "south", job="c")
    auditor = console.person("auditor")
    day = {"since": "2026-09-21", "until": "2026-09-21"}
    for asked, found in (
        ({"who": "BOB"}, ["b"]),
        ({"what": "cancel"}, ["c", "a"]),
        ({"job": "a", "since": ""}, ["a"]),
        ({"since": "2026-09-22", "until": "2026-09-23"}, []),
    ):
        answer = auditor.get("/audit.csv", params=day | asked)
        rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
        assert [row[5] for row in rows[1:]] == found
    for wrong in ({"since": "x"}, {"until": "9999-12-31"}, {"before": "9" * 30}, {"since": "0001-01-01"}):
        assert auditor.get("/audit", params=wrong).status_code == 200


@pytest.mark.parametrize(("name", "status"), [("clerk", 403), ("radiologist", 403), ("operator", 403)])
def test_the_audit_is_for_auditors_alone(console: Console, name: str, status: int) -> None:
    assert console.person(name).get("/audit").status_code == status
    assert console.person(name).get("/audit.csv").status_code == status


def test_the_system_tells_what_the_archive_has_and_of_no_account_that_is_not_ones_own(
    console: Console, redis_client: redis.Redis
) -> None:
    redis_client.sadd(ACCOUNTS, "north", "south")
    text = shown(console.person("admin").get("/system"))
    assert "Up to date" in text
    assert "Entries 3 since Tuesday 27 October 2026" in text
    assert "none is signed yet" in text
    assert "account north" in text
    bound = shown(console.person("bound").get("/system"))
    assert "account south" in bound
    assert "north" not in bound
    assert "Entries 0" in bound
    assert console.person("radiologist").get("/system").status_code == 403


def test_who_is_bound_to_an_account_is_told_of_no_other_by_what_a_process_says(
    console: Console, redis_client: redis.Redis
) -> None:
    redis_client.sadd(ACCOUNTS, "north", "south")
    trouble = {"account north": "refused", "token": "of north is old", "redis": "slow", "south": "paused"}
    beat(redis_client, "worker", trouble=trouble)
    whole, bound = (shown(console.person(name).get("/system")) for name in ("admin", "bound"))
    assert "account north: refused" in whole
    assert "redis: slow; south: paused" in bound
    assert "north" not in bound


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("account north", True),
        ("north and south are open", True),
        ("the stream fax:{north}:events", True),
        ("northwest, far-north and north-1", False),
        ("all well", False),
    ],
)
def test_a_text_that_names_another_account_is_known(text: str, told: bool) -> None:
    assert tells_of({"north"}, "well", text) is told
