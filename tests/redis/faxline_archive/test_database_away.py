"""While the database is away nothing is acknowledged, and what waits is measured."""

import time
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from faxline_archive import database
from tests.archives import Faxes, archiving, fax, rows
from tests.postgres import PostgresServer

pytestmark = pytest.mark.slow

Wait = Callable[..., Any]


@pytest.fixture
def own() -> Iterator[PostgresServer]:
    """A server that the test may kill."""
    with PostgresServer() as server:
        yield server


def test_what_happens_while_postgresql_is_away_is_archived_when_it_is_back(
    own: PostgresServer, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    with archiving(own.url(), redis_client) as archive:
        line.queue("before")
        wait_until(lambda: fax(archive.engine, "before"))
        wait_until(lambda: archive.archiver.trouble == "")
        own.kill()
        line.queue("meanwhile")
        wait_until(lambda: "the database is away" in archive.archiver.trouble)
        assert archive.value("fax_archive_database_up") == 0
        wait_until(lambda: archive.value("fax_archive_unread_entries", account="default") == 1)
        wait_until(lambda: archive.value("fax_archive_lag_seconds", account="default") > 0)
        own.start()
        wait_until(lambda: fax(archive.engine, "meanwhile"), timeout=30)
        wait_until(lambda: archive.archiver.trouble == "" and archive.value("fax_archive_database_up") == 1)
        assert [row["leaf"] for row in rows(archive.engine)] == [0, 1]


def test_an_archive_may_start_before_its_database(
    own: PostgresServer, redis_client: redis.Redis, wait_until: Wait
) -> None:
    url = own.url()
    own.kill()
    line = Faxes(redis_client)
    line.queue("a")
    with archiving(url, redis_client) as archive:
        wait_until(lambda: "the database is away" in archive.archiver.trouble)
        assert archive.value("fax_archive_working") == 0
        own.start()
        wait_until(lambda: fax(archive.engine, "a"), timeout=30)
        assert archive.archiver.works.is_set()


def test_who_reads_waits_for_no_table_that_somebody_holds_and_is_told_why(
    own: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_NO_LONGER", "-c lock_timeout=50ms")
    url = own.url()
    holding, reading = database.open_database(url, writes=True), database.open_database(url)
    database.migrate(holding)
    with holding.begin() as holder, reading.connect() as reader:
        holder.execute(text("LOCK TABLE faxes IN ACCESS EXCLUSIVE MODE"))
        with pytest.raises(DBAPIError) as refused:
            reader.execute(text("SELECT count(*) FROM faxes"))
    holding.dispose()
    reading.dispose()
    assert database.reason_of(refused.value) == "LockNotAvailable"


def test_a_database_that_takes_no_writes_is_told_by_its_cause_and_the_archive_says_once_that_it_works(
    own: PostgresServer, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line, log = Faxes(redis_client), Mock()
    url = own.url()
    with archiving(url, redis_client) as archive:
        line.queue("before")
        wait_until(lambda: fax(archive.engine, "before"))
        archive.archiver._log = log
        other = database.open_database(url, writes=True)
        with other.connect() as admin:
            admin.execution_options(isolation_level="AUTOCOMMIT")
            admin.execute(text("ALTER SYSTEM SET default_transaction_read_only = on"))
            admin.execute(text("SELECT pg_reload_conf()"))
            line.queue("meanwhile")
            wait_until(lambda: "ReadOnlySqlTransaction" in archive.archiver.trouble)
            wait_until(lambda: log.error.call_count > 1)
            admin.execute(text("SET default_transaction_read_only = off"))
            admin.execute(text("ALTER SYSTEM RESET default_transaction_read_only"))
            admin.execute(text("SELECT pg_reload_conf()"))
        other.dispose()
        wait_until(lambda: fax(archive.engine, "meanwhile"), timeout=30)
        wait_until(lambda: log.info.called)
    told = [call.args[0] for call in log.info.call_args_list]
    assert (told.count("this archive works"), told.count("the archive goes on")) == (0, 1)


def test_an_account_whose_key_is_missing_holds_up_no_other(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    sealed = "sealed:other:AAAA"
    bad, good = Faxes(redis_client, "bad"), Faxes(redis_client, "good")
    bad.queue("a")
    bad.deliver("a")
    redis_client.hset(bad.keys.job("a"), "r:3", sealed)
    good.queue("a")
    with archiving(archive_url, redis_client, "bad", "good") as archive:
        wait_until(lambda: [row["account"] for row in rows(archive.engine)] == ["good"])
        wait_until(lambda: archive.value("fax_archive_unread_entries", account="bad") == 3)
        redis_client.hset(bad.keys.job("a"), "r:3", "{}")  # as if it had the key now
        wait_until(lambda: len(rows(archive.engine)) == 4)


def test_lag_is_the_age_of_the_oldest_entry_that_is_not_committed(
    own: PostgresServer, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    hours_ago = round(time.time() - 7200) * 1000
    url = own.url()
    with archiving(url, redis_client) as archive:
        wait_until(archive.archiver.works.is_set)
        own.kill()
        fields: dict[Any, Any] = {"event": "fax.queued", "job": "old", "at": hours_ago, "data": "{}"}
        redis_client.xadd(line.keys.events, fields, id=f"{hours_ago}-0")
        wait_until(lambda: archive.value("fax_archive_lag_seconds", account="default") >= 7200)
        own.start()
        wait_until(
            lambda: archive.value("fax_archive_lag_seconds", account="default") == 0 and rows(archive.engine),
            timeout=30,
        )
