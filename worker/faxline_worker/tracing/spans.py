"""Traces, where they are wanted: a span from the push of a fax to its end, and one for each step on the way.

They rest on what is recorded anyway. A worker tells of each call as it ends; a dispatcher follows the events
and, when a job has come to its end, reads its history. The spans of one fax find each other without a word
between the processes, for the ids are made from the job (`root_of`); a W3C `traceparent` in its metadata
makes them part of the producer's trace. Without FAXLINE_TRACES__ENDPOINT nothing of this is imported or runs.
"""

import threading
from collections.abc import Mapping
from typing import Any, Protocol

import redis
import structlog

from faxline.client.sync import FaxLine
from faxline.contract.errors import JobNotFound
from faxline.contract.events import Event
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline.steps.redis_errors import entries_of
from faxline_worker.ifax import Answer
from faxline_worker.state.results import Admitted

GROUP = "traces"
"""The consumer group in which the dispatchers share the events."""
BLOCK = 2000
"""Milliseconds that a read waits for the next event; also how soon a stop is noticed."""
PAUSE = 1.0
"""Seconds before the next try while Redis is away."""


class Traces(Protocol):
    """Where spans go."""

    def called(self, account: str, admitted: Admitted, call: str, answer: Answer) -> None:
        """A call to iFax has just ended."""

    def ended(self, job: Job) -> None:
        """A job has come to its end, or its end was amended."""

    def close(self) -> None:
        """Send what is left."""


class NoTraces:
    """Nobody wants them."""

    def called(self, account: str, admitted: Admitted, call: str, answer: Answer) -> None:
        """Leave it."""

    def ended(self, job: Job) -> None:
        """Leave it."""

    def close(self) -> None:
        """Nothing is left."""


class TracesMissingError(Exception):
    """Traces are wanted, and the packages that make them are not installed."""


def make_traces(endpoint: str, role: str) -> Traces:
    """The traces of a process.

    Args:
        endpoint: where OTLP over HTTP is taken, such as http://127.0.0.1:4318/v1/traces; empty: off.
        role: dispatcher or worker.

    Raises:
        TracesMissingError: the extra `otel` is not installed.
    """
    if not endpoint:
        return NoTraces()
    try:
        from faxline_worker.tracing.otel import OtelTraces  # noqa: PLC0415 - only where traces are wanted
    except ImportError as error:
        raise TracesMissingError(
            f"FAXLINE_TRACES__ENDPOINT needs {error.name}, which is missing: "
            "pip install '.[otel]' in the checkout"
        ) from None
    return OtelTraces(endpoint, role)


class TraceFollower:
    """Follows the events of all accounts, in a thread, and tells of the jobs that have ended.

    An event that is lost on the way costs a trace, and nothing else.
    """

    def __init__(
        self,
        client: redis.Redis,
        accounts: Mapping[str, Any],
        traces: Traces,
        log: structlog.stdlib.BoundLogger,
        consumer: str,
    ) -> None:
        self._client = client
        self._lines = {RedisKeys(name).events: FaxLine(client, name) for name in accounts}
        self._traces = traces
        self._log = log
        self._consumer = consumer
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and send what is left."""
        self._stopping.set()
        self._thread.join()
        self._traces.close()

    def _run(self) -> None:
        ready = False
        while not self._stopping.is_set():
            try:
                if not ready:
                    self._make_groups()
                    ready = True
                self._follow()
            except Exception as error:  # noqa: BLE001 - whatever it is, the next fax is traced again
                self._log.warning("a trace is lost", error=type(error).__name__)
                ready = False  # a server that lost the group gets it again
                self._stopping.wait(PAUSE)

    def _make_groups(self) -> None:
        for stream in self._lines:
            try:
                self._client.xgroup_create(stream, GROUP, id="$", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

    def _follow(self) -> None:
        streams: Any = dict.fromkeys(self._lines, ">")
        reply: Any = self._client.xreadgroup(
            GROUP, self._consumer, streams, count=200, block=BLOCK, noack=True
        )
        for stream, entries in reply or []:
            name = stream.decode()
            for entry, fields in entries_of([(stream, entries)]):
                self._tell(self._lines[name], Event.from_entry(entry, fields))

    def _tell(self, line: FaxLine, event: Event) -> None:
        state = str(event.data.get("state"))
        if state not in set(JobState) or not JobState(state).final or event.name != f"fax.{state}":
            return
        try:
            self._traces.ended(line.job(event.job))
        except JobNotFound:
            return
