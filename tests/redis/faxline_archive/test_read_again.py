"""What is read again: after a crash, from an older database, of an account that was away, in other pages."""

from collections.abc import Callable
from typing import Any

import redis
from sqlalchemy import delete, update

from faxline.contract.sealing.keyring import Keyring
from faxline_archive.schema import accounts, entries, faxes, positions
from tests.archives import Faxes, Running, archiving, fax, rows

Wait = Callable[..., Any]
FIRST = Keyring({"first": b"1" * 32})
SECOND = Keyring({"second": b"2" * 32})


def events(running: Running) -> list[str]:
    return [row["job"] for row in rows(running.engine) if row["stream"] == "events"]


def place(running: Running) -> dict[str, Any]:
    """How far the events are archived."""
    (found,) = (row for row in rows(running.engine, positions) if row["stream"] == "events")
    return found


def test_pages_that_end_before_what_is_stored_are_known_and_the_next_ones_go_on(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    jobs = [f"a{number:03}" for number in range(130)]
    for job in jobs:
        line.queue(job)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == len(jobs))
    redis_client.hset(line.keys.account_state, "archived_events", "0-0 0")  # it died before it moved the mark
    with archiving(archive_url, redis_client, batch=20) as archive:
        line.queue("last")
        wait_until(lambda: "last" in events(archive))
        assert events(archive) == [*jobs, "last"]
        assert place(archive)["missing"] == 0


def test_an_account_that_was_away_and_is_back_is_read_from_what_is_stored(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    jobs = [f"a{number:03}" for number in range(60)]
    for job in jobs:
        line.queue(job)
    names = ["default"]
    with archiving(archive_url, redis_client, batch=20) as archive:
        archive.archiver._names = lambda: names
        wait_until(lambda: events(archive) == jobs)
        names.clear()
        wait_until(lambda: not archive.archiver._reader._served)
        line.queue("meanwhile")
        names.append("default")
        wait_until(lambda: events(archive) == [*jobs, "meanwhile"])


def test_a_database_that_goes_back_while_the_archive_works_gets_again_what_it_lacks(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    with archiving(archive_url, redis_client) as archive:
        line.queue("a")
        wait_until(lambda: events(archive) == ["a"])
        mark = place(archive)["mark"]
        for job in "bc":
            line.queue(job)
        wait_until(lambda: events(archive) == ["a", "b", "c"])
        with archive.engine.begin() as connection:  # as a copy of then
            connection.execute(delete(entries).where(entries.c.leaf > 0))
            connection.execute(delete(faxes).where(faxes.c.job != "a"))
            connection.execute(update(accounts).values(size=1, frontier=None))
            connection.execute(update(positions).where(positions.c.stream == "events").values(mark=mark))
        line.queue("d")
        wait_until(lambda: events(archive) == ["a", "b", "c", "d"])
        assert [row["leaf"] for row in rows(archive.engine)] == [0, 1, 2, 3]
        assert archive.value("fax_archive_missing_total", account="default", what="entries") == 0


def test_a_gap_is_counted_once_though_its_page_is_read_again(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    with archiving(archive_url, redis_client) as archive:
        line.queue("a")
        wait_until(lambda: events(archive) == ["a"])
        mark = place(archive)["mark"]
    for job in "bcde":
        line.queue(job)
    redis_client.xtrim(line.keys.events, maxlen=2, approximate=False)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: events(archive) == ["a", "d", "e"])
    redis_client.hset(line.keys.account_state, "archived_events", mark)
    with archiving(archive_url, redis_client) as archive:
        line.queue("f")
        wait_until(lambda: events(archive) == ["a", "d", "e", "f"])
        assert place(archive)["missing"] == 2


def test_a_fax_that_cannot_be_opened_holds_up_no_other(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    with archiving(archive_url, redis_client, keyring=FIRST) as archive:
        Faxes(redis_client, keyring=FIRST).queue("a", metadata={"case": "1"})
        wait_until(lambda: events(archive) == ["a"])
    line = Faxes(redis_client, keyring=SECOND)
    with archiving(archive_url, redis_client, keyring=SECOND) as archive:
        line.deliver("a")
        line.queue("b")
        wait_until(lambda: "b" in events(archive))
        assert fax(archive.engine, "a")["state"] == "delivered"
