"""A user of PostgreSQL that only reads the archive, as docs/archive.md makes it."""

import re
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import psycopg
import pytest

from faxline.contract.errors import ArchiveUnavailable
from faxline.reading.archived import Wanted
from faxline_archive.inquiries import KEY, URL, Inquiries
from faxline_archive.signing_key import SigningKey
from tests.archives import new_archive
from tests.postgres import PostgresServer
from tests.stage.archives import StagedArchive

DOCS = (Path(__file__).parents[3] / "docs/archive.md").read_text(encoding="utf-8")
MAKE, LET_PROVE = re.findall(r"```sql\n(.*?)```", DOCS, re.DOTALL)

pytestmark = pytest.mark.slow


@pytest.fixture
def owner(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    """The archive's own user, in an archive with the fax `a`."""
    url = postgres.url()
    staged = StagedArchive(new_archive(url))
    staged.add("a")
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        yield connection
        connection.execute("DROP OWNED BY faxline_reader")
        connection.execute("DROP USER faxline_reader")
    staged.engine.dispose()


def test_who_only_reads_is_told_why_there_is_no_proof_until_it_may_sign(
    owner: psycopg.Connection, tmp_path: Path
) -> None:
    key = tmp_path / "archive.pem"
    SigningKey.load_or_make(key)
    owner.execute(MAKE)
    owner.execute("CREATE TABLE of_a_later_version (a INT)")
    place = f"faxline_reader@127.0.0.1:{owner.info.port}/{owner.info.dbname}"
    with psycopg.connect(f"postgresql://{place}") as reader:
        assert reader.execute("SELECT * FROM of_a_later_version").fetchall() == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute("DELETE FROM faxes")
    desk = Inquiries({URL: f"postgresql+psycopg://{place}", KEY: key.read_text()}, None)
    assert [fax.id for fax in desk.find("default", Wanted())] == ["a"]
    assert desk.report("default", "a", zone=UTC, paper="A4").startswith(b"%PDF")
    with pytest.raises(ArchiveUnavailable, match="faxline_reader lacks a right"):
        desk.proof("default", "a", zone=UTC)
    owner.execute(LET_PROVE)
    assert desk.proof("default", "a", zone=UTC).startswith(b"PK")
    desk.close()
