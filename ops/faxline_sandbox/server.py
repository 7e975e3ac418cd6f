"""The sandbox on a socket: as a process, or inside a test."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from types import FrameType, TracebackType
from typing import Any, Self, TypeVar

import uvicorn

from faxline_sandbox.app import BASE_PATH, create_app
from faxline_sandbox.config import SandboxConfig
from faxline_sandbox.connection import SandboxProtocol
from faxline_sandbox.control import check_lines, read_outcomes
from faxline_sandbox.faults import Action, Fault, WebhookAction, WebhookFault
from faxline_sandbox.inbound import InboundFax
from faxline_sandbox.outcomes import Outcome
from faxline_sandbox.sandbox import Sandbox

_T = TypeVar("_T")
Outcomes = Outcome | Mapping[str, Any] | str
"""An outcome, its members, the digits of a magic number, or the name of a cause."""

BACKLOG = 2048
SHUTDOWN_SECONDS = 3
"""How long (s) requests under way may take at the end."""

_log = logging.getLogger("faxline_sandbox")


def serve(config: SandboxConfig) -> None:
    """Run a sandbox until SIGTERM or SIGINT, then return.

    Raises:
        OSError: the port is taken, or the address is not available. The message names both.
    """
    listener = _listen(config)
    server = _Server(config)
    _log.info("sandbox listens on %s", _url(config, listener))
    server.run(sockets=[listener])
    _log.info("sandbox stopped")


class SandboxServer:
    """A sandbox for a test, in its own thread and event loop, for the time of a `with`.

    Args:
        config: port 0 (the default) takes a free one.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._server = _Server(config)
        self._thread = threading.Thread(target=self._run, name="ifax-sandbox", daemon=True)
        self._listener: socket.socket
        self._failure: BaseException | None = None
        self.url = ""
        """The API's base, such as `http://127.0.0.1:40001/v1`."""

    def __enter__(self) -> Self:
        self._listener = _listen(self._config)
        self.url = _url(self._config, self._listener)
        self._thread.start()
        self._server.ready.wait()
        if self._failure is not None:
            raise RuntimeError("the sandbox did not start") from self._failure
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join()

    @property
    def control_url(self) -> str:
        """The control page's base, such as `http://127.0.0.1:40001/sandbox`."""
        return self.url.removesuffix(BASE_PATH) + "/sandbox"

    def ledger(self, *, subject: str | None = None, number: str | None = None) -> list[dict[str, Any]]:
        """The accepted faxes in order, all or those with a subject or a recipient."""
        return self._ask(lambda sandbox: sandbox.faxes(subject, number))

    def stats(self) -> dict[str, Any]:
        """Every account's statistics by its label."""
        return self._ask(lambda sandbox: sandbox.customers.stats())

    def arrivals(self) -> dict[str, list[dict[str, Any]]]:
        """Every account's requests by its label: `at` in Unix seconds, and the `limit` it broke or None."""
        return self._ask(lambda sandbox: sandbox.customers.arrivals())

    def fault(self, action: Action, **members: Any) -> None:
        """Script a fault of an answer; the members are those of `Fault`.

        Raises:
            FaultError: a member is wrong.
        """
        fault = Fault(action, **members)
        self._ask(lambda sandbox: sandbox.faults.add(fault))

    def webhook_fault(self, action: WebhookAction, **members: Any) -> None:
        """Script a fault of a webhook; the members are those of `WebhookFault`.

        Raises:
            FaultError: a member is wrong.
        """
        fault = WebhookFault(action, **members)
        self._ask(lambda sandbox: sandbox.webhook_faults.add(fault))

    def clear_faults(self) -> None:
        """Remove all faults of answers and webhooks."""
        self._ask(lambda sandbox: sandbox.faults.clear())
        self._ask(lambda sandbox: sandbox.webhook_faults.clear())

    def number(self, number: str, outcome: Outcomes | Sequence[Outcomes] | None) -> None:
        """Set the outcomes of faxes to a number.

        Args:
            number: E.164.
            outcome: one outcome, or several one after the other. The number's own follows those with `times`.
                None restores its own, from the beginning.

        Raises:
            FaultError: an outcome is not valid.
        """
        outcomes = () if outcome is None else read_outcomes(outcome)
        self._ask(lambda sandbox: sandbox.numbers.give(number, outcomes))

    def lines(self, number: str, lines: int | None) -> None:
        """Set how many faxes a number receives at once.

        Args:
            number: E.164.
            lines: 0 means no limit; None restores the default of the configuration.

        Raises:
            FaultError: the lines are less than 0.
        """
        checked = None if lines is None else check_lines(lines)
        self._ask(lambda sandbox: sandbox.lines.give(number, checked))

    def inbound(self, label: str = "default", **members: Any) -> int:
        """Let an account receive a fax, and return its jobId. The members are those of the control page.

        Raises:
            FaultError: a member is wrong.
            ConfigError: there is no such account.
        """

        def come_in(sandbox: Sandbox) -> int:
            fax = InboundFax.read(members, sandbox.ledger.next_job_id(), time.time())
            sandbox.receive(label, fax)
            return fax.job_id

        return self._ask(come_in)

    def plan(self, active: bool, label: str = "default") -> None:
        """Set whether an account's plan is active, for the profile `field`.

        Raises:
            ConfigError: there is no such account.
        """
        self._ask(lambda sandbox: sandbox.customers.give_plan(label, active=active))

    def drain(self, timeout: float = 30.0) -> None:
        """Wait until every call and webhook has ended.

        Raises:
            TimeoutError: that takes longer than `timeout` seconds.
        """
        sandbox = self._server.sandbox
        drained = asyncio.run_coroutine_threadsafe(sandbox.calls.drain(timeout), sandbox.loop).result()
        if not drained:
            raise TimeoutError(f"{sandbox.calls.pending} calls or webhooks are not over after {timeout:g} s")

    def _ask(self, question: Callable[[Sandbox], _T]) -> _T:
        """Run a function in the sandbox's thread or, once that has ended, in this one."""
        sandbox = self._server.sandbox
        if not self._thread.is_alive():
            return question(sandbox)

        async def ask() -> _T:
            return question(sandbox)

        return asyncio.run_coroutine_threadsafe(ask(), sandbox.loop).result()

    def _run(self) -> None:
        try:
            self._server.run(sockets=[self._listener])
        except BaseException as error:  # noqa: BLE001 - it is raised in the thread that waits
            self._failure = error
        finally:
            self._listener.close()
            self._server.ready.set()


class _Server(uvicorn.Server):
    """uvicorn without logs, with our protocol. It ends without waiting for requests that hang on purpose."""

    def __init__(self, config: SandboxConfig) -> None:
        app = create_app(config)
        self.sandbox: Sandbox = app.state.sandbox
        self.ready = threading.Event()
        super().__init__(
            uvicorn.Config(
                app,
                http=SandboxProtocol,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
            )
        )

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then signal that the server listens."""
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what hangs, then the rest."""
        self.sandbox.stopping.set()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End on a signal, without raising it again afterwards: `serve` returns."""
        del sig, frame
        self.should_exit = True


def _listen(config: SandboxConfig) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    # asyncio turns Nagle's delay (40 ms a request) off only if the protocol is named.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        message = (
            f"port {config.port} of {config.host}: {error.strerror or error}; free it, or choose another"
        )
        raise OSError(error.errno, message) from error
    return listener


def _url(config: SandboxConfig, listener: socket.socket) -> str:
    host = f"[{config.host}]" if ":" in config.host else config.host
    return f"http://{host}:{listener.getsockname()[1]}{BASE_PATH}"
