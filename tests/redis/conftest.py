"""A line and the command, on the session's server."""

from collections.abc import Callable, Iterator

import pytest

from faxline import FaxLine
from faxline.cli.running import run


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
