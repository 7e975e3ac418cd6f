"""Traces by OpenTelemetry, sent by OTLP over HTTP (the extra `otel`)."""

import threading
import time
from importlib.metadata import version
from itertools import pairwise

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline.reading.job_parts import Transition
from faxline_worker.ifax import Answer, Decision
from faxline_worker.state.results import Admitted
from faxline_worker.tracing.trace_ids import Root, root_of

Attributes = dict[str, str | int | float]
_TIMEOUT = 5.0
_WAITS = {"fax.submitted": "fax delivery", "fax.in_doubt": "fax in doubt"}
"""The span of the wait after an event. After any other event a job waits in the queue."""


class OtelTraces:
    """Sends the spans from a thread of OpenTelemetry's own. While the collector is away, only spans are lost.

    Args:
        endpoint: where OTLP over HTTP is taken.
        role: dispatcher or worker, part of the service's name.
        exporter: where the spans go instead, for tests.
    """

    def __init__(self, endpoint: str, role: str, exporter: SpanExporter | None = None) -> None:
        self._ids = _Ids()
        resource = Resource.create({"service.name": f"faxline-{role}", "service.version": version("faxline")})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        out = exporter or OTLPSpanExporter(endpoint=endpoint, timeout=_TIMEOUT)
        self._provider.add_span_processor(BatchSpanProcessor(out, schedule_delay_millis=1000))
        self._tracer = self._provider.get_tracer("faxline")

    def record_call(self, account: str, admitted: Admitted, call: str, answer: Answer) -> None:
        """Record a span of the call, which ends now."""
        root = root_of(account, admitted.job, admitted.born, admitted.trace)
        end = time.time_ns()
        attributes: Attributes = {
            "fax.account": account,
            "fax.job": admitted.job,
            "fax.attempt": admitted.attempt,
            "fax.decision": str(answer.decision),
            "fax.reason": answer.reason,
            "http.request.method": "POST",
        }
        known = {"http.response.status_code": answer.http_status, "fax.code": answer.code}
        attributes |= {name: value for name, value in known.items() if value is not None}
        good = answer.decision is Decision.ACCEPTED
        self._span(
            call, _within(root), end - round(answer.seconds * 1e9), end, attributes, good, SpanKind.CLIENT
        )

    def record_end(self, job: Job) -> None:
        """Record the span of the whole fax and of each wait. If the end was amended, record only that."""
        if job.created_at is None or not job.history:
            return
        born = round(job.created_at.timestamp() * 1000)
        parent = job.metadata.get("traceparent")
        root = root_of(job.account, job.id, born, parent if isinstance(parent, str) else None)
        steps = job.history
        earlier = [step for step in steps[:-1] if JobState(step.state).final]
        if earlier:
            self._span(
                "fax amended", _within(root), _ns(earlier[-1]), _ns(steps[-1]), _attributes_of(job), good=True
            )
            return
        with self._ids.use(root):
            good = job.state is JobState.DELIVERED
            self._span("fax", _producer(root), _ns(steps[0]), _ns(steps[-1]), _attributes_of(job), good)
        for step, following in pairwise(steps):
            attributes: Attributes = {"fax.attempt": following.attempt, "fax.until": following.event}
            reason = following.data.get("reason")
            attributes |= {"fax.reason": str(reason)} if reason else {}
            name = _WAITS.get(step.event, "fax queue")
            self._span(name, _within(root), _ns(step), _ns(following), attributes, good=True)

    def close(self) -> None:
        """Send what is left, for some seconds at most."""
        self._provider.shutdown()

    def _span(  # noqa: PLR0917 - what a span is
        self,
        name: str,
        context: Context,
        start: int,
        end: int,
        attributes: Attributes,
        good: bool,
        kind: SpanKind = SpanKind.INTERNAL,
    ) -> None:
        span = self._tracer.start_span(name, context, kind, attributes, start_time=start)
        span.set_status(Status(StatusCode.OK if good else StatusCode.ERROR))
        span.end(end_time=end)


class _Ids(RandomIdGenerator):
    """Random ids, except for the span of a fax and its trace: their ids are made from the job."""

    def __init__(self) -> None:
        super().__init__()
        self._local = threading.local()

    def use(self, root: Root) -> "_Use":
        """Give these ids to the next span and trace that this thread starts."""
        return _Use(self._local, root)

    def generate_span_id(self) -> int:
        root: Root | None = getattr(self._local, "root", None)
        return root.span if root is not None else super().generate_span_id()

    def generate_trace_id(self) -> int:
        root: Root | None = getattr(self._local, "root", None)
        return root.trace if root is not None else super().generate_trace_id()


class _Use:
    def __init__(self, local: threading.local, root: Root) -> None:
        self._local = local
        self._root = root

    def __enter__(self) -> None:
        self._local.root = self._root

    def __exit__(self, *_: object) -> None:
        self._local.root = None


def _context(trace_id: int, span_id: int, *, sampled: bool) -> Context:
    flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
    context = SpanContext(trace_id, span_id, is_remote=True, trace_flags=flags)
    return trace.set_span_in_context(NonRecordingSpan(context))


def _within(root: Root) -> Context:
    """The context of a child of the fax's own span."""
    return _context(root.trace, root.span, sampled=root.sampled)


def _producer(root: Root) -> Context:
    """The context of a child of the producer's span. Without one the trace begins with the fax."""
    return _context(root.trace, root.parent, sampled=root.sampled) if root.parent else Context()


def _ns(step: Transition) -> int:
    return round(step.at.timestamp() * 1000) * 1_000_000


def _attributes_of(job: Job) -> Attributes:
    known: dict[str, str | int | None] = {
        "fax.account": job.account,
        "fax.job": job.id,
        "fax.state": str(job.state),
        "fax.priority": job.priority,
        "fax.attempts": job.attempt,
        "fax.reason": job.reason,
        "fax.code": job.code,
        "fax.pages": job.pages,
        "fax.transferred": job.transferred,
    }
    return {name: value for name, value in known.items() if value is not None}
