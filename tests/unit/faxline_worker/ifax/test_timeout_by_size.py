"""A call's time grows with its body: a slow upload goes through, and a server that hangs is left."""

import math
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from faxline_worker.ifax import Answer, Decision, Endpoint, IfaxClient

pytestmark = pytest.mark.slow

SIZE = 8_000_000
TEXT = b'{"status":1,"data":{"jobId":777}}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(TEXT), TEXT)


@contextmanager
def server(*, piece: int, pause: float) -> Iterator[str]:
    """Takes a request piece by piece with pauses between, and answers once all of it is there."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    over = threading.Event()

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            taken = 0
            while taken < SIZE and not over.wait(pause):
                got = connection.recv(piece, socket.MSG_WAITALL)
                if not got:
                    return
                taken += len(got)
            if not over.is_set():
                connection.sendall(GOOD)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        listener.close()


def call(url: str, rate: float) -> Answer:
    with IfaxClient(url, 0.5, rate=rate) as client:
        return client.call(Endpoint.SEND, "token", b"x" * SIZE, lambda: None)


@pytest.mark.parametrize(("rate", "decision"), [(math.inf, Decision.IN_DOUBT), (100_000, Decision.ACCEPTED)])
def test_an_upload_that_the_fixed_time_would_cut_goes_through_with_the_time_of_its_size(
    rate: float, decision: Decision
) -> None:
    with server(piece=SIZE // 10, pause=0.15) as url:
        assert call(url, rate).decision is decision


def test_a_server_that_hangs_is_left_when_the_time_of_the_size_is_over() -> None:
    with server(piece=1, pause=math.pi * 100) as url:
        begun = time.monotonic()
        answer = call(url, SIZE / 1.5)
        assert answer.decision is Decision.IN_DOUBT
        assert time.monotonic() - begun >= 2.0  # 0.5 s, and the body at its rate


def test_the_time_of_the_size_is_not_spent_on_the_connection() -> None:
    with IfaxClient("http://127.0.0.1:1", 0.5, rate=1) as client:
        begun: list[float] = []
        answer = client.call(Endpoint.SEND, "token", b"x" * 100, lambda: begun.append(1))
    assert (answer.decision, begun) == (Decision.UNREACHABLE, [])
