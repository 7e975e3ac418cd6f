"""Random kill -9 of the archive, its database and Redis under load: nothing missing, nothing twice."""

from pathlib import Path

import pytest

from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from tests.archive_kills import Course
from tests.postgres import PostgresServer


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_whatever_is_killed_the_archive_has_each_entry_once(
    kind: str, tmp_path: Path, server_binary: ServerBinary
) -> None:
    with RedisServer(binary=server_binary) as server:
        if kind == "sqlite":
            Course(tmp_path, server, f"sqlite:///{tmp_path / 'archive.db'}", None, 7).run(6)
        else:
            with PostgresServer() as database:
                Course(tmp_path, server, database.url(), database, 7).run(8)
