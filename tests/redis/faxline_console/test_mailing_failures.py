"""What of a mailing did not arrive: as CSV, and what intake rejected, also when Redis has forgotten it."""

import csv
import io
import json
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_console.access.people import Person, Role
from faxline_console.mailings.store import Reserved
from tests.consoles import RADIOLOGY, Console, shown
from tests.redis.faxline_console.test_mailings import draft_of, upload
from tests.stage.archives import StagedArchive

KEYS = RedisKeys("north")
JUNE = "/mailings/north/june"
CLERK = Person("clerk", Role.CLERK)
NOT_ALL = "Not complete: nothing tells, yet or any more, how {} of {} went"


def failures(console: Console, person: str = "clerk") -> list[list[str]]:
    """The rows of the CSV, without its header."""
    answer = console.person(person).get(f"{JUNE}/failures.csv")
    assert answer.status_code == 200
    return list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))[1:]


def reserve(console: Console, faxes: int, person: Person = CLERK, **more: Any) -> None:
    console.mailings.reserve(person, Reserved("north", "june", "", faxes, 0, **more))
    console.mailings.finish("north", "june")


def record(client: redis.Redis, job: str, state: str, **fields: Any) -> None:
    told: Any = {"state": state, "number": "+12025550147", "metadata": json.dumps(dict([RADIOLOGY]))}
    client.hset(KEYS.job(job), mapping=told | fields)
    client.sadd(KEYS.group("june"), job)


def reject(client: redis.Redis, *jobs: str) -> None:
    for job in jobs:
        told = {
            "id": job,
            "at": 1790000000000,
            "member": "id",
            "reason": "id_reused",
            "message": "another fax",
        }
        client.sadd(KEYS.group_rejected("june"), json.dumps(told))


def test_what_did_not_arrive_is_told_out_of_the_archive_when_redis_has_forgotten_it(
    own_console: Console, archive: StagedArchive
) -> None:
    reserve(own_console, 6)
    archive.add("june.1", account="north", group="june")
    archive.add("june.2", account="north", group="june", state="failed", reason="busy", to="+12025550188")
    archive.add("june.3", account="north", group="june", told={"partial": True, "transferred": 1})
    archive.add("june.4", account="north", group="june", state="unconfirmed", reason=None)
    archive.add("june.5", account="north", group="june", state="failed", reason="busy")
    archive.add("june.5", account="north", group="june", at=900)  # the id was used again
    archive.add("june.6", account="north", group="june")
    found = failures(own_console)
    assert [row[:4] for row in found] == [
        ["june.2", "••• ••• 0188", "Failed", "busy"],
        ["june.3", "••• ••• 0123", "Partly delivered", "delivered"],
        ["june.4", "••• ••• 0123", "Unconfirmed", ""],
    ]
    assert found[1][5:] == ["3", "1"]


def test_what_redis_knows_is_newer_than_the_archive(
    own_console: Console, archive: StagedArchive, redis_client: redis.Redis
) -> None:
    reserve(own_console, 3)
    archive.add("june.1", account="north", group="june", state="unconfirmed", reason=None)
    record(redis_client, "june.1", "delivered", pages=1, transferred=1)
    record(redis_client, "june.2", "failed", reason="no_answer")
    reject(redis_client, "june.3")
    assert [row[:4] for row in failures(own_console)] == [
        ["june.2", "••• ••• 0147", "Failed", "no_answer"],
        ["june.3", "", "Rejected", "id_reused"],
    ]


def test_a_list_that_lacks_faxes_says_so_in_its_last_line(
    own_console: Console, redis_client: redis.Redis
) -> None:
    reserve(own_console, 10)
    assert [row[0] for row in failures(own_console)] == [NOT_ALL.format(10, 10)]
    record(redis_client, "june.1", "failed", reason="busy")
    record(redis_client, "june.2", "delivered", pages=1, transferred=1)
    assert [row[0] for row in failures(own_console)] == ["june.1", NOT_ALL.format(8, 10)]


def test_a_department_is_told_what_intake_rejected_of_its_rows_with_ids_of_their_own(
    own_console: Console, redis_client: redis.Redis
) -> None:
    person = own_console.person("radiologist")
    rows = "to,id\n+12025550147,scan-1\n+12025550148,scan-2\n+12025550149,june.x\n+12025550140,\n"
    person.act("/mailings/push", draft=draft_of(upload(person, rows)), name="june")
    record(redis_client, "scan-1", "delivered", pages=1, transferred=1)
    page = shown(person.get(JUNE))
    assert "Not all counted yet" in page
    assert "1 of 4 have ended" in page
    assert "Nothing tells, yet or any more, how 3 faxes of them go." in page
    assert "3 rejected or not known yet" in shown(person.get("/mailings"))
    reject(redis_client, "scan-2", "june.x", "june.4", "billing-1")
    page = shown(person.get(JUNE))
    assert "4 of 4 have ended" in page
    assert "3 rejected faxes" in page
    assert "Nothing tells" not in page
    assert "billing-1" not in page
    found = failures(own_console, "radiologist")
    assert sorted((row[0], row[2]) for row in found) == [
        (job, "Rejected") for job in ("june.4", "june.x", "scan-2")
    ]


@pytest.mark.parametrize("person", ["clerk", "radiologist"])
def test_there_is_no_list_of_a_group_that_is_not_there(console: Console, person: str) -> None:
    assert console.person(person).get("/mailings/north/none/failures.csv").status_code == 404
