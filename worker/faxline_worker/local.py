"""All parts on one machine, as processes: for the demo, the end-to-end tests and the benchmarks."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

import httpx

from faxline_worker.redis_server import RedisServer, ServerBinary

TOKEN = "local-token"  # noqa: S105 - the sandbox's, of no worth
WEBHOOK_SECRET = "local-secret"  # noqa: S105 - as above
DEFAULT = "default"
DAEMON = "faxline_worker"
START_TIMEOUT = 30.0
STOP_TIMEOUT = 45.0


class PartFailedError(Exception):
    """A process did not start; the text has the end of its log."""


def free_port() -> int:
    """A port of the loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Look again and again until a condition holds (True) or the time is over (False)."""
    pause, until = threading.Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        pause.wait(every)
    return True


def token_of(account: str) -> str:
    """The token that the sandbox takes for an account of `Local`."""
    return TOKEN if account == DEFAULT else f"{TOKEN}-{account}"


class Part:
    """One process, `python -m MODULE ARGUMENTS`, its log in a file."""

    def __init__(
        self, name: str, log: Path, environment: Mapping[str, str], *arguments: str, module: str = DAEMON
    ) -> None:
        self.name = name
        self.log = log
        self._asked = False
        self._file: IO[bytes] = log.open("ab")
        command = [sys.executable, "-m", module, *arguments]
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=self._file, stderr=self._file
        )

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once: a second one would make dramatiq break off what it does."""
        if not self._asked and self.process.poll() is None:
            self.process.terminate()
        self._asked = True

    def stop(self) -> int:
        """End it by SIGTERM, and by SIGKILL where that does not help; its exit code."""
        self.ask_to_stop()
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
        workers, dispatchers: how many of them; 0 starts none.
        webhook: False starts none, and the sandbox sends no webhooks.
        threads: of each worker.
        accounts: their names; each has a token of its own at the sandbox, which always knows `default`.
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
        webhook: bool = True,
        threads: int = 20,
        accounts: Sequence[str] = (DEFAULT,),
        settings: Mapping[str, str] | None = None,
        sandbox: tuple[str, ...] = (),
        binary: ServerBinary | None = None,
    ) -> None:
        self._directory = directory
        self._roles = ["dispatcher"] * dispatchers + ["worker"] * workers + ["webhook"] * webhook
        self._webhook = webhook
        self._threads = threads
        self._accounts = tuple(accounts)
        self._settings = dict(settings or {})
        self._sandbox = sandbox
        self.server = RedisServer(binary=binary)
        self.parts: list[Part] = []
        self.exit_codes: dict[str, int] = {}
        self.metrics: dict[str, int] = {}
        """The monitoring port of each process of the daemon, by its name."""
        self._sandbox_port, self.webhook_port = free_port(), free_port()
        self._http = httpx.Client(  # one, for each new one reads all certificates; no stale connections
            trust_env=False, timeout=10, limits=httpx.Limits(max_keepalive_connections=0)
        )

    @property
    def redis_url(self) -> str:
        """The state's database."""
        return self.server.url(0)

    @property
    def ifax_url(self) -> str:
        """The sandbox's API."""
        return f"http://127.0.0.1:{self._sandbox_port}/v1"

    def __enter__(self) -> Self:
        self.server.start()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for part in self.parts[1:]:  # all at once, the sandbox last: calls under way get their answers
            part.ask_to_stop()
        for part in reversed(self.parts):
            self.exit_codes[part.name] = part.stop()
        self._http.close()
        self.server.close()

    def environment(self) -> dict[str, str]:
        """What the processes are given."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FAXLINE_")}
        values = {
            "REDIS_URL": self.redis_url,
            "IFAX_URL": self.ifax_url,
            "WEBHOOK__HOST": "127.0.0.1",
            "WEBHOOK__PORT": str(self.webhook_port),
        }
        for account in self._accounts:
            values[f"ACCOUNTS__{account.upper()}__TOKEN"] = token_of(account)
            values[f"ACCOUNTS__{account.upper()}__WEBHOOK_SECRETS"] = f'["{WEBHOOK_SECRET}"]'
        values |= self._settings
        return kept | {f"FAXLINE_{name}": value for name, value in values.items()}

    def ledger(self) -> list[dict[str, Any]]:
        """What the sandbox accepted."""
        found: list[dict[str, Any]] = self._look("ledger")
        return found

    def stats(self) -> dict[str, Any]:
        """What the sandbox counted of each account."""
        found: dict[str, Any] = self._look("stats")
        return found

    def arrivals(self) -> dict[str, list[dict[str, Any]]]:
        """Every request that reached the sandbox, by its account."""
        found: dict[str, list[dict[str, Any]]] = self._look("arrivals")
        return found

    def fault(self, action: str, **members: Any) -> None:
        """Have answers of the sandbox go wrong; the members are those of its `Fault`."""
        fault = {"action": action, **members}
        self._http.post(self._page("faults"), json=fault).raise_for_status()

    def start(self, name: str, module: str, *arguments: str, environment: Mapping[str, str]) -> Part:
        """Start a further process, `python -m MODULE ARGUMENTS`, that ends with the context."""
        part = Part(name, self._directory / f"{name}.log", environment, *arguments, module=module)
        self.parts.append(part)
        return part

    def _look(self, page: str) -> Any:
        return self._http.get(self._page(page)).raise_for_status().json()

    def _page(self, page: str) -> str:
        return f"http://127.0.0.1:{self._sandbox_port}/sandbox/{page}"

    def _start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self._sandbox_port), "--token", TOKEN]
        options += [word for name in self._accounts if name != DEFAULT for word in ("--account", name)]
        if self._webhook:
            url = f"http://127.0.0.1:{self.webhook_port}/webhooks/ifax/{{account}}"
            options += ["--webhook-url", url, "--webhook-secret", WEBHOOK_SECRET]
        environment = self.environment()
        self.start("sandbox", DAEMON, "sandbox", *options, *self._sandbox, environment=environment)
        for i, role in enumerate(self._roles, start=1):
            port = free_port()
            name = f"{role}-{i}"
            self.metrics[name] = port
            own = environment | {f"FAXLINE_METRICS__{role.upper()}_PORT": str(port)}
            more = ["--threads", str(self._threads)] if role == "worker" else []
            self.start(name, DAEMON, role, *more, environment=own)
        self._await(self.parts[0], self._page("stats"))
        for part in self.parts[1:]:
            self._await(part, f"http://127.0.0.1:{self.metrics[part.name]}/readyz")
        if self._webhook:
            self._await(self.parts[-1], f"http://127.0.0.1:{self.webhook_port}/readyz")

    def _await(self, part: Part, url: str) -> None:
        def answers() -> bool:
            if part.process.poll() is not None:
                return True
            try:
                return self._http.get(url, timeout=2).is_success
            except httpx.HTTPError:
                return False

        if not wait_for(answers, START_TIMEOUT) or part.process.poll() is not None:
            end = part.log.read_text(errors="replace")[-2000:]
            raise PartFailedError(f"{part.name} did not start:\n{end}")
