"""The console's metrics: what is counted, by page and status, and what is not."""

import asyncio
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry
from starlette.types import Message, Receive, Scope, Send

from faxline_console.metrics import ConsoleMetrics, Counted, page_of


def answered(path: str, status: int, method: str = "GET") -> CollectorRegistry:
    """The metrics after a request that an application answers so; 0 stands for an error."""

    async def app(_: Scope, __: Receive, send: Send) -> None:
        if not status:
            raise ZeroDivisionError
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(_: Message) -> None:
        pass

    async def ask() -> None:
        counted = Counted(app, ConsoleMetrics(registry))
        await counted({"type": "http", "path": path, "method": method}, receive, send)

    registry = CollectorRegistry()
    try:
        asyncio.run(ask())
    except ZeroDivisionError:
        assert status == 0
    return registry


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    found = registry.get_sample_value(name, labels)
    assert found is not None
    return found


def total(registry: CollectorRegistry, name: str) -> float:
    return sum(
        sample.value for family in registry.collect() for sample in family.samples if sample.name == name
    )


@pytest.mark.parametrize(
    ("path", "page"),
    [
        ("/faxes", "faxes"),
        ("/faxes/plan", "faxes"),
        ("/faxes/north/lab.4711", "fax"),
        ("/faxes/north/lab.4711/cancel", "fax"),
        ("/usage.csv", "other"),
        ("/sign-in/secret", "sign-in"),
        ("/wp-login.php", "other"),
        ("/", "other"),
        ("", "other"),
        ("/static/console.css", None),
        ("/readyz", None),
    ],
)
def test_no_id_and_no_strangers_address_becomes_a_label(path: str, page: str | None) -> None:
    assert page_of(path) == page


@pytest.mark.parametrize(
    ("status", "label"), [(200, "2xx"), (303, "3xx"), (404, "4xx"), (503, "5xx"), (0, "5xx")]
)
def test_a_request_is_counted_once_by_page_and_status_and_timed(status: int, label: str) -> None:
    registry = answered("/usage", status)
    assert value(registry, "fax_console_requests_total", page="usage", status=label) == 1
    assert total(registry, "fax_console_requests_total") == 1
    assert value(registry, "fax_console_page_seconds_count", page="usage") == 1


def test_what_is_no_page_is_not_counted() -> None:
    for path in ("/static/console.css", "/healthz"):
        assert total(answered(path, 200), "fax_console_requests_total") == 0


def test_a_live_page_is_counted_when_it_opens_and_not_timed() -> None:
    registry = answered("/live", 200)
    assert value(registry, "fax_console_requests_total", page="live", status="2xx") == 1
    assert total(registry, "fax_console_page_seconds_count") == 0


@pytest.mark.parametrize(
    ("path", "method", "status", "outcomes"),
    [
        ("/sign-in", "POST", 303, {"accepted": 1}),
        ("/sign-in", "POST", 403, {"refused": 1}),
        ("/sign-in", "POST", 429, {"too_many": 1}),
        ("/sign-in/secret", "POST", 303, {"accepted": 1}),
        ("/sign-in/secret", "POST", 403, {"refused": 1}),
        ("/sign-in/secret", "GET", 200, {}),
        ("/sign-in", "GET", 200, {}),
        ("/faxes", "POST", 403, {}),
    ],
)
def test_sign_ins_are_counted_by_what_became_of_them(
    path: str, method: str, status: int, outcomes: Mapping[str, int]
) -> None:
    registry = answered(path, status, method)
    for outcome in ("accepted", "refused", "too_many"):
        count = value(registry, "fax_console_sign_ins_total", outcome=outcome)
        assert count == outcomes.get(outcome, 0), outcome


def test_sessions_and_viewers_are_read_when_they_are_asked_for() -> None:
    registry, now = CollectorRegistry(), {"sessions": 1.0, "viewers": 2.0}
    ConsoleMetrics(registry, lambda: now["sessions"], lambda: now["viewers"])
    assert value(registry, "fax_console_sessions") == 1
    now["sessions"] = 3
    assert (value(registry, "fax_console_sessions"), value(registry, "fax_console_viewers")) == (3, 2)
