"""An append-only file that a power cut left with a torn end, at places all over its last transaction."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import RedisServerError, ServerBinary
from tests.stage.scene import Scene

CONF = Path(__file__).parents[3] / "ops/redis/redis.conf"
EVERY = 149
"""Bytes between two cuts; a transaction has a thousand, of a dozen commands."""


def configured(name: str) -> str:
    """A line of the configuration that production is told to take."""
    lines = (line.split(maxsplit=1) for line in CONF.read_text().splitlines() if line)
    return next(value for key, value in lines if key == name)


class Torn:
    """A server that registered two faxes, and whose file lacks an end of what the second one wrote."""

    def __init__(self, server: RedisServer, tmp_path: Path) -> None:
        self.server = server
        with redis.Redis.from_url(server.url()) as client:
            scene = Scene(client)
            scene.push("first")
            item = scene.item(scene.intake(), "second")
            self.before = self.content()
            scene.store.intake.register([item])
            self.after = self.content()
        server.stop()
        self._folder = server.directory / "appendonlydir"
        self._saved = Path(shutil.copytree(self._folder, tmp_path / "saved"))
        self._name = max(path.name for path in self._folder.glob("*.incr.aof"))
        self._whole = (self._folder / self._name).read_bytes()
        self._begin = self._whole.rindex(b"*1\r\n$5\r\nMULTI\r\n")

    @property
    def manifest(self) -> Path:
        """What a check of the file is given."""
        return next(self._folder.glob("*.manifest"))

    def cuts(self) -> Iterator[None]:
        """Tear the file, at one place after the other."""
        for cut in range(self._begin + 1, len(self._whole), EVERY):
            shutil.rmtree(self._folder)
            shutil.copytree(self._saved, self._folder)
            (self._folder / self._name).write_bytes(self._whole[:cut])
            yield

    def content(self) -> dict[str, Any]:
        """What the server has of both faxes."""
        with redis.Redis.from_url(self.server.url()) as client:
            keys = RedisKeys("default")
            return {
                "events": [fields[b"job"] for _, fields in client.xrange(keys.events)],
                "records": [client.hgetall(keys.job(name)) for name in ("first", "second")],
                "queue": client.zrange(keys.ready, 0, -1),
                "entries": [entry for entry, _ in client.xrange(keys.intake)],
            }

    def written_and_killed(self) -> None:
        """The server goes on with another transaction; then it is killed and started again."""
        with redis.Redis.from_url(self.server.url()) as client, client.pipeline() as pipe:
            pipe.set("something", "else").set("and", "more").execute()
        self.server.kill()
        self.server.restart()


@pytest.fixture
def torn(server_binary: ServerBinary, tmp_path: Path) -> Iterator[Torn]:
    options = {"aof-load-truncated": configured("aof-load-truncated")}
    with RedisServer(binary=server_binary, appendfsync="always", options=options) as server:
        yield Torn(server, tmp_path)


def test_a_server_does_not_start_with_a_file_whose_end_is_torn(torn: Torn) -> None:
    assert torn.before != torn.after
    for _ in torn.cuts():
        with pytest.raises(RedisServerError, match="Unexpected end of file"):
            torn.server.restart()


def test_after_the_check_of_the_file_all_of_the_transaction_is_gone_and_nothing_else(
    torn: Torn, server_binary: ServerBinary, tmp_path: Path
) -> None:
    if server_binary.name == "valkey":
        pytest.skip("valkey-check-aof 9.1 does not know its own base file; Valkey reads on rightly (below)")
    program = tmp_path / "redis-check-aof"  # the server itself, by its name
    program.symlink_to(server_binary.path.resolve())
    for _ in torn.cuts():
        fix = [str(program), "--fix", str(torn.manifest)]
        subprocess.run(fix, input="y\n", text=True, check=True, capture_output=True)
        torn.server.restart()
        assert torn.content() == torn.before
        torn.written_and_killed()
        assert torn.content() == torn.before


def test_what_a_server_makes_of_it_that_reads_on_by_itself(
    server_binary: ServerBinary, tmp_path: Path
) -> None:
    """Why it must not: Redis 7.0 comes back with half of it. If a newer one does not, the setting may go."""
    options = {"aof-load-truncated": "yes"}
    with RedisServer(binary=server_binary, appendfsync="always", options=options) as server:
        torn, halves = Torn(server, tmp_path), 0
        for _ in torn.cuts():
            torn.server.restart()
            assert torn.content() == torn.before
            torn.written_and_killed()
            halves += torn.content() != torn.before
    assert bool(halves) is (server_binary.name == "redis")
