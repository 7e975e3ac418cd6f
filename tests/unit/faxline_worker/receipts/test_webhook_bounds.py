"""The webhook's bounds, over a real socket, and while Redis is away."""

import asyncio
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from faxline.steps.redis_errors import trouble
from faxline_worker.receipts.signature import HEADER, sign
from faxline_worker.receipts.webhook_body import BODY_LIMIT
from tests.stage.webhooks import NEW, PATH, RECEIPT, MemoryStore, Site, TestClient, post, post_signed

# Size


@pytest.mark.parametrize(("size", "status"), [(BODY_LIMIT, 204), (BODY_LIMIT + 1, 413)])
def test_a_body_of_64_kib_is_taken_and_one_byte_more_is_too_large(
    size: int, status: int, site: Site, store: MemoryStore
) -> None:
    assert post_signed(site, RECEIPT + b" " * (size - len(RECEIPT))).status_code == status
    assert len(store.entries) == (status == 204)
    assert site.counted == {("default", "stored" if status == 204 else "too_large"): 1}


@pytest.mark.parametrize("announced", ["9" * 5000, "many", "-1", "٣"])
def test_a_senseless_content_length_is_no_500(announced: str, site: Site) -> None:
    # A server refuses these itself; the app does not lean on that.
    assert asgi_status(site, [(b"content-length", announced.encode("latin-1", "replace"))]) == 401


