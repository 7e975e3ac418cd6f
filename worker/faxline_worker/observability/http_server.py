"""The monitoring server of a process: `/metrics`, `/healthz` and `/readyz` on a port of its own.

A thread of its own serves it, so it answers while the work is busy. `/healthz` depends on the beats of the
loops that do the work (pulse.py), not on the server's own.
"""

import json
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from socketserver import TCPServer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from wsgiref.simple_server import WSGIRequestHandler

from prometheus_client import CollectorRegistry, make_wsgi_app
from prometheus_client.exposition import ThreadingWSGIServer
from redis import RedisError

from faxline.steps.redis_errors import trouble

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

REQUEST_TIMEOUT = 10.0
"""Seconds a client may be silent before its connection is closed."""

_POLL = 0.1  # seconds; the longest that close() waits for the loop


Stalled = Callable[[], Mapping[str, float]]
Checks = Callable[[], Mapping[str, bool | str]]


class Note(str):
    """A check that holds, with what is to be known about it: `Note("7001 is away")`."""

    __slots__ = ()


class MonitoringPortError(Exception):
    """The process cannot listen on the port. The message names it and the variable that sets it."""


class MonitoringServer:
    """Serves until `close()`. It is a context manager as well.

    `/metrics` is the registry in the format the client asks for. `/healthz` is 200, or 503 with the loops
    that stand still and for how many seconds: `{"stalled": {"intake": 73.2}}`. `/readyz` is 200 with the
    named checks as a JSON object, or 503 when one is neither true nor a `Note`, or they cannot be made.

    Args:
        registry: what `/metrics` shows.
        port: 0 takes a free one; see the attribute `port`.
        host: the address to listen on, of IPv4 or IPv6.
        stalled: the loops that stand still. Called in a thread for each `/healthz`.
        ready: the checks by name, each True, False, or why not: `{"redis": True, "intake": "stands still for
            12 s"}`. Called in a thread for each `/readyz`.
        variable: the setting of the port, for the error's message, such as FAXLINE_METRICS__WORKER_PORT.

    Raises:
        MonitoringPortError: the port is taken, or the address is not ours.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        port: int,
        host: str = "0.0.0.0",  # noqa: S104 - Prometheus and the kubelet come from other machines
        *,
        stalled: Stalled,
        ready: Checks,
        variable: str,
    ) -> None:
        try:
            self._server = _Server(host, port)
        except OSError as error:
            raise MonitoringPortError(
                f"cannot listen on port {port} of {host} for monitoring ({error.strerror or error}): "
                f"free it, or set {variable} to another port"
            ) from error
        self._server.set_app(_application(registry, stalled, ready))
        self.port: int = self._server.server_address[1]
        """The port in use."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL,), name="monitoring", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening and join the thread; may be called again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Handler(WSGIRequestHandler):
    timeout = REQUEST_TIMEOUT

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Write no access log: probes come every few seconds."""


class _Server(ThreadingWSGIServer):
    allow_reuse_port = False  # a taken port is an error, not a port that two processes share

    def __init__(self, host: str, port: int) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind without the base class's look-up of this host's name, which may take seconds in a pod."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Be quiet about a client that went away or said nothing."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _application(
    registry: CollectorRegistry, stalled: Stalled, ready: Checks
) -> "Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]":
    metrics = make_wsgi_app(registry)

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == "/metrics":
            answer: Iterable[bytes] = metrics(environ, start_response)
            return answer
        status, document = HTTPStatus.NOT_FOUND, dict[str, Any](error="not found")
        if path in ("/healthz", "/readyz") and environ["REQUEST_METHOD"] != "GET":
            status, document = HTTPStatus.METHOD_NOT_ALLOWED, {"error": "use GET"}
        elif path == "/healthz":
            status, document = _health(stalled)
        elif path == "/readyz":
            status, document = _readiness(ready)
        start_response(f"{status.value} {status.phrase}", [("Content-Type", "application/json")])
        return [json.dumps(document).encode()]

    return application


def _health(stalled: Stalled) -> tuple[HTTPStatus, dict[str, Any]]:
    still = dict(stalled())
    return (HTTPStatus.SERVICE_UNAVAILABLE, {"stalled": still}) if still else (HTTPStatus.OK, {})


def _readiness(ready: Checks) -> tuple[HTTPStatus, dict[str, Any]]:
    try:
        checks = dict(ready())
    except Exception as error:  # noqa: BLE001 - whatever it is, the process is not ready
        why = trouble(error) if isinstance(error, RedisError) else type(error).__name__
        return HTTPStatus.SERVICE_UNAVAILABLE, {"error": why}
    well = all(found is True or isinstance(found, Note) for found in checks.values())
    return HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE, checks
