"""Archives with rows, in SQLite and PostgreSQL, with keys and without."""

from collections.abc import Iterator

import pytest

from faxline.contract.sealing.keyring import Keyring, new_key
from tests.archives import new_archive
from tests.stage.archives import StagedArchive


@pytest.fixture(params=["plain", pytest.param("sealed", marks=pytest.mark.slow)])
def staged(archive_url: str, request: pytest.FixtureRequest) -> Iterator[StagedArchive]:
    """An archive to be filled. Each test that takes it runs on both databases, with keys and without."""
    engine = new_archive(archive_url)
    yield StagedArchive(engine, Keyring.read(new_key("2027")) if request.param == "sealed" else None)
    engine.dispose()
