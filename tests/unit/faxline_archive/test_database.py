"""The schema is made by the migrations alone, by whoever comes first."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import inspect, text

from faxline_archive.database import BUSY, empty_log, migrate, open_database
from faxline_archive.schema import metadata


def test_the_migrations_make_exactly_the_tables_of_the_schema(archive_url: str) -> None:
    engine = open_database(archive_url, writes=True)
    migrate(engine)
    with engine.connect() as connection:
        on_postgresql = engine.dialect.name == "postgresql"

        def is_made_here(_: object, name: str | None, *__: object) -> bool:
            return on_postgresql or name != "ix_faxes_terms"

        context = MigrationContext.configure(connection, opts={"include_object": is_made_here})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


def test_processes_that_migrate_at_once_wait_for_one_another_and_all_succeed(archive_url: str) -> None:
    engines = [open_database(archive_url, writes=True) for _ in range(4)]
    errors: list[BaseException] = []
    together = threading.Barrier(len(engines))

    def run(number: int) -> None:
        together.wait()
        try:
            migrate(engines[number])
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(engines))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert set(metadata.tables) < set(inspect(engines[0]).get_table_names())
    for engine in engines:
        engine.dispose()


def test_a_schema_of_a_newer_version_is_refused(archive_url: str) -> None:
    engine = open_database(archive_url, writes=True)
    migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="9999"):
        migrate(engine)
    engine.dispose()


def test_the_log_of_sqlite_is_emptied_as_soon_as_nobody_reads_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    engine, other = open_database(url, writes=True), open_database(url)
    migrate(engine)
    with other.connect() as reader:
        reader.execute(text("SELECT * FROM accounts")).all()
        with engine.begin() as connection:
            connection.execute(
                text("INSERT INTO accounts (account, size, expired, ordered) VALUES ('a', 0, 0, -1)")
            )
        assert not empty_log(engine)
    assert empty_log(engine)
    assert (tmp_path / "archive.db-wal").stat().st_size == 0
    with engine.begin() as connection:
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == BUSY * 1000
    engine.dispose()
    other.dispose()


def test_a_file_is_its_owners_alone_and_so_are_those_beside_it(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'archive.db'}", writes=True)
    migrate(engine)
    with engine.connect():
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    names = ("archive.db", "archive.db-wal", "archive.db-shm")
    assert modes == dict.fromkeys(names, 0o600)
    engine.dispose()
