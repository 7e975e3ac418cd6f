"""A producer's trace goes on through dispatcher and worker to the receipt, and reaches a collector."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from faxline import FaxLine, JobState
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SANDBOX = ("--call-seconds", "0.1", "--page-seconds", "0.01", "--answer-seconds", "0.01", "0.05")


class Collector(BaseHTTPRequestHandler):
    """Takes OTLP over HTTP and keeps the spans, each with the service that sent it."""

    spans: list[tuple[str, Any]]

    def do_POST(self) -> None:
        """Take one export."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        request = ExportTraceServiceRequest()
        request.ParseFromString(body)
        for resource in request.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            for scope in resource.scope_spans:
                self.spans.extend((names["service.name"], span) for span in scope.spans)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Be quiet."""


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    spans: list[tuple[str, Any]] = []
    handler = type("Handler", (Collector,), {"spans": spans})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1/traces", spans
    server.shutdown()
    server.server_close()
    thread.join()


def test_the_spans_of_every_process_are_one_trace_below_the_producers_span(
    collector: tuple[str, list[tuple[str, Any]]],
    make_local: Callable[..., Local],
    tmp_path: Path,
    wait_until: Callable[..., Any],
) -> None:
    endpoint, spans = collector
    with (
        make_local(
            tmp_path, dispatchers=2, settings={"TRACES__ENDPOINT": endpoint}, sandbox=SANDBOX
        ) as local,
        FaxLine(local.url_of("producer")) as line,
    ):
        metadata = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        line.send(to="+12025550123", files=["https://example.com/a.pdf"], id="traced", metadata=metadata)
        assert line.wait("traced", timeout=30).state is JobState.DELIVERED
        wait_until(lambda: len(spans) >= 4, timeout=30)
    found = {span.name: (service, span) for service, span in spans}
    assert {name: service for name, (service, _) in found.items()} == {
        "fax": "faxline-dispatcher",
        "fax queue": "faxline-dispatcher",
        "fax delivery": "faxline-dispatcher",
        "fax-send": "faxline-worker",
    }
    assert len(spans) == 4, "two dispatchers tell of a fax once"
    root = found["fax"][1]
    assert root.parent_span_id.hex() == PARENT
    assert {span.trace_id.hex() for _, span in spans} == {TRACE}
    assert {span.parent_span_id for name, (_, span) in found.items() if name != "fax"} == {root.span_id}
