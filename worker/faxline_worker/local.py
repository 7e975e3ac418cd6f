"""All parts on one machine, as processes: for the demo and for the end-to-end tests."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from faxline_worker.redis_server import RedisServer, ServerBinary

TOKEN = "local-token"  # noqa: S105 - the sandbox's, of no worth
WEBHOOK_SECRET = "local-secret"  # noqa: S105 - as above
START_TIMEOUT = 30.0
STOP_TIMEOUT = 45.0
_PROGRAM = (sys.executable, "-m", "faxline_worker")


class PartFailedError(Exception):
    """A process did not start; the text has the end of its log."""


def free_port() -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Look again and again until a condition holds (True) or the time is over (False)."""
    pause, rounds = threading.Event(), int(seconds / 0.05)
    for _ in range(rounds):
        if condition():
            return True
        pause.wait(0.05)
    return condition()


class Part:
    """One process that can be ended, killed and started again; all its logs in one file.

    Args:
        name: what it is called.
        log: the file that its output is added to.
        environment: all of its environment.
        command: the program and its arguments.
    """

    process: subprocess.Popen[bytes]
    """The newest process."""

    def __init__(self, name: str, log: Path, environment: Mapping[str, str], command: Sequence[str]) -> None:
        self.name = name
        self.log = log
        self._environment = dict(environment)
        self._command = list(command)
        self.start()

    def start(self) -> None:
        """Start it (again). It leads a process group of its own, with all that it forks."""
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                process_group=0,
            )

    def kill(self) -> None:
        """End it and all that it forked at once (SIGKILL), as a pod that is gone."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """Freeze it and all that it forked (SIGSTOP): connections stay open and nothing is done."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def stop(self) -> int:
        """End it by SIGTERM, and by SIGKILL where that does not help; its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            self.resume()  # a paused process heeds SIGTERM only once it goes on
        try:
            code = self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.kill()  # also what it left behind
        return code

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody of the group is left
            os.killpg(self.process.pid, number)


class Local:
    """A Redis server, the sandbox and the daemon's processes, until the context ends.

    Args:
        directory: where the logs go.
        workers, dispatchers, webhooks: how many of them; the sandbox calls the first webhook.
        threads: of each worker.
        settings: further FAXLINE_ variables, without the prefix.
        sandbox: further options of `faxline-worker sandbox`.
        binary: the Redis server's, chosen by itself when None.
        appendfsync: when the server's append-only file reaches the disk.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        dispatchers: int = 1,
        webhooks: int = 1,
        threads: int = 20,
        settings: Mapping[str, str] | None = None,
        sandbox: tuple[str, ...] = (),
        binary: ServerBinary | None = None,
        appendfsync: Literal["everysec", "always"] = "everysec",
    ) -> None:
        self._directory = directory
        self._roles = ["dispatcher"] * dispatchers + ["worker"] * workers + ["webhook"] * webhooks
        self._threads = threads
        self._settings = dict(settings or {})
        self._sandbox = sandbox
        self.server = RedisServer(binary=binary, appendfsync=appendfsync)
        self.parts: list[Part] = []
        self.exit_codes: dict[str, int] = {}
        self.metrics: dict[str, int] = {}
        """The monitoring port of each process of the daemon, by its name."""
        self._sandbox_port, self.webhook_port = free_port(), free_port()

    @property
    def redis_url(self) -> str:
        """The state's database."""
        return self.server.url(0)

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox listens; the API is below `/v1`."""
        return f"http://127.0.0.1:{self._sandbox_port}"

    def __enter__(self) -> Self:
        self.server.start()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for part in reversed(self.parts):
            self.exit_codes[part.name] = part.stop()
        self.server.close()

    def environment(self) -> dict[str, str]:
        """What the processes are given."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FAXLINE_")}
        values = {
            "REDIS_URL": self.redis_url,
            "IFAX_URL": f"{self.sandbox_url}/v1",
            "ACCOUNTS__DEFAULT__TOKEN": TOKEN,
            "ACCOUNTS__DEFAULT__WEBHOOK_SECRETS": f'["{WEBHOOK_SECRET}"]',
            "WEBHOOK__HOST": "127.0.0.1",
            "WEBHOOK__PORT": str(self.webhook_port),
            **self._settings,
        }
        return kept | {f"FAXLINE_{name}": value for name, value in values.items()}

    def part(self, name: str) -> Part:
        """The part of this name, such as `sandbox` or one of `names`."""
        return next(part for part in self.parts if part.name == name)

    def names(self, role: str) -> list[str]:
        """The parts of a role (dispatcher, worker, webhook)."""
        return [name for name in self.metrics if name.startswith(f"{role}-")]

    def add(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Part:
        """Start another process beside these; it ends with them.

        Args:
            name: what it is called.
            command: the program and its arguments.
            environment: its own; that of the others when None.
        """
        part = Part(name, self._directory / f"{name}.log", environment or self.environment(), command)
        self.parts.append(part)
        return part

    def ready(self, name: str) -> bool:
        """Whether a process of the daemon says that it can work."""
        return _answers(f"http://127.0.0.1:{self.metrics[name]}/readyz")

    def ledger(self) -> list[dict[str, Any]]:
        """What the sandbox accepted."""
        found: list[dict[str, Any]] = self.control("GET", "ledger")
        return found

    def stats(self) -> dict[str, Any]:
        """What the sandbox counted of the account."""
        found: dict[str, Any] = self.control("GET", "stats")
        return found

    def control(self, method: str, page: str, content: Any = None, timeout: float = 10.0) -> Any:
        """Ask the sandbox's control page (docs/sandbox.md), such as `POST faults`."""
        url = f"{self.sandbox_url}/sandbox/{page}"
        with httpx.Client(trust_env=False, timeout=timeout) as client:
            return client.request(method, url, json=content).raise_for_status().json()

    def _start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        webhook = f"http://127.0.0.1:{self.webhook_port}/webhooks/ifax/default"
        options = ["--port", str(self._sandbox_port), "--token", TOKEN, "--webhook-url", webhook]
        options += ["--webhook-secret", WEBHOOK_SECRET, *self._sandbox]
        sandbox = self.add("sandbox", [*_PROGRAM, "sandbox", *options])
        for i, role in enumerate(self._roles, start=1):
            self._add(f"{role}-{i}", role)
        _await(sandbox, f"{self.sandbox_url}/sandbox/stats")
        for name, port in self.metrics.items():
            _await(self.part(name), f"http://127.0.0.1:{port}/readyz")
        if self.names("webhook"):
            _await(self.part(self.names("webhook")[0]), f"http://127.0.0.1:{self.webhook_port}/readyz")

    def _add(self, name: str, role: str) -> None:
        """Start a process of the daemon."""
        port = self.metrics[name] = free_port()
        own = self.environment() | {f"FAXLINE_METRICS__{role.upper()}_PORT": str(port)}
        if role == "webhook" and self.names("webhook")[0] != name:
            own["FAXLINE_WEBHOOK__PORT"] = str(free_port())
        more = ["--threads", str(self._threads)] if role == "worker" else []
        self.add(name, [*_PROGRAM, role, *more], own)


def _await(part: Part, url: str) -> None:
    """Wait until a part answers.

    Raises:
        PartFailedError: it ended, or did not answer in time.
    """
    if not wait_for(lambda: part.process.poll() is not None or _answers(url), START_TIMEOUT) or (
        part.process.poll() is not None
    ):
        end = part.log.read_text(errors="replace")[-2000:]
        raise PartFailedError(f"{part.name} did not start:\n{end}")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False, timeout=2).is_success
    except httpx.HTTPError:
        return False
