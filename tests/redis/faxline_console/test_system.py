"""The pages of those who look after Faxline: the audit and the system."""

import csv
import io
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
import redis

from faxline import FaxLine
from faxline.contract.check import Result
from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline.reading.server_facts import ServerFacts, server_facts
from faxline.reading.servers import Server
from faxline_archive.entries import Entry
from faxline_archive.privacy import Privacy
from faxline_archive.progress import Read
from faxline_archive.schema import AUDIT
from faxline_archive.writer import write
from faxline_console.access.people import Person, Role
from faxline_console.live.line import ConsoleLine
from faxline_console.pages.system import archive_checks, tells_of, verdict
from faxline_console.telling import audited
from tests.archives import new_archive
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


def test_the_head_of_the_system_counts_an_archive_that_fails_until_another_works(
    console: Console, redis_client: redis.Redis
) -> None:
    redis_client.sadd(ACCOUNTS, "north")

    def head() -> tuple[int, int]:
        said = shown(console.person("admin").get("/system")).partition("checked at")[0]
        fail, warn = re.search(r"(\d+) checks? fail", said), re.search(r"(\d+) warning", said)
        return int(fail[1]) if fail else 0, int(warn[1]) if warn else 0

    beat(redis_client, "archive")
    fail, warn = head()
    beat(redis_client, "archive", state="not_ready", trouble={"database": "it is full"})
    assert head() == (fail + 1, warn)
    text = shown(console.person("admin").get("/system"))
    assert "archive node-1:7:x is not ready, database: it is full" in text
    beat(redis_client, "archive", "node-2")
    assert head() == (fail, warn + 1)


@pytest.mark.parametrize(
    ("roles", "late", "found"),
    [
        (["worker"], False, []),
        (["archive"], False, []),
        (["archive"], True, [Result.WARN]),
        (["worker"], True, [Result.FAIL]),
    ],
)
def test_events_that_wait_long_for_the_archive_are_counted(
    redis_client: redis.Redis, redis_url: str, roles: list[str], late: bool, found: list[Result]
) -> None:
    for role in roles:
        beat(redis_client, role)
    with FaxLine(redis_url) as line:
        processes = line.processes()
    assert [check.result for check in archive_checks(processes, late=late)] == found


def test_somebody_with_a_department_is_told_that_whole_accounts_are_not_shown_and_no_untruth_of_the_role(
    own_console: Console,
) -> None:
    own_console.store.add_user(Person("rosa", Role.ADMIN, department=("department", "radiology")))
    answer = own_console.person("rosa").get("/system")
    assert answer.status_code == 403
    assert "This page shows whole accounts, and you see the faxes of one department." in shown(answer)
    assert "not part of the role viewer" in shown(own_console.person("viewer").get("/system"))


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


def csv_of(answer: httpx.Response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))[1:]


def older(page: httpx.Response) -> str:
    return page.text.rpartition('">Older</a>')[0].rpartition('href="')[2].replace("&amp;", "&")


DAY = {"since": "2026-09-21", "until": "2026-09-21"}


def test_an_audit_that_was_not_read_to_its_end_says_by_when_and_goes_on_from_there(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audited, "MOST_READ", 1000)
    note(redis_client, 1, what="reveal", job="seen")
    with redis_client.pipeline(transaction=False) as pipe:
        for number in range(2, 2502):
            note(pipe, number, what="fax-send", who="worker:1")
        pipe.execute()
    note(redis_client, 3, "south", what="reveal", job="of-south")
    auditor, asked = console.person("auditor"), DAY | {"who": "ada", "what": "reveal"}
    address, pages = f"/audit?{urlencode(asked)}", []
    while address:
        pages.append(page := auditor.get(address))
        rows = csv_of(auditor.get(address.replace("/audit?", "/audit.csv?")))
        address = older(page)
        assert bool(address) == (bool(rows) and "was not read" in rows[-1][7])
    assert len(pages) == 3
    for page in pages[:2]:
        assert "Nothing of this kind was found back to 21 Sep" in shown(page)
        assert "in the audit in this time" not in shown(page)
    assert pages[-1].text.index("of-south") < pages[-1].text.index("<code>seen")


def test_orders_of_one_moment_are_not_divided_between_two_pages(
    console: Console, redis_client: redis.Redis
) -> None:
    for number in range(205):
        told: Any = {"at": AT, "who": "ada", "what": "cancel", "outcome": "done", "job": f"job.{number}"}
        redis_client.xadd(RedisKeys("north").audit, told, id=f"{AT}-{number}")
    page = console.person("auditor").get("/audit", params=DAY)
    assert page.text.count("<code>job.") == 205
    assert not older(page)


