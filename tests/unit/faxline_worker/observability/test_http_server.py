import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from faxline_worker.observability.http_server import MonitoringPortError, MonitoringServer, Note

VARIABLE = "FAXLINE_METRICS__WORKER_PORT"


def all_well() -> dict[str, bool | str]:
    return {"redis": True, "broker": True}


@contextmanager
def monitoring(
    ready: Callable[[], Mapping[str, bool | str]] = all_well,
    registry: CollectorRegistry | None = None,
    stalled: Callable[[], Mapping[str, float]] = dict,
) -> Iterator[MonitoringServer]:
    with MonitoringServer(
        registry or CollectorRegistry(), 0, "127.0.0.1", stalled=stalled, ready=ready, variable=VARIABLE
    ) as server:
        yield server


def ask(
    server: MonitoringServer, path: str, method: str = "GET", **headers: str
) -> tuple[int, str, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read().decode(), dict(response.getheaders())
    finally:
        connection.close()


@pytest.fixture
def registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    Counter("fax_things_total", "Things.", ["account"], registry=registry).labels("default").inc(3)
    return registry


def test_metrics_are_served_as_prometheus_text(registry: CollectorRegistry) -> None:
    with monitoring(registry=registry) as server:
        status, text, headers = ask(server, "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    assert ("fax_things_total", {"account": "default"}, 3.0) in [(s.name, s.labels, s.value) for s in samples]


def test_metrics_are_served_as_openmetrics_to_who_asks_for_it(registry: CollectorRegistry) -> None:
    with monitoring(registry=registry) as server:
        _, text, headers = ask(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    families = list(parse_openmetrics(text))  # type: ignore[no-untyped-call]
    assert [family.name for family in families] == ["fax_things"]


def test_a_running_process_is_healthy_also_when_it_is_not_ready() -> None:
    with monitoring(lambda: {"redis": False}) as server:
        assert ask(server, "/healthz")[0] == 200


def test_a_process_whose_loop_stands_still_is_not_healthy_and_the_loop_is_named() -> None:
    with monitoring(stalled=lambda: {"intake": 73.2}) as server:
        status, text, _ = ask(server, "/healthz")
    assert (status, json.loads(text)) == (503, {"stalled": {"intake": 73.2}})


def test_a_check_that_says_why_not_is_a_503_with_its_words() -> None:
    with monitoring(lambda: {"redis": True, "intake": "stands still for 12 s"}) as server:
        status, text, _ = ask(server, "/readyz")
    assert (status, json.loads(text)) == (503, {"redis": True, "intake": "stands still for 12 s"})


def test_ready_names_every_check() -> None:
    with monitoring() as server:
        status, text, headers = ask(server, "/readyz")
    assert (status, json.loads(text)) == (200, {"redis": True, "broker": True})
    assert headers["Content-Type"] == "application/json"


def test_a_check_that_holds_with_a_note_is_a_200_with_its_words() -> None:
    with monitoring(lambda: {"redis": Note("away: 10.0.0.1:6379")}) as server:
        status, text, _ = ask(server, "/readyz")
    assert (status, json.loads(text)) == (200, {"redis": "away: 10.0.0.1:6379"})


def test_one_false_check_is_named_in_a_503() -> None:
    with monitoring(lambda: {"redis": True, "broker": False}) as server:
        status, text, _ = ask(server, "/readyz")
    assert (status, json.loads(text)) == (503, {"redis": True, "broker": False})


def test_a_check_that_raises_is_a_503_that_does_not_repeat_its_text() -> None:
    def fail() -> dict[str, bool | str]:
        raise ConnectionError("redis://:password@redis:6379 is away")

    with monitoring(fail) as server:
        status, text, _ = ask(server, "/readyz")
    assert (status, json.loads(text)) == (503, {"error": "ConnectionError"})


def test_a_redis_that_keeps_a_check_from_its_answer_is_told_with_the_cause() -> None:
    def fail() -> dict[str, bool | str]:
        raise redis.ResponseError("MISCONF Errors writing to the AOF file: No space left on device")

    with monitoring(fail) as server:
        status, text, _ = ask(server, "/readyz")
    assert status == 503
    assert json.loads(text)["error"].startswith("Redis takes no writes: it cannot write its file")


def test_readiness_is_asked_anew_each_time() -> None:
    states = iter([False, True])
    with monitoring(lambda: {"redis": next(states)}) as server:
        assert [ask(server, "/readyz")[0] for _ in range(2)] == [503, 200]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("GET", "/nothing", 404),
        ("POST", "/healthz", 405),
        ("POST", "/readyz", 405),
        ("POST", "/metrics", 405),
    ],
)
def test_other_paths_and_methods_are_refused(method: str, path: str, status: int) -> None:
    with monitoring() as server:
        assert ask(server, path, method)[0] == status


def test_a_silent_client_holds_up_nobody() -> None:
    with monitoring() as server, socket.create_connection(("127.0.0.1", server.port), timeout=10):
        assert ask(server, "/healthz")[0] == 200


def test_nothing_is_printed_for_requests_or_clients_that_hang_up(
    capfd: pytest.CaptureFixture[str], wait_until: Callable[..., Any]
) -> None:
    asked, answer = threading.Event(), threading.Event()

    def slow() -> dict[str, bool | str]:
        asked.set()
        assert answer.wait(10)
        return {}

    with monitoring(slow) as server:
        ask(server, "/healthz")
        client = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        client.sendall(b"GET /readyz HTTP/1.0\r\n\r\n")
        assert asked.wait(10)
        # Linger 0 resets the connection, so the answer and whatever is read after it fail.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        answer.set()
        half = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        half.sendall(b"GET /rea")
        half.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        half.close()
        wait_until(lambda: not [t for t in threading.enumerate() if "process_request_thread" in t.name])
    assert capfd.readouterr() == ("", "")


def test_an_error_of_ours_is_still_printed(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(CollectorRegistry):
        def collect(self) -> Iterator[Any]:
            raise RuntimeError("a collector of ours is broken")

    with monitoring(registry=Broken()) as server:
        assert ask(server, "/metrics")[0] == 500
    assert "a collector of ours is broken" in capfd.readouterr().err


def test_an_error_of_ours_in_the_server_itself_is_still_printed(capfd: pytest.CaptureFixture[str]) -> None:
    with monitoring() as server:
        try:
            int("nonsense")
        except ValueError:
            server._server.handle_error(None, ("127.0.0.1", 1))
    assert "ValueError" in capfd.readouterr().err


def test_a_taken_port_is_an_error_that_names_the_port_and_its_variable() -> None:
    with monitoring() as server, pytest.raises(MonitoringPortError) as caught:
        MonitoringServer(
            CollectorRegistry(), server.port, "127.0.0.1", stalled=dict, ready=all_well, variable=VARIABLE
        )
    assert f"port {server.port} of 127.0.0.1" in str(caught.value)
    assert VARIABLE in str(caught.value)


def test_the_default_address_is_reached_from_this_machine() -> None:
    with MonitoringServer(CollectorRegistry(), 0, stalled=dict, ready=all_well, variable=VARIABLE) as server:
        assert ask(server, "/healthz")[0] == 200


def test_closing_ends_the_thread_and_frees_the_port_and_may_be_repeated() -> None:
    server = MonitoringServer(
        CollectorRegistry(), 0, "127.0.0.1", stalled=dict, ready=all_well, variable=VARIABLE
    )
    assert "monitoring" in [thread.name for thread in threading.enumerate()]
    server.close()
    server.close()
    assert "monitoring" not in [thread.name for thread in threading.enumerate()]
    with MonitoringServer(
        CollectorRegistry(), server.port, "127.0.0.1", stalled=dict, ready=all_well, variable=VARIABLE
    ) as again:
        assert again.port == server.port


def test_the_thread_does_not_keep_the_process_alive() -> None:
    with monitoring():
        assert [t.daemon for t in threading.enumerate() if t.name == "monitoring"] == [True]
