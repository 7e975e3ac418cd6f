"""All parts on one machine, as processes: for the demo and for the end-to-end tests."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Self

import httpx

from faxline_worker.redis_server import RedisServer, ServerBinary

TOKEN = "local-token"  # noqa: S105 - the sandbox's, of no worth
WEBHOOK_SECRET = "local-secret"  # noqa: S105 - as above
START_TIMEOUT = 30.0
STOP_TIMEOUT = 45.0


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
    """One process, its log in a file."""

    def __init__(self, name: str, log: Path, environment: Mapping[str, str], *arguments: str) -> None:
        self.name = name
        self.log = log
        self._file: IO[bytes] = log.open("ab")
        self._ending = False
        command = [sys.executable, "-m", "faxline_worker", *arguments]
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=self._file, stderr=self._file
        )

    def end(self) -> None:
        """Tell it to end, once: a second SIGTERM would cut a worker's calls."""
        if not self._ending and self.process.poll() is None:
            self._ending = True
            self.process.terminate()

    def stop(self) -> int:
        """End it by SIGTERM, and by SIGKILL where that does not help; its exit code."""
        self.end()
        try:
            code = self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self._file.close()
        return code


class Local:
    """A Redis server, the sandbox and the daemon's processes, until the context ends.

    Args:
        directory: where the logs go.
        workers, dispatchers: how many of them.
        threads: of each worker.
        settings: further FAXLINE_ variables, without the prefix.
        sandbox: further options of `faxline-worker sandbox`.
        binary: the Redis server's, chosen by itself when None.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        dispatchers: int = 1,
        threads: int = 20,
        settings: Mapping[str, str] | None = None,
        sandbox: tuple[str, ...] = (),
        binary: ServerBinary | None = None,
    ) -> None:
        self._directory = directory
        self._roles = ["dispatcher"] * dispatchers + ["worker"] * workers + ["webhook"]
        self._threads = threads
        self._settings = dict(settings or {})
        self._sandbox = sandbox
        self.server = RedisServer(binary=binary)
        self.parts: list[Part] = []
        self.exit_codes: dict[str, int] = {}
        self.metrics: dict[str, int] = {}
        """The monitoring port of each process of the daemon, by its name."""
        self._sandbox_port, self.webhook_port = free_port(), free_port()

    @property
    def redis_url(self) -> str:
        """The state's database."""
        return self.server.url(0)

    def __enter__(self) -> Self:
        self.server.start()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for part in self.parts[1:]:  # all at once, but for the sandbox, which answers the last calls
            part.end()
        for part in reversed(self.parts):
            self.exit_codes[part.name] = part.stop()
        self.server.close()

    def environment(self) -> dict[str, str]:
        """What the processes are given."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FAXLINE_")}
        values = {
            "REDIS_URL": self.redis_url,
            "IFAX_URL": f"http://127.0.0.1:{self._sandbox_port}/v1",
            "ACCOUNTS__DEFAULT__TOKEN": TOKEN,
            "ACCOUNTS__DEFAULT__WEBHOOK_SECRETS": f'["{WEBHOOK_SECRET}"]',
            "WEBHOOK__HOST": "127.0.0.1",
            "WEBHOOK__PORT": str(self.webhook_port),
            **self._settings,
        }
        return kept | {f"FAXLINE_{name}": value for name, value in values.items()}

    def ledger(self) -> list[dict[str, Any]]:
        """What the sandbox accepted."""
        found: list[dict[str, Any]] = self._look("ledger")
        return found

    def stats(self) -> dict[str, Any]:
        """What the sandbox counted of the account."""
        found: dict[str, Any] = self._look("stats")
        return found

    def _look(self, page: str) -> Any:
        url = f"http://127.0.0.1:{self._sandbox_port}/sandbox/{page}"
        return httpx.get(url, trust_env=False, timeout=10).raise_for_status().json()

    def _start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        webhook = f"http://127.0.0.1:{self.webhook_port}/webhooks/ifax/default"
        options = ["--port", str(self._sandbox_port), "--token", TOKEN, "--webhook-url", webhook]
        options += ["--webhook-secret", WEBHOOK_SECRET, *self._sandbox]
        environment = self.environment()
        self._add("sandbox", environment, "sandbox", *options)
        for i, role in enumerate(self._roles, start=1):
            port = free_port()
            name = f"{role}-{i}"
            self.metrics[name] = port
            own = environment | {f"FAXLINE_METRICS__{role.upper()}_PORT": str(port)}
            self._add(name, own, role, *(["--threads", str(self._threads)] if role == "worker" else []))
        self._await(self.parts[0], f"http://127.0.0.1:{self._sandbox_port}/sandbox/stats")
        for part in self.parts[1:]:
            self._await(part, f"http://127.0.0.1:{self.metrics[part.name]}/readyz")
        self._await(self.parts[-1], f"http://127.0.0.1:{self.webhook_port}/readyz")

    def _add(self, name: str, environment: Mapping[str, str], *arguments: str) -> None:
        self.parts.append(Part(name, self._directory / f"{name}.log", environment, *arguments))

    def _await(self, part: Part, url: str) -> None:
        def answers() -> bool:
            if part.process.poll() is not None:
                return True
            try:
                return httpx.get(url, trust_env=False, timeout=2).is_success
            except httpx.HTTPError:
                return False

        if not wait_for(answers, START_TIMEOUT) or part.process.poll() is not None:
            end = part.log.read_text(errors="replace")[-2000:]
            raise PartFailedError(f"{part.name} did not start:\n{end}")