def test_what_redis_has_trimmed_of_the_audit_is_read_in_the_archive(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audited, "MOST_ARCHIVED", 4)
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    engine = new_archive(url)
    orders = [("reveal", "ada", "trimmed"), *[("fax-send", "worker:1", f"call.{n}") for n in range(5)]]
    told = [
        Entry(
            *("north", AUDIT, f"{AT + n}-0", AT + n, what, job),
            {"at": f"{AT + n}", "who": who, "what": what, "job": job},
        )
        for n, (what, who, job) in enumerate([*orders, ("reveal", "ada", "both")])
    ]
    write(engine, [Read("north", AUDIT, "", f"{AT + 6}-0 7", told)], {}, {"north": Privacy(None, "north")})
    engine.dispose()
    note(redis_client, 6, what="reveal", job="both")
    note(redis_client, 7, what="reveal", job="live")
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        auditor = console.person("auditor")
        rows = csv_of(auditor.get("/audit.csv", params=DAY | {"what": "reveal"}))
        assert [row[5] for row in rows] == ["live", "both", ""]
        first = auditor.get("/audit", params=DAY | {"what": "reveal"})
        assert "trimmed" not in first.text.partition("<tbody")[2].partition("</tbody")[0]
        assert "<code>trimmed" in auditor.get(older(first)).text
        assert "<code>trimmed" in auditor.get("/audit", params={"job": "trimmed"}).text
    (other := tmp_path / "other").mkdir()
    with Console(redis_url, other, FAXLINE_ARCHIVE__URL=f"sqlite:///{other / 'none.db'}") as console:
        page = shown(console.person("auditor").get("/audit", params=DAY | {"what": "forget"}))
        assert "What it has trimmed is not known: there is no archive." in page


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


def test_who_is_bound_to_an_account_is_told_of_none_that_this_console_does_not_have(
    console: Console, redis_client: redis.Redis
) -> None:
    redis_client.sadd(ACCOUNTS, "north", "south", "elsewhere")
    assert "account elsewhere" in shown(console.person("admin").get("/system"))
    assert "elsewhere" not in shown(console.person("bound").get("/system"))


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


def test_the_system_tells_how_redis_is(console: Console, redis_client: redis.Redis) -> None:
    redis_client.sadd(ACCOUNTS, "north")
    facts = server_facts(redis_client)
    text = shown(console.person("admin").get("/system")).partition(" Redis ")[2]
    assert f"{facts.name.capitalize()} {facts.version}" in text
    kept = {"always": "Keeps what it takes", "everysec": "May lose the last second"}
    assert (kept[facts.appendfsync or ""] if facts.durable else "May lose faxes") in text
    assert "Memory (MB)" in text
    assert "Replicas none Clients" in text


def test_a_redis_that_may_lose_faxes_and_the_nodes_of_a_cluster_are_told_apart(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_client.sadd(ACCOUNTS, "north")
    sound = ServerFacts("redis", "7.2.5", aof_on=True, appendfsync="always", maxmemory_policy="noeviction")
    sound = replace(sound, used_memory=212_000_000, maxmemory=4_096_000_000, replicas=1, clients=12)
    found = [
        Server("a:6379", sound),
        Server("b:6379", replace(sound, aof_ok=False, replicas_behind=5_000_000)),
        Server("c:6379", replace(sound, aof_on=False, maxmemory_policy="allkeys-lru")),
        Server("d:6379", None, "Redis refused the connection"),
        Server("e:6379", replace(sound, appendfsync=None)),
    ]

    async def servers(_: ConsoleLine) -> list[Server]:
        return found

    monkeypatch.setattr(ConsoleLine, "servers", servers)
    page = console.person("admin").get("/system")
    text = shown(page).partition("5 primaries of a cluster")[2]
    a, b, c, d, e = (text[text.index(f"{name}:6379") :] for name in "abcde")
    assert a.startswith("a:6379 Keeps what it takes Memory (MB) 212 of 4,096")
    assert "1, in step Clients 12" in a
    assert b.startswith("b:6379 Cannot write to its disk")
    assert "1, 5 MB behind" in b
    assert c.startswith("c:6379 May lose faxes")
    assert "a restart loses faxes When full allkeys-lru: it evicts faxes" in c
    assert d.startswith("d:6379 Not known Redis refused the connection")
    assert e.startswith("e:6379 Writes to its disk")
    assert "synced as its settings say, which the console may not read" in e
    assert 'aria-label="Memory in MB: 212 of 4,096"' in page.text
