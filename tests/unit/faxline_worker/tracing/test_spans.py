"""Traces: one span from the push to the end of a fax, and one for each step, in the producer's own trace."""

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline.reading.job_parts import Transition
from faxline_worker.ifax import Answer, Decision
from faxline_worker.state.results import Admitted
from faxline_worker.tracing.otel import OtelTraces
from faxline_worker.tracing.spans import NoTraces, make_traces
from faxline_worker.tracing.trace_ids import root_of

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
BORN = 1_700_000_000_000
ANSWER = Answer(Decision.ACCEPTED, 200, 1, "accepted", "Success", 77, None, seconds=0.25)


def job(*steps: tuple[str, str], **more: Any) -> Job:
    """A job with this history, a second from step to step."""
    history = tuple(
        Transition(event, at(i), state, 1, {"reason": "busy"} if event == "fax.retrying" else {})
        for i, (event, state) in enumerate(steps)
    )
    state = JobState(steps[-1][1])
    return Job("a", "default", state, created_at=at(0), history=history, **more)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(BORN / 1000 + seconds, tz=UTC)


DELIVERED = (("fax.queued", "queued"), ("fax.submitted", "submitted"), ("fax.delivered", "delivered"))


def spans(*jobs: Job, calls: tuple[Admitted, ...] = ()) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    traces = OtelTraces("http://127.0.0.1:1/v1/traces", "worker", exporter)
    for admitted in calls:
        traces.record_call("default", admitted, "fax-send", ANSWER)
    for ended in jobs:
        traces.record_end(ended)
    traces.close()
    return list(exporter.get_finished_spans())


def admitted(trace: str | None = None) -> Admitted:
    return Admitted("permit", "a", 1, "send", {}, "+12025550123", "normal", None, born=BORN, trace=trace)


def test_the_span_of_a_fax_lasts_from_its_push_to_its_end_and_holds_a_span_for_each_wait() -> None:
    root, *children = spans(job(*DELIVERED))
    assert (root.name, root.start_time, root.end_time) == ("fax", BORN * 10**6, (BORN + 2000) * 10**6)
    assert [child.name for child in children] == ["fax queue", "fax delivery"]
    assert all(child.parent and child.parent.span_id == root.context.span_id for child in children)
    assert [(c.end_time or 0) - (c.start_time or 0) for c in children] == [10**9, 10**9]


def test_the_span_of_a_call_stands_below_that_of_its_fax_though_another_process_makes_it() -> None:
    (call,) = spans(calls=(admitted(),))
    root, *_ = spans(job(*DELIVERED))
    assert call.context.trace_id == root.context.trace_id
    assert call.parent is not None
    assert call.parent.span_id == root.context.span_id
    assert (call.end_time or 0) - (call.start_time or 0) == 250_000_000
    assert dict(call.attributes or {})["http.response.status_code"] == 200


def test_a_producers_traceparent_makes_the_fax_a_part_of_its_trace() -> None:
    made = spans(job(*DELIVERED, metadata={"traceparent": TRACEPARENT}), calls=(admitted(TRACEPARENT),))
    assert {f"{span.context.trace_id:032x}" for span in made} == {TRACE}
    root = next(span for span in made if span.name == "fax")
    assert root.parent is not None
    assert f"{root.parent.span_id:016x}" == PARENT


def test_a_producer_whose_trace_is_not_kept_gets_no_spans() -> None:
    traceparent = TRACEPARENT[:-2] + "00"
    assert spans(job(*DELIVERED, metadata={"traceparent": traceparent}), calls=(admitted(traceparent),)) == []


@pytest.mark.parametrize(
    "bad", [None, "", "nonsense", "00-" + "0" * 32 + "-" + PARENT + "-01", f"00-{TRACE}-xyz-01", 7]
)
def test_a_traceparent_that_is_none_is_left(bad: Any) -> None:
    root, *_ = spans(job(*DELIVERED, metadata={"traceparent": bad} if bad is not None else {}))
    assert root.parent is None


def test_a_retry_and_a_failure_are_seen_in_the_spans() -> None:
    steps = (
        *DELIVERED[:2],
        ("fax.retrying", "queued"),
        ("fax.in_doubt", "in_doubt"),
        ("fax.failed", "failed"),
    )
    root, *children = spans(job(*steps, reason="busy", code=17))
    assert [child.name for child in children] == ["fax queue", "fax delivery", "fax queue", "fax in doubt"]
    assert not root.status.is_ok
    assert {"fax.reason": "busy", "fax.code": 17}.items() <= dict(root.attributes or {}).items()


def test_an_end_that_is_amended_has_a_span_of_its_own_and_no_second_root() -> None:
    steps = (*DELIVERED[:2], ("fax.unconfirmed", "unconfirmed"))
    first = spans(job(*steps))
    (second,) = spans(job(*steps, ("fax.delivered", "delivered")))
    assert first[0].name == "fax"
    assert second.name == "fax amended"
    assert second.parent is not None
    assert second.parent.span_id == first[0].context.span_id


def test_no_span_tells_a_number_or_what_a_fax_says() -> None:
    made = spans(job(*DELIVERED, to="…0123", metadata={"patient": "Doe"}), calls=(admitted(),))
    assert not any("Doe" in span.to_json() or "0123" in span.to_json(indent=None) for span in made)


def test_the_ids_are_the_jobs_own() -> None:
    ids = {
        root_of(account, name, born, None)
        for account in ("default", "other")
        for name in ("a", "b")
        for born in (1, 2)
    }
    assert len({root.span for root in ids}) == len({root.trace for root in ids}) == 8


def test_traces_that_nobody_wants_import_nothing() -> None:
    assert isinstance(make_traces("", "worker"), NoTraces)
    made = "{'faxline_worker.tracing.otel', 'opentelemetry.sdk.trace', 'opentelemetry.exporter'}"
    code = f"import faxline_worker.processes.worker, sys; print(bool({made} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
