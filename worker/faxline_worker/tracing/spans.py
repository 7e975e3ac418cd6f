"""Optional traces: a span from the push of a fax to its end, and one for each step on the way.

They use what is recorded anyway. A worker records each call as it ends. A dispatcher follows the events and
reads the history of each job that has ended. Both make the ids of the spans from the job (`root_of`), so the
processes exchange nothing. A W3C `traceparent` in a job's metadata makes its spans part of the producer's
trace. Without FAXLINE_TRACES__ENDPOINT, OpenTelemetry is not imported and nothing runs.
"""

import threading
from collections.abc import Iterable
from typing import Any, Protocol

import redis
import structlog

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.events import Event
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline.reading.lookup import read_record_from
from faxline.steps.redis_errors import entries_of
from faxline_worker.ifax import Answer
from faxline_worker.state.results import Admitted

GROUP = "traces"
"""The consumer group in which the dispatchers share the events."""
BLOCK = 2000
"""Milliseconds that a read waits for the next event, and the longest time until a stop is noticed."""
PAUSE = 1.0
"""Seconds before the next try while Redis is away."""


class Traces(Protocol):
    """Where spans go."""

    def record_call(self, account: str, admitted: Admitted, call: str, answer: Answer) -> None:
        """Record a call to iFax that has just ended."""

    def record_end(self, job: Job) -> None:
        """Record a job that has ended, or whose end was amended."""

    def close(self) -> None:
        """Send what is left."""


class NoTraces:
    """Records nothing."""

    def record_call(self, account: str, admitted: Admitted, call: str, answer: Answer) -> None:
        """Do nothing."""

    def record_end(self, job: Job) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""


class TracesMissingError(Exception):
    """Traces are configured, but the packages that make them are not installed."""


def make_traces(endpoint: str, role: str) -> Traces:
    """Make the traces of a process.

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
    """Follows the events of accounts in a thread, and records the jobs that have ended.

    A lost event costs one trace and nothing else.

    Args:
        client: a client of the state's database whose socket timeout is longer than BLOCK.
        accounts: the accounts, which may change.
        traces: records the jobs.
        log: the process's logger.
        consumer: the name of this process in the consumer group.
    """

    def __init__(
        self,
        client: redis.Redis,
        accounts: Iterable[str],
        traces: Traces,
        log: structlog.typing.FilteringBoundLogger,
        consumer: str,
    ) -> None:
        self._client = client
        self._accounts = accounts
        self._keys: dict[str, RedisKeys] = {}
        """The accounts that are followed, by the stream of their events."""
        self._names: list[str] = []
        self._traces = traces
        self._log = log
        self._consumer = consumer
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="traces")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the thread, and send what is left."""
        self._stopping.set()
        self._thread.join()
        self._traces.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow_accounts()
                if self._keys:
                    self._follow()
                else:
                    self._stopping.wait(PAUSE)
            except Exception as error:  # noqa: BLE001 - the next fax is traced again
                self._log.warning("a trace is lost", error=type(error).__name__)
                self._keys, self._names = {}, []  # a server that lost the groups gets them again
                self._stopping.wait(PAUSE)

    def _follow_accounts(self) -> None:
        """Follow the accounts as they are now."""
        names = list(self._accounts)
        if names == self._names:
            return
        wanted = {keys.events: keys for keys in map(RedisKeys, names)}
        with self._client.pipeline(transaction=False) as pipe:
            for stream in (new := [stream for stream in wanted if stream not in self._keys]):
                pipe.xgroup_create(stream, GROUP, id="$", mkstream=True)
            replies = pipe.execute(raise_on_error=False)
        self._keys, self._names = wanted, names
        for stream, reply in zip(new, replies, strict=True):
            if isinstance(reply, redis.RedisError) and "BUSYGROUP" not in str(reply):
                self._leave(stream, reply)

    def _leave(self, stream: str, error: redis.RedisError) -> None:
        """Follow an account no more until its group is made; the others go on."""
        self._log.warning(
            "a trace is lost", account=self._keys.pop(stream).account, error=type(error).__name__
        )
        self._names = []

    def _follow(self) -> None:
        if isinstance(self._client, ClusterClient):
            self._follow_each(self._client)
            return
        streams: Any = dict.fromkeys(self._keys, ">")
        reply: Any = self._client.xreadgroup(
            GROUP, self._consumer, streams, count=200, block=BLOCK, noack=True
        )
        for stream, entries in reply or []:
            name = stream.decode()
            for entry, fields in entries_of([(stream, entries)]):
                self._record(self._keys[name], Event.from_entry(entry, fields))

    def _follow_each(self, client: ClusterClient) -> None:
        """As `_follow` on a cluster, which refuses a read of streams in several slots."""
        self._stopping.wait(PAUSE)
        with client.pipeline(transaction=False) as pipe:
            for stream in self._keys:
                pipe.xreadgroup(GROUP, self._consumer, {stream: ">"}, count=200, noack=True)
            replies = pipe.execute(raise_on_error=False)
        for keys, reply in zip(list(self._keys.values()), replies, strict=True):
            if isinstance(reply, redis.RedisError):
                self._leave(keys.events, reply)
                continue
            for entry, fields in entries_of(reply):
                self._record(keys, Event.from_entry(entry, fields))

    def _record(self, keys: RedisKeys, event: Event) -> None:
        state = str(event.data.get("state"))
        if state not in set(JobState) or not JobState(state).final or event.name != f"fax.{state}":
            return
        job = read_record_from(self._client, keys, event.job)
        if job is not None:
            self._traces.record_end(job)
