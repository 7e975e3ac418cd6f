"""What the page of a fax tells of it where its id was another fax's before."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import text

from faxline.contract.redis_keys import RedisKeys
from faxline_archive.entries import read_entry
from faxline_archive.forgetting import forget_jobs
from faxline_archive.leaves import canonical_json
from faxline_archive.progress import Read
from faxline_archive.records import Record
from faxline_archive.writer import write
from tests.archives import new_archive
from tests.consoles import Console, shown
from tests.stage.archives import BEGIN, StagedArchive, StagedFax

KEYS = RedisKeys("north")
DAY = 86_400_000
NEXT = BEGIN + 40 * DAY


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'archive.db'}"


@pytest.fixture
def staged(url: str) -> Iterator[StagedArchive]:
    staged = StagedArchive(new_archive(url))
    yield staged
    staged.engine.dispose()


@pytest.fixture
def console(redis_url: str, tmp_path: Path, url: str, staged: StagedArchive) -> Iterator[Console]:
    assert staged
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        yield console


def archive(staged: StagedArchive, read: Read, record: Record | None = None) -> None:
    records = {("north", entry.job): record for entry in read.entries} if record else {}
    write(staged.engine, [read], records, {"north": staged.privacy("north")})


def events(before: str, lost: int, *told: tuple[int, Mapping[str, Any]]) -> Read:
    found = []
    for at, data in told:
        fields = {
            "event": f"fax.{data['state']}",
            "job": "daily",
            "at": str(at),
            "data": canonical_json(data),
        }
        found.append(read_entry("north", "events", f"{at}-0", fields))
    count = int((before or "- 0").split()[1]) + lost + len(found)
    return Read("north", "events", before, f"{found[-1].id} {count}", found, lost)


def audit(*told: Mapping[str, Any]) -> Read:
    found = [
        read_entry(
            "north", "audit", f"{fields['at']}-0", {name: str(value) for name, value in fields.items()}
        )
        for fields in told
    ]
    return Read("north", "audit", "", f"{found[-1].id} {len(found)}", found)


def test_a_fax_whose_beginning_is_in_a_gap_has_nothing_of_another_departments_fax_with_its_id(
    console: Console, staged: StagedArchive
) -> None:
    billing = Record(to="+12025550123", metadata={"department": "billing"}, created_at=BEGIN)
    radiology = Record(to="+12025550199", metadata={"department": "radiology"}, created_at=NEXT)
    first = events(
        *("", 0),
        (BEGIN, {"state": "queued", "attempt": 0}),
        (BEGIN + 5, {"state": "submitted", "attempt": 1, "jobId": 111}),
        (BEGIN + 9, {"state": "failed", "jobId": 111, "reason": "busy", "stage": "delivery"}),
    )
    archive(staged, first, billing)
    second = (NEXT + 5, {"state": "submitted", "attempt": 1, "jobId": 999})
    last = (NEXT + 9, {"state": "delivered", "jobId": 999, "pages": 1, "transferred": 1})
    archive(staged, events(first.after, 1, second, last), radiology)
    page = shown(console.person("radiologist").get("/faxes/north/daily"))
    assert "jobId 999" in page
    assert "111" not in page
    assert "busy" not in page


SAID = (
    {"at": BEGIN + 50_000, "who": "ada: asked to", "what": "forget", "job": "daily", "outcome": "done"},
    {"at": NEXT - 30_000, "who": "eve: again", "what": "forget", "job": "daily", "outcome": "refused"},
    {"at": NEXT - 1000, "who": "bob", "what": "send", "job": "daily", "outcome": "asked"},
    {"at": NEXT + 60_000, "who": "eve", "what": "reveal", "job": "daily", "outcome": "done"},
)


def of_the_last_alone(page: str) -> bool:
    return "By bob" in page and "By eve" in page and "Forget: " not in page


def test_the_order_to_forget_a_fax_is_not_told_of_the_next_one_with_its_id(
    console: Console, staged: StagedArchive
) -> None:
    staged.add_all([StagedFax("daily", "north")])
    archive(staged, audit(*SAID))
    assert forget_jobs(staged.engine, "north", 100)
    staged.add_all([StagedFax("daily", "north", at=40 * DAY // 1000)])
    assert of_the_last_alone(shown(console.person("admin").get("/faxes/north/daily")))


def test_a_resend_is_told_of_the_fax_that_was_resent_and_found_by_it(
    console: Console, staged: StagedArchive
) -> None:
    staged.add_all([StagedFax("daily", "north"), StagedFax("daily.r1", "north", at=50)])
    order = {"who": "ada: wrong page", "what": "resend", "about": "daily", "outcome": "done"}
    others = {"who": "eve", "what": "resend", "job": "b.r1", "about": "daily.r1", "outcome": "done"}
    archive(
        staged, audit({"at": BEGIN + 50_000, "job": "daily.r1", **order}, {"at": BEGIN + 60_000, **others})
    )
    admin = console.person("admin")
    rows = admin.get("/audit.csv?job=daily").text.splitlines()[1:]
    assert [row.split(",", 1)[1] for row in rows] == ["north,ada: wrong page,,resend,daily.r1,daily,done,"]
    assert "Resend: done By ada: wrong page" in shown(admin.get("/faxes/north/daily"))
    with staged.engine.connect() as connection:
        words = "EXPLAIN QUERY PLAN SELECT * FROM entries WHERE account = 'north' AND entries.kind = 'resend'"
        assert "ix_entries_resends" in str(connection.execute(text(words)).all())


def test_nor_is_it_while_redis_has_that_one(console: Console, redis_client: redis.Redis) -> None:
    record: Any = {"state": "queued", "number": "+12025550199", "created_at": NEXT, "n": 0}
    redis_client.hset(KEYS.job("daily"), mapping=record)
    for said in SAID:
        fields: Any = said
        redis_client.xadd(KEYS.audit, fields, id=f"{said['at']}-0")
    assert of_the_last_alone(shown(console.person("admin").get("/faxes/north/daily")))
