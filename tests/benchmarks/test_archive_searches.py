"""The benchmark of the archive's searches, in its short form."""

from sqlalchemy import create_engine

from tests.benchmarks.archive_faxes import fill
from tests.benchmarks.archive_searches import measure, measure_usage
from tests.postgres import PostgresServer

COUNT = 4000


def test_each_search_of_the_benchmark_finds_what_the_generated_archive_has(postgres: PostgresServer) -> None:
    engine = create_engine(postgres.url())
    fill(engine, COUNT)
    rows = {found.name: found.rows for found in (*measure(engine, COUNT), *measure_usage(engine, COUNT))}
    engine.dispose()
    assert rows["everything"] == rows["delivered"] == rows["failed"] == 100
    assert rows["a small group"] > 0
    assert rows["a group of half a million"] == 100
    assert rows["a case (metadata)"] == 1
    assert rows["a department (metadata)"] > 0
    assert rows["a number nobody faxed"] == rows["a sender that is not there"] == 0
    # The other four of the forty are of the further accounts alone.
    assert rows["usage by metadata.department, all"] == 36
