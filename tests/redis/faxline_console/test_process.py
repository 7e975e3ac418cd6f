"""The console as a process of its own, with its own Redis user: its probes, its metrics and its heartbeat."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from faxline import FaxLine
from faxline.reading.processes import Process
from faxline_local.processes import Part, free_port
from faxline_local.redis_access import Access
from faxline_local.redis_server import RedisServer
from faxline_worker.observability.heartbeat import look_at_processes

ACL = Path(__file__).parents[3] / "ops/redis/users.acl"


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer(access=Access.of(ACL.read_text())) as server:
        yield server


class Console:
    def __init__(self, server: RedisServer, folder: Path) -> None:
        self.port, self.monitoring = free_port(), free_port()
        environment = {
            "FAXLINE_REDIS_URL": server.url(0, "console"),
            "FAXLINE_ACCOUNTS": "north",
            "FAXLINE_CONSOLE__DATABASE": f"sqlite:///{folder / 'console.db'}",
            "FAXLINE_CONSOLE__PORT": str(self.port),
            "FAXLINE_METRICS__CONSOLE_PORT": str(self.monitoring),
            "FAXLINE_CONSOLE__FORWARDERS": "127.0.0.1",
        }
        self.log = folder / "log"
        self.part = Part(
            "console", self.log, environment, [sys.executable, "-m", "faxline_worker", "console"]
        )

    def get(self, path: str, port: int | None = None) -> httpx.Response | None:
        try:
            return httpx.get(f"http://127.0.0.1:{port or self.port}{path}", timeout=5, trust_env=False)
        except httpx.HTTPError:
            return None

    def status(self, path: str, port: int | None = None) -> int:
        answer = self.get(path, port)
        return answer.status_code if answer is not None else 0

    def guess(self, address: str) -> int:
        """Try a password as somebody before a proxy does."""
        return httpx.post(
            f"http://127.0.0.1:{self.port}/sign-in",
            data={"user": "ada", "password": "wrong"},
            headers={"X-Forwarded-For": f"192.0.2.66, {address}"},
            timeout=30,
            trust_env=False,
        ).status_code


@pytest.fixture
def console(server: RedisServer, tmp_path: Path) -> Iterator[Console]:
    console = Console(server, tmp_path)
    try:
        console.part.await_start(lambda: console.status("/readyz") == 200)
        yield console
    finally:
        console.part.stop()


def test_a_console_tells_of_itself_by_probes_metrics_and_a_heartbeat_until_it_ends(
    server: RedisServer, console: Console, wait_until: Callable[..., Any]
) -> None:
    with FaxLine(server.url(0, "operator"), "north") as line:

        def consoles() -> list[Process]:
            return [process for process in line.processes() if process.role == "console"]

        wait_until(lambda: [process.at_work for process in consoles()] == [True], timeout=30)
        assert console.status("/readyz", console.monitoring) == 200
        assert console.status("/faxes") == 303
        metrics = console.get("/metrics", console.monitoring)
        assert metrics is not None
        assert 'fax_console_requests_total{page="faxes",status="3xx"} 1.0' in metrics.text
        assert "fax_console_sessions 0.0" in metrics.text
        assert "fax_console_viewers 0.0" in metrics.text
        assert 'fax_loop_stalled{loop="event loop"} 0.0' in metrics.text
        assert [console.guess("198.51.100.1") for _ in range(11)] == [403] * 10 + [429]
        assert console.guess("198.51.100.2") == 403
        console.part.stop()
        assert consoles() == []
        assert "console stopped" in console.log.read_text()


@pytest.mark.slow
def test_while_redis_is_away_a_console_lives_and_is_not_ready(
    server: RedisServer, console: Console, wait_until: Callable[..., Any]
) -> None:
    server.stop()
    wait_until(lambda: console.status("/readyz", console.monitoring) == 503, timeout=30)
    assert console.status("/healthz", console.monitoring) == 200
    assert console.status("/healthz") == 200
    server.restart()
    wait_until(lambda: console.status("/readyz", console.monitoring) == 200, timeout=60)


@pytest.mark.slow
def test_the_dispatchers_forget_a_console_that_has_ended(
    server: RedisServer, console: Console, wait_until: Callable[..., Any]
) -> None:
    with redis.Redis.from_url(server.url(0, "dispatcher")) as client:
        wait_until(lambda: [one.role for one in look_at_processes(client)] == ["console"], timeout=30)
        console.part.stop()
        assert look_at_processes(client) == []
        assert client.hgetall("fax:processes:console") == {}