def asgi_status(site: Site, headers: list[tuple[bytes, bytes]]) -> int:
    """The status for an empty POST with these headers, without a client that would mend them."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": PATH, "headers": headers, "query_string": b""}
    asyncio.run(site.app(scope, receive, send))
    return int(sent[0]["status"])


# Redis away


@pytest.mark.parametrize(
    "error",
    [
        RedisConnectionError("gone"),
        RedisTimeoutError("slow"),
        ReadOnlyError("replica"),
        ConnectionResetError(),
    ],
)
@pytest.mark.parametrize("body", [RECEIPT, b"makes no sense"])
def test_while_redis_is_away_ifax_is_asked_to_try_again(
    error: Exception, body: bytes, site: Site, store: MemoryStore
) -> None:
    store.error = error
    answer = post_signed(site, body)
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    assert site.counted == {("default", "unavailable"): 1}
    told = trouble(error) if isinstance(error, RedisError) else type(error).__name__
    assert site.lines[0]["error"] == told


def test_a_redis_that_does_not_answer_is_a_503_within_the_time_bound(store: MemoryStore) -> None:
    store.hangs = True
    site = Site(store, store_timeout=0.05)
    assert post_signed(site, RECEIPT).status_code == 503
    assert site.counted == {("default", "unavailable"): 1}


def test_a_body_that_is_not_verified_does_not_reach_redis(site: Site, store: MemoryStore) -> None:
    store.error = RedisConnectionError("gone")
    assert post(site, RECEIPT, "0" * 64).status_code == 401


# Probes


def test_the_process_is_healthy_while_it_runs_and_ready_while_redis_answers(
    site: Site, store: MemoryStore
) -> None:
    client = TestClient(site.app)
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (200, {"redis": True})
    store.error = RedisConnectionError("gone")
    assert client.get("/healthz").status_code == 200
    assert (client.get("/readyz").status_code, client.get("/readyz").json()) == (503, {"redis": False})


def test_nodes_that_are_away_are_named_while_others_take_webhooks(site: Site, store: MemoryStore) -> None:
    store.away = ["10.0.0.1:6379"]
    answer = TestClient(site.app).get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"redis": True, "away": ["10.0.0.1:6379"]})


def test_a_redis_that_does_not_answer_is_not_ready(
    site: Site, store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("faxline_worker.receipts.webhook.READY_TIMEOUT", 0.05)
    store.hangs = True
    assert TestClient(site.app).get("/readyz").status_code == 503


# On the wire


@contextmanager
def served(site: Site) -> Iterator[tuple[str, int]]:
    """The app on a real server; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    address: tuple[str, int] = listener.getsockname()
    server = uvicorn.Server(uvicorn.Config(site.app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def head(*headers: str, path: str = PATH) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: webhook", *headers, "", ""]).encode()


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def exchange(address: tuple[str, int], request: bytes) -> bytes:
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(request)
        return received(connection)


def hung_up(answer: bytes) -> bool:
    """Whether the server closes the connection at once, so that nothing more is read from it."""
    return b"\r\nconnection: close\r\n" in answer.lower()


def test_a_receipt_over_the_wire_is_stored(site: Site, store: MemoryStore) -> None:
    request = head(
        f"Content-Length: {len(RECEIPT)}", f"X-IFAX-SIGNATURE: {sign(RECEIPT, NEW)}", "Connection: close"
    )
    with served(site) as address:
        assert exchange(address, request + RECEIPT).startswith(b"HTTP/1.1 204 ")
    assert [fields["body"] for _, fields in store.entries] == [RECEIPT]


def test_a_chunked_receipt_is_stored(site: Site, store: MemoryStore) -> None:
    request = head("Transfer-Encoding: chunked", f"{HEADER}: {sign(RECEIPT, NEW)}", "Connection: close")
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in RECEIPT) + b"0\r\n\r\n"
    with served(site) as address:
        assert exchange(address, request + body).startswith(b"HTTP/1.1 204 ")
    assert [fields["body"] for _, fields in store.entries] == [RECEIPT]


def test_a_length_announced_too_large_is_refused_before_a_byte_of_the_body(site: Site) -> None:
    with served(site) as address:
        answer = exchange(address, head(f"Content-Length: {BODY_LIMIT + 1}", "Expect: 100-continue"))
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert hung_up(answer)
    assert site.lines[0]["size"] == 0
    assert site.counted == {("default", "too_large"): 1}


def test_a_chunked_body_is_refused_at_the_first_byte_past_64_kib(site: Site, store: MemoryStore) -> None:
    endless = head("Transfer-Encoding: chunked") + b"%x\r\n" % 2**40 + b" " * (BODY_LIMIT + 1)
    with served(site) as address:
        answer = exchange(address, endless)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert hung_up(answer)
    assert store.entries == []
    assert site.counted == {("default", "too_large"): 1}


def test_an_unknown_account_is_told_so_before_its_body_is_read(site: Site) -> None:
    request = head("Content-Length: 1000", "Expect: 100-continue", path="/webhooks/ifax/nobody")
    with served(site) as address:
        answer = exchange(address, request)
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert hung_up(answer)


def test_a_client_that_goes_away_halfway_is_no_error(
    site: Site,
    store: MemoryStore,
    wait_until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    with served(site) as address:
        with socket.create_connection(address, timeout=10) as connection:
            connection.sendall(head("Content-Length: 1000", "Expect: 100-continue"))
            assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")  # it reads the body now
            connection.sendall(b'{"data":')
        wait_until(lambda: site.lines, message="the webhook's line")
    assert site.lines[0]["result"] == "disconnected"
    assert store.entries == []
    assert site.counted == {}
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_a_body_that_stalls_is_a_408(store: MemoryStore) -> None:
    site = Site(store, body_timeout=0.1)
    with served(site) as address:
        answer = exchange(address, head("Content-Length: 1000") + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert hung_up(answer)
    assert (site.lines[0]["result"], site.lines[0]["size"]) == ("too_slow", 1)
    assert site.counted == {}


def test_a_body_that_drips_for_ever_is_a_408(store: MemoryStore) -> None:
    site = Site(store, body_timeout=0.3)
    with served(site) as address, socket.create_connection(address, timeout=10) as connection:
        connection.sendall(head(f"Content-Length: {BODY_LIMIT}"))
        for _ in range(BODY_LIMIT - 1):
            connection.sendall(b"x")
            if select.select([connection], [], [], 0.01)[0]:
                break
        assert connection.recv(65536).startswith(b"HTTP/1.1 408 ")
    assert site.lines[0]["size"] > 1


def test_a_slow_body_holds_up_no_other(site: Site, store: MemoryStore) -> None:
    request = head(f"Content-Length: {len(RECEIPT)}", f"{HEADER}: {sign(RECEIPT, NEW)}", "Connection: close")
    with served(site) as address, socket.create_connection(address, timeout=10) as slow:
        slow.sendall(request + RECEIPT[:10])
        assert exchange(address, request + RECEIPT).startswith(b"HTTP/1.1 204 ")
        slow.sendall(RECEIPT[10:])
        assert received(slow).startswith(b"HTTP/1.1 204 ")
    assert len(store.entries) == 2
