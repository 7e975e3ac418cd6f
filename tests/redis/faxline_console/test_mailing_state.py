"""How far a mailing is: by the indexes, the archive, and as few records as that takes."""

import asyncio
import json
from typing import Any

import pytest
import redis

from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import RedisKeys
from faxline_console.access.people import Person, Role
from faxline_console.live import standing
from faxline_console.live.line import ConsoleLine
from faxline_console.mailings import state as mailing_state
from faxline_console.mailings.store import Reserved
from faxline_local.redis_cluster import RedisCluster
from tests.consoles import RADIOLOGY, Console, shown
from tests.stage.archives import StagedArchive

KEYS = RedisKeys("north")
RADIOLOGIST = Person("radiologist", Role.OPERATOR, department=RADIOLOGY)
ADDRESS = "/mailings/north/scans"


@pytest.fixture
def console(own_console: Console) -> Console:
    return own_console


@pytest.fixture
def archiving(own_console: Console, archive: StagedArchive) -> Console:
    assert archive.engine  # it made the tables
    return own_console


def members(client: redis.Redis, *jobs: str) -> None:
    client.sadd(KEYS.group("scans"), *jobs)


def record(client: redis.Redis, job: str, state: str, department: str = "radiology", **fields: Any) -> None:
    told: Any = {"state": state, "number": "+12025550147", "metadata": json.dumps({"department": department})}
    client.hset(KEYS.job(job), mapping=told | fields)
    members(client, job)


def bar(console: Console, person: str = "viewer") -> str:
    page = console.person(person).get(ADDRESS)
    assert page.status_code == 200
    return page.text.partition('<svg class="bar tall" role="img" aria-label="')[2].partition('"')[0]


def test_what_is_on_its_way_is_counted_by_the_indexes_without_a_record(
    console: Console, redis_client: redis.Redis
) -> None:
    members(redis_client, *(f"scans.{number}" for number in range(7)))
    redis_client.zadd(KEYS.ready, {"scans.0": 1, "scans.1": 2, "other": 3})
    redis_client.zadd(KEYS.delayed, {"scans.2": 1})
    redis_client.zadd(KEYS.waiting, {"12025550147|1|scans.3": 0, "12025550147|2|other.2": 0})
    redis_client.zadd(KEYS.permits, {"7|scans.4": 1, "8|other.3": 1, "9|!poll:scans.0": 1})
    redis_client.zadd(KEYS.in_doubt, {"scans.5": 1})
    redis_client.zadd(KEYS.submitted, {"scans.6": 1, "other.4": 1})
    redis_client.hset(KEYS.job("scans.6"), mapping={"state": "submitted", "number": "+12025550147"})
    assert bar(console) == "1 in doubt, 2 sending, 4 queued, of 7"


def test_a_fax_that_ifax_keeps_for_its_date_waits(console: Console, redis_client: redis.Redis) -> None:
    record(redis_client, "scans.1", "submitted", send_at=4_000_000_000_000)
    redis_client.zadd(KEYS.submitted, {"scans.1": 1})
    assert bar(console) == "1 queued, of 1"


