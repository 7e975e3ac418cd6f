"""A line and the command, on the session's server; and servers of a module's own."""

from collections.abc import Callable, Iterator

import pytest

from faxline import FaxLine
from faxline.cli.running import run
from faxline_local.redis_access import Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary


@pytest.fixture
def line(redis_url: str) -> Iterator[FaxLine]:
    with FaxLine(redis_url) as made:
        yield made


@pytest.fixture
def cli(redis_url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["--redis", redis_url, *arguments])
        return (code, *capsys.readouterr())

    return call


@pytest.fixture(scope="module")
def guarded(server_binary: ServerBinary, access: Access) -> Iterator[RedisServer]:
    """One with our users."""
    with RedisServer(binary=server_binary, access=access) as running:
        yield running
