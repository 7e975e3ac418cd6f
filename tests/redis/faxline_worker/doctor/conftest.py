"""A server, a sandbox, and the environment of a daemon with both."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import redis

from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_sandbox import Account, SandboxConfig, SandboxServer
from tests.stage.doctoring import ROOM, Serve


@pytest.fixture(scope="module")
def server(server_binary: ServerBinary) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary) as running:
        yield running


@pytest.fixture
def client(server: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url(0)) as made:
        made.flushdb()
        yield made


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    accounts = {"good": Account(), "guest": Account(label="guest", primary=False)}
    with SandboxServer(SandboxConfig(accounts=accounts, limits=ROOM, call_seconds=0.01)) as running:
        yield running


@pytest.fixture
def environment(server: RedisServer, sandbox: SandboxServer, client: redis.Redis) -> dict[str, str]:
    del client  # it has emptied the server
    return {
        "FAXLINE_REDIS_URL": server.url(0),
        "FAXLINE_IFAX_URL": sandbox.url,
        "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "good",
        "FAXLINE_HTTP_TIMEOUT": "5",
    }


@pytest.fixture
def server_of() -> Serve:
    """A server that answers everything with one status."""

    @contextmanager
    def serving(status: int) -> Iterator[str]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_POST  # noqa: N815 - the names are http.server's

            def log_message(self, *_: object) -> None:
                pass

        with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
            thread = threading.Thread(target=running.serve_forever)
            thread.start()
            yield f"http://127.0.0.1:{running.server_port}"
            running.shutdown()
            thread.join()

    return serving
