"""An order to forget reaches the faxes that it is about, and no others, however far behind the archive is."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from sqlalchemy import Engine

from faxline_archive.schema import AUDIT, accounts, fax_metadata, faxes
from faxline_worker.state.archive_marks import ArchiveMarks, Page
from tests.archives import NUMBER, Faxes, Running, archiving, check_sums, rows

Wait = Callable[..., Any]


def kept(engine: Engine) -> list[tuple[str, int]]:
    return [(row["job"], row["reuse"]) for row in rows(engine, faxes)]


def done(archive: Running) -> bool:
    """Whether no order waits, of those that were read."""
    return all(row["ordered"] < 0 for row in rows(archive.engine, accounts))


def uses(line: Faxes, wait_until: Wait, *names: str) -> None:
    """Use an id once for each of several people."""
    for name in names:
        before = time.time_ns() // 10**6
        wait_until(lambda then=before: time.time_ns() // 10**6 > then + 1)  # records differ by milliseconds
        line.queue("daily", metadata={"patient": name})
        line.deliver("daily")


def test_of_an_id_that_was_used_again_the_last_fax_alone_is_forgotten(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    with archiving(archive_url, redis_client) as archive:
        for number, name in enumerate(("Ada", "Grace"), 1):
            uses(line, wait_until, name)
            wait_until(lambda count=3 * number: len(rows(archive.engine)) == count)
        before = rows(archive.engine)[:3]
        line.audit("forget", job="daily", outcome="done")
        wait_until(lambda: kept(archive.engine) == [("daily", 0)])
        left = rows(archive.engine)
        assert left[:3] == before
        assert {row["body"] for row in left[3:6]} == {None}
        assert [row["value"] for row in rows(archive.engine, fax_metadata)] == ["Ada"]
        check_sums(archive.engine)


def test_an_entry_that_was_rejected_before_its_fax_came_is_forgotten_with_it(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.event("fax.rejected", "daily", reason="bad_number", metadata={"patient": "Ada"})
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
        uses(line, wait_until, "Ada")
        wait_until(lambda: len(kept(archive.engine)) == 2)
        line.audit("forget", job="daily", outcome="done")
        wait_until(lambda: kept(archive.engine) == [])
        assert "Ada" not in str(rows(archive.engine))


@pytest.mark.parametrize("about", ["job", "number"])
def test_an_order_that_is_read_ahead_of_the_events_waits_for_them(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, about: str
) -> None:
    line = Faxes(redis_client)
    for number in range(60):
        line.queue(f"other-{number}", number="+12025550177")
    uses(line, wait_until, "Ada")
    redis_client.delete(line.keys.job("daily") if about == "job" else "none")  # it has expired
    if about == "job":
        line.audit("forget", job="daily", outcome="refused")
    else:
        at = round(time.time() * 1000) + 1000
        redis_client.rpush(line.keys.archive_forget, json.dumps({"number": NUMBER, "at": at}))
        line.audit("forget", about="…0123", outcome="done")
    with archiving(archive_url, redis_client, batch=20) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 64)
        wait_until(lambda: done(archive))
        assert len(kept(archive.engine)) == 60
        assert "Ada" not in str(rows(archive.engine) + rows(archive.engine, fax_metadata))
        assert redis_client.llen(line.keys.archive_forget) == 0


def test_an_order_is_carried_out_once_though_it_is_read_again(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, real, tries = Faxes(redis_client), ArchiveMarks.archived, list[Page]()

    def archived(marks: ArchiveMarks, page: Page) -> bool:
        if page.stream == AUDIT and len(tries) < 3:
            tries.append(page)
            raise redis.ConnectionError
        return real(marks, page)

    monkeypatch.setattr(ArchiveMarks, "archived", archived)
    with archiving(archive_url, redis_client) as archive:
        for number, name in enumerate(("Ada", "Grace"), 1):
            uses(line, wait_until, name)
            wait_until(lambda count=3 * number: len(rows(archive.engine)) == count)
        line.audit("forget", job="daily", outcome="done")
        wait_until(lambda: len(tries) == 3 and done(archive))
        line.queue("later")
        wait_until(lambda: ("later", 0) in kept(archive.engine))
        assert kept(archive.engine) == [("daily", 0), ("later", 0)]


def test_an_order_that_waits_is_carried_out_by_the_archive_that_takes_over(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Faxes(redis_client)
    with archiving(archive_url, redis_client) as archive:
        uses(line, wait_until, "Ada")
        wait_until(lambda: len(rows(archive.engine)) == 3)
    with monkeypatch.context() as patched:
        patched.setattr("faxline_archive.orders.Orders.carry_out", lambda *_: None)  # it ends before
        with archiving(archive_url, redis_client) as archive:
            line.audit("forget", job="daily", outcome="done")
            wait_until(lambda: len(rows(archive.engine)) == 4)
            assert not done(archive)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: kept(archive.engine) == [])
        wait_until(lambda: done(archive))
