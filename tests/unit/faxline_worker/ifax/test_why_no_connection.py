"""Each cause of a missing connection has an error of its own."""

import resource
import socket
import threading
from unittest.mock import Mock

import pytest

from faxline_worker.ifax import Answer, Decision, Endpoint, IfaxClient


def call(url: str) -> Answer:
    def mark() -> None:
        pytest.fail("a byte was about to leave")

    with IfaxClient(url, timeout=5) as client:
        answer = client.call(Endpoint.SEND, "the-token", b"{}", mark)
    assert answer.decision is Decision.UNREACHABLE
    assert answer.http_status is None
    return answer


def test_nobody_listens(free_port: int) -> None:
    answer = call(f"http://127.0.0.1:{free_port}/v1")
    assert (answer.reason, answer.message) == ("connection_refused", "connection refused")


def test_the_process_can_open_no_more_files(free_port: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with IfaxClient(f"http://127.0.0.1:{free_port}/v1", timeout=5) as client:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            answer = client.call(Endpoint.SEND, "the-token", b"{}", Mock())
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (answer.decision, answer.reason) == (Decision.UNREACHABLE, "no_descriptors")


def test_the_name_has_no_address() -> None:
    assert call("https://no-such-host.invalid/v1").reason == "name_unknown"


def test_the_other_side_speaks_no_tls() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        found = call(f"https://127.0.0.1:{listener.getsockname()[1]}/v1")
        thread.join()
    assert found.reason == "tls_failed"
