"""Archives in SQLite."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from faxline.contract.sealing.keyring import Keyring, new_key
from faxline_archive.database import open_database
from faxline_archive.schema import metadata
from tests.stage.archives import StagedArchive


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'archive.db'}"


@pytest.fixture
def engine(url: str) -> Iterator[Engine]:
    engine = open_database(url, writes=True)
    event.listen(engine, "connect", lambda raw, _: raw.execute("PRAGMA synchronous = OFF"))
    metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(params=["plain", "sealed"])
def staged(engine: Engine, request: pytest.FixtureRequest) -> StagedArchive:
    keyring = Keyring.read(new_key("2027")) if request.param == "sealed" else None
    return StagedArchive(engine, keyring)
