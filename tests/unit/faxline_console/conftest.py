"""The console's own database, as the tests of what is kept there have it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from faxline_archive.database import open_database


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of one console: on SQLite and, in the slow run, on PostgreSQL."""
    url = f"sqlite:///{tmp_path / 'console.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres").url()
    engine = open_database(url, writes=True)
    yield engine
    engine.dispose()