def test_what_has_ended_is_counted_in_the_archive_without_a_record(
    archiving: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    archive.add("scans.1", account="north", group="scans")
    archive.add("scans.2", account="north", group="scans", told={"partial": True})
    archive.add("scans.3", account="north", group="scans", state="failed", reason="busy")
    archive.add("scans.9", account="north", group="scans", at=-9)  # of a group that had the name before
    members(redis_client, *(f"scans.{number}" for number in range(1, 5)))
    redis_client.zadd(KEYS.ready, {"scans.4": 1})
    assert bar(archiving) == "1 delivered, 1 partly delivered, 1 failed, 1 queued, of 4"
    page = archiving.person("clerk").get(ADDRESS)
    assert "Resend 1 failure…" in page.text
    assert 'name="failed" value="north/scans.3 "' in page.text
    assert "Busy" in page.text
    assert "3 of 4 have ended; 1 is on its way." in shown(page)


def test_what_the_archive_has_not_read_yet_is_counted_by_its_record(
    archiving: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    archive.add("scans.1", account="north", group="scans")
    archive.add("scans.2", account="north", group="scans", state="submitted")
    members(redis_client, "scans.1")
    record(redis_client, "scans.2", "failed", reason="busy")
    assert bar(archiving) == "1 delivered, 1 failed, of 2"


def test_a_mailing_that_redis_has_forgotten_is_counted_in_the_archive(
    archiving: Console, archive: StagedArchive
) -> None:
    archiving.mailings.reserve(Person("clerk", Role.CLERK), Reserved("north", "scans", "", 2, 0))
    archive.add("scans.1", account="north", group="scans")
    archive.add("scans.2", account="north", group="scans", state="failed", reason="busy")
    assert bar(archiving) == "1 delivered, 1 failed, of 2"


def test_somebody_with_a_department_has_only_its_faxes_counted(
    archiving: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    archiving.mailings.reserve(RADIOLOGIST, Reserved("north", "scans", "", 4, 0))
    own, others = dict([RADIOLOGY]), {"department": "billing"}
    archive.add("scans.1", account="north", group="scans", metadata=own)
    archive.add("scans.2", account="north", group="scans", state="queued", metadata=own)
    archive.add("x.1", account="north", group="scans", state="failed", reason="no_answer", metadata=others)
    archive.add("x.2", account="north", group="scans", state="queued", metadata=others)
    members(redis_client, "scans.1", "scans.2", "x.1", "x.2")
    record(redis_client, "scans.3", "queued")  # the archive has neither of these yet
    record(redis_client, "x.3", "queued", "billing")
    record(redis_client, "scans.4", "submitted")
    record(redis_client, "x.4", "submitted", "billing")
    record(redis_client, "x.5", "failed", "billing", reason="no_answer")
    redis_client.zadd(KEYS.ready, {"scans.2": 1, "x.2": 2, "scans.3": 3, "x.3": 4})
    redis_client.zadd(KEYS.submitted, {"scans.4": 1, "x.4": 1})
    assert bar(archiving, "radiologist") == "1 delivered, 1 sending, 2 queued, of 4"
    page = archiving.person("radiologist").get(ADDRESS)
    assert "No answer" not in page.text
    assert not any(f"x.{number}" in page.text for number in range(1, 6))


def test_without_an_archive_so_many_records_are_read_and_the_next_load_goes_on(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing_state, "MOST_READ", 3)
    for number in range(5):
        record(redis_client, f"scans.{number}", "delivered", pages=1, transferred=1)
    page = shown(console.person("viewer").get(ADDRESS))
    assert "3 of 5 have ended" in page
    assert "Not all counted yet" in page
    assert "2 more faxes could not be looked at" in page
    assert bar(console) == "5 delivered, of 5"
    assert "more fax" not in shown(console.person("viewer").get(ADDRESS))


def test_somebody_with_a_department_is_not_told_how_many_have_not_been_looked_at(
    console: Console, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing_state, "MOST_READ", 3)
    console.mailings.reserve(RADIOLOGIST, Reserved("north", "scans", "", 3, 0))
    for number in range(9):
        record(redis_client, f"x.{number}", "queued", "billing")
    redis_client.zadd(KEYS.ready, {f"x.{number}": number for number in range(9)})
    page = shown(console.person("radiologist").get(ADDRESS))
    assert "Some faxes could not be looked at" in page
    assert "6" not in page.partition("have ended")[2].partition("counted")[0]


def test_a_group_that_is_too_large_is_counted_in_the_archive_alone(
    archiving: Console, archive: StagedArchive, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(standing, "LARGEST", 2)
    archive.add("scans.1", account="north", group="scans")
    members(redis_client, "scans.1", "scans.2", "scans.3")
    assert bar(archiving) == "1 delivered, of 3"
    page = shown(archiving.person("viewer").get(ADDRESS))
    assert "2 more faxes could not be looked at" in page


def test_a_fax_of_which_nothing_tells_any_more_has_ended(console: Console, redis_client: redis.Redis) -> None:
    members(redis_client, "scans.1")
    record(redis_client, "scans.2", "delivered", pages=1, transferred=1)
    page = shown(console.person("viewer").get(ADDRESS))
    assert "2 of 2 have ended" in page
    assert "1 fax ended so long ago that nothing tells how any more." in page


@pytest.mark.slow
def test_on_a_cluster_a_group_is_looked_at_on_the_node_of_its_account_with_the_rights_of_the_console(
    redis_cluster: RedisCluster,
) -> None:
    async def read(account: str) -> standing.Standing:
        line = ConsoleLine(redis_cluster.url("console"), account)
        try:
            return await line.standing("scans")
        finally:
            await line.close()

    with connect(redis_cluster.url(), protocol=2) as client:
        for account in ("default", "acme", "globex", "initech"):
            keys = RedisKeys(account)
            client.sadd(keys.group("scans"), "scans.1", "scans.2", "scans.3")
            client.zadd(keys.ready, {"scans.1": 1})
            client.zadd(keys.submitted, {"scans.2": 1})
            found = asyncio.run(read(account))
            assert [*found.places["queued"], *found.submitted, *found.rest] == [
                "scans.1",
                "scans.2",
                "scans.3",
            ]
            for key in (keys.group("scans"), keys.ready, keys.submitted):
                client.delete(key)  # others use the cluster, too
