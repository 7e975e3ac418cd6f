"""The command `faxline` on a real server, and what the daemon would do meanwhile."""

import json
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.cli.running import run
from faxline.reading.processes import ROLES
from tests.stage.command_line import AT, KEYS, NUMBER, Cli, Result
from tests.stage.heartbeats import beating


@pytest.fixture
def cli(redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    for name in [name for name in os.environ if name.startswith("FAXLINE_")]:
        monkeypatch.delenv(name)

    def call(*arguments: str, quiet: bool = True, at_work: Sequence[str] = ROLES) -> Result:
        capsys.readouterr()
        with beating(redis_url, at_work):
            code = run(["--redis", redis_url, *arguments])
        captured = capsys.readouterr()
        if quiet:
            assert len(captured.err.splitlines()) == (code != 0 and not captured.out), captured.err
        assert "310555014" not in captured.out + captured.err  # no number of these tests
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def record(redis_client: redis.Redis) -> Callable[..., None]:
    """Write a job's record, as the daemon would."""

    def write(job: str, state: str, **fields: Any) -> None:
        step = {"event": "fax.queued", "at": AT, "state": "queued", "attempt": 0}
        values: Any = {
            "state": state,
            "number": NUMBER,
            "priority": "normal",
            "created_at": AT,
            "updated_at": AT,
        }
        redis_client.hset(KEYS.job(job), mapping=values | {"n": 1, "h:1": json.dumps(step)} | fields)

    return write


@pytest.fixture
def emit(redis_client: redis.Redis) -> Callable[..., None]:
    """Write an event, as the daemon would."""

    def write(name: str, job: str, **data: Any) -> None:
        fields: Any = {"event": f"fax.{name}", "job": job, "at": AT, "data": json.dumps(data)}
        redis_client.xadd(KEYS.events, fields)

    return write


@pytest.fixture
def daemon(redis_url: str) -> Iterator[Callable[..., None]]:
    """`daemon(stream, react)`: in another thread, react to the first entry of a stream."""
    threads = []

    def start(stream: str, react: Callable[[Any, str, dict[bytes, bytes]], None]) -> None:
        def work() -> None:
            with redis.Redis.from_url(redis_url) as client:
                reply: Any = client.xread({stream: "0"}, block=20_000)
                entry, fields = reply[0][1][0]
                react(client, entry.decode(), fields)

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


@pytest.fixture
def noisy(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """The command, which may say more than one line of errors, in a folder with letter.txt."""
    monkeypatch.chdir(tmp_path)
    Path("letter.txt").write_text("Hello")
    return partial(cli, quiet=False)


@pytest.fixture
def mail(noisy: Cli) -> Cli:
    """Send letter.txt to the rows of this CSV."""

    def send(csv: str | bytes, *arguments: str, file: bool = True) -> Result:
        Path("r.csv").write_bytes(csv if isinstance(csv, bytes) else csv.encode())
        return noisy("send", "--csv", "r.csv", *(["--file", "letter.txt"] if file else []), *arguments)

    return send
