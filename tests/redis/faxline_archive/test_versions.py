"""Archives of different versions on one database: one changes the schema, and none writes by another one."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, delete, select, text, update
from sqlalchemy.exc import IntegrityError

from faxline.reading.archived import Wanted
from faxline_archive import archiver
from faxline_archive.database import migrate, open_database, version_of
from faxline_archive.schema import VERSION, fax_metadata, faxes, member_sums, usage_sums
from faxline_archive.search import find
from faxline_archive.terms import term
from faxline_archive.writer_lock import WriterLock
from faxline_worker.observability import pulse
from faxline_worker.observability.pulse import Loop
from tests.archives import Faxes, archiving, check_sums, fax, new_archive, rows
from tests.stage.archives import StagedArchive

Wait = Callable[..., Any]
TO = "+12025550123"


def version(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return version_of(connection)


def set_version(engine: Engine, number: str) -> None:
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})


def test_the_tables_are_of_the_newest_version(archive_url: str) -> None:
    engine = open_database(archive_url, writes=True)
    migrate(engine)
    assert version(engine) == VERSION
    engine.dispose()


def test_an_archive_that_does_not_work_leaves_the_schema_to_the_one_that_does(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, tries, real = new_archive(archive_url), list[bool](), WriterLock.take
    set_version(engine, "0006")
    older = WriterLock(engine)
    assert older.take()

    def take(lock: WriterLock) -> bool:
        tries.append(real(lock))
        return tries[-1]

    monkeypatch.setattr(archiver, "STANDBY", 0.01)
    monkeypatch.setattr(WriterLock, "take", take)
    with archiving(archive_url, redis_client):
        wait_until(lambda: len(tries) > 2)
        assert not any(tries)
        assert version(engine) == "0006"
        older.release()
        wait_until(lambda: version(engine) == VERSION)
    engine.dispose()


def test_an_archive_ends_once_a_newer_one_changed_the_schema(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    with archiving(archive_url, redis_client) as archive:
        line.queue("a")
        wait_until(lambda: fax(archive.engine, "a"))
        set_version(archive.engine, "9999")
        line.queue("b")
        wait_until(lambda: archive.archiver.newer)
        assert len(rows(archive.engine)) == 1


def test_an_archive_from_before_the_terms_and_sums_is_refused_by_the_database(staged: StagedArchive) -> None:
    staged.add("a")
    first = """
        INSERT INTO accounts (account, size, expired, sealed_by) VALUES ('default', 0, 0, NULL)
        ON CONFLICT DO NOTHING
    """  # what it writes first in each transaction
    with staged.engine.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(text(first))


def test_what_an_older_archive_left_out_is_made_up_for(staged: StagedArchive) -> None:
    metadata = {"department": "radiology"}
    staged.add("x", state="failed", reason="busy", metadata=metadata)
    staged.add("y", metadata=metadata)
    terms = None
    if staged.engine.dialect.name == "postgresql":
        terms = [term("default", "to_index", staged.privacy().index("number", TO))]
        terms.append(term("default", "state", "unconfirmed"))
    with staged.engine.begin() as connection:
        connection.execute(delete(usage_sums))
        connection.execute(delete(member_sums))
        connection.execute(update(fax_metadata).values(transferred=None, state="unconfirmed"))
        connection.execute(update(faxes).where(faxes.c.job == "x").values(terms=None))
        connection.execute(update(faxes).where(faxes.c.job == "y").values(terms=terms))
    set_version(staged.engine, "0006")
    migrate(staged.engine)
    check_sums(staged.engine)

    def found(**wanted: Any) -> list[str]:
        faxes_of = find(staged.engine, "default", Wanted(to=TO, **wanted), staged.privacy())
        return sorted(fax.id for fax in faxes_of)

    assert found(metadata=metadata) == ["x", "y"]
    assert (found(state="failed"), found(state="delivered")) == (["x"], ["y"])
    assert found(state="unconfirmed") == []


def test_no_fax_is_found_by_a_state_that_it_does_not_have_whatever_its_terms_say(
    staged: StagedArchive,
) -> None:
    staged.add("y")
    if staged.engine.dialect.name == "postgresql":
        with staged.engine.begin() as connection:
            terms: list[int] = connection.scalars(select(faxes.c.terms)).one()
            stale = [*terms, term("default", "state", "unconfirmed")]  # as an older archive left it
            connection.execute(update(faxes).values(terms=stale))
    wanted = Wanted(to=TO, state="unconfirmed")
    assert list(find(staged.engine, "default", wanted, staged.privacy())) == []


def test_the_archive_beats_while_the_schema_changes(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats, going_on, seen = list[int](), threading.Event(), list[int]()

    def slow(engine: Engine) -> None:
        going_on.wait(20)
        seen.append(len(beats))
        migrate(engine)

    monkeypatch.setattr(pulse, "BEAT", 0.001)
    monkeypatch.setattr(Loop, "beat", lambda _: beats.append(1))
    monkeypatch.setattr(archiver, "migrate", slow)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(beats) > 2)
        going_on.set()
        wait_until(archive.archiver.works.is_set)
    assert seen[0] > 2
