"""Runs all of Faxline on one machine, as processes, for the demo, tests, benchmarks and chaos runs."""

import os
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from faxline_local.processes import Part, free_port
from faxline_local.redis_access import ADMIN, Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary

TOKEN = "local-token"  # noqa: S105 - the sandbox's, of no worth
WEBHOOK_SECRET = "local-secret"  # noqa: S105 - as above
DEFAULT = "default"
ARCHIVES = 0 if find_spec("sqlalchemy") is None else 1
"""How many archives run where all of Faxline is to run: none without the extra `archive`."""
_PROGRAM = (sys.executable, "-m", "faxline_worker")


def token_of(account: str) -> str:
    """The token of an account of `Local` at the sandbox."""
    return TOKEN if account == DEFAULT else f"{TOKEN}-{account}"


def webhook_secret_of(account: str) -> str:
    """The secret with which the sandbox signs the webhooks of an account of `Local`."""
    return WEBHOOK_SECRET if account == DEFAULT else f"{WEBHOOK_SECRET}-{account}"


class Local:
    """A Redis server, the sandbox and the daemon's processes, until the context ends.

    Args:
        directory: the folder of the logs.
        workers, dispatchers, webhooks, archives: the number of each. The sandbox calls the first webhook, if
            any. Archives share a SQLite file in the same folder.
        threads: the threads of each worker.
        accounts: the accounts' names. Each has a token and a secret of its own at the sandbox, which always
            knows `default`.
        settings: further FAXLINE_ variables, without the prefix.
        sandbox: further options of `faxline-worker sandbox`.
        binary: the Redis server to run; None takes `choose_server()`.
        appendfsync: when the server's append-only file is written to disk.
        access: the server's users and its TLS. Each process is the user of its role. None: no users, no TLS.
        server_environment: further environment variables of the Redis server.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        dispatchers: int = 1,
        webhooks: int = 1,
        archives: int = 0,
        threads: int = 20,
        accounts: Sequence[str] = (DEFAULT,),
        settings: Mapping[str, str] | None = None,
        sandbox: tuple[str, ...] = (),
        binary: ServerBinary | None = None,
        appendfsync: Literal["everysec", "always"] = "everysec",
        access: Access | None = None,
        server_environment: Mapping[str, str] | None = None,
    ) -> None:
        self._directory = directory
        numbers = {"dispatcher": dispatchers, "worker": workers, "webhook": webhooks, "archive": archives}
        self._roles = [role for role, number in numbers.items() for _ in range(number)]
        self._threads = threads
        self.accounts = tuple(accounts)
        self._settings = dict(settings or {})
        self._sandbox = sandbox
        self.server = RedisServer(
            binary=binary, appendfsync=appendfsync, access=access, environment=server_environment
        )
        self.parts: list[Part] = []
        self.exit_codes: dict[str, int] = {}
        self.metrics: dict[str, int] = {}
        """The monitoring port of each process of the daemon, by its name."""
        self.sandbox_port, self.webhook_port = free_port(), free_port()
        self._ifax_port = self.sandbox_port
        self.archive_url = f"sqlite:///{directory.absolute() / 'archive.db'}"
        # One client, because each new one reads all certificates. It keeps no connections; they may be stale.
        self._http = httpx.Client(
            trust_env=False, timeout=10, limits=httpx.Limits(max_keepalive_connections=0)
        )

    @property
    def servers(self) -> list[RedisServer]:
        """The servers that hold the state."""
        return [self.server]

    @property
    def redis_url(self) -> str:
        """The URL of the state's database, for the administrator if the server has users."""
        return self.url_of(ADMIN)

    def url_of(self, user: str, db: int = 0) -> str:
        """The server's URL for a user such as `producer` or `operator`.

        Args:
            user: one of the server's users; ignored if it has none.
            db: the logical database: 0 for the state, 1 for the broker.
        """
        return self.server.url(db, user)

    @property
    def sandbox_url(self) -> str:
        """The sandbox's URL."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def ifax_url(self) -> str:
        """The URL by which the workers reach the sandbox's API."""
        return f"http://127.0.0.1:{self._ifax_port}/v1"

    def reach_ifax(self, port: int) -> None:
        """Let the processes reach the sandbox through another port of this machine, such as a relay's."""
        self._ifax_port = port

    def __enter__(self) -> Self:
        self.server.start()
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for part in self.parts[1:]:  # the sandbox last, so that calls under way get their answers
            part.ask_to_stop()
        for part in reversed(self.parts):
            self.exit_codes[part.name] = part.stop()
        self._http.close()
        self.server.close()

    def environment(self, user: str = ADMIN) -> dict[str, str]:
        """The environment of a process that uses the server as this user."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FAXLINE_")}
        values = {
            "REDIS_URL": self.url_of(user),
            "IFAX_URL": self.ifax_url,
            "WEBHOOK__HOST": "127.0.0.1",
            "WEBHOOK__PORT": str(self.webhook_port),
            "ARCHIVE__URL": self.archive_url,
        }
        for account in self.accounts:
            values[f"ACCOUNTS__{account.upper()}__TOKEN"] = token_of(account)
            values[f"ACCOUNTS__{account.upper()}__WEBHOOK_SECRETS"] = f'["{webhook_secret_of(account)}"]'
        values |= self._settings
        given = {name: value for name, value in values.items() if f"{name}_FILE" not in values}  # or an error
        return kept | {f"FAXLINE_{name}": value for name, value in given.items()}

    def part(self, name: str) -> Part:
        """Find a process by its name, such as `sandbox` or one of `names`."""
        return next(part for part in self.parts if part.name == name)

    def names(self, role: str) -> list[str]:
        """The names of a role's processes (dispatcher, worker, webhook)."""
        return [name for name in self.metrics if name.startswith(f"{role}-")]

    def add(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> Part:
        """Start another process, which ends with the others.

        Args:
            name: the process's name.
            command: the program and its arguments.
            environment: its whole environment; None takes that of the others.
        """
        part = Part(name, self._directory / f"{name}.log", environment or self.environment(), command)
        self.parts.append(part)
        return part

    def ready(self, name: str) -> bool:
        """Whether a process of the daemon is ready."""
        return self._answers(f"http://127.0.0.1:{self.metrics[name]}/readyz")

    def ledger(self) -> list[dict[str, Any]]:
        """The faxes that the sandbox accepted."""
        found: list[dict[str, Any]] = self.control("GET", "ledger")
        return found

    def stats(self) -> dict[str, Any]:
        """The sandbox's counts by account."""
        found: dict[str, Any] = self.control("GET", "stats")
        return found

    def arrivals(self) -> dict[str, list[dict[str, Any]]]:
        """Every request that reached the sandbox, by account."""
        found: dict[str, list[dict[str, Any]]] = self.control("GET", "arrivals")
        return found

    def control(self, method: str, page: str, content: Any = None, timeout: float = 10.0) -> Any:
        """Call a control page of the sandbox (docs/sandbox.md), such as `POST faults`."""
        url = f"{self.sandbox_url}/sandbox/{page}"
        return self._http.request(method, url, json=content, timeout=timeout).raise_for_status().json()

    def _start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self.sandbox_port), "--token", TOKEN]
        options += [word for name in self.accounts if name != DEFAULT for word in ("--account", name)]
        if "webhook" in self._roles:
            url = f"http://127.0.0.1:{self.webhook_port}/webhooks/ifax/{{account}}"
            options += ["--webhook-url", url, "--webhook-secret", WEBHOOK_SECRET]
        sandbox = self.add("sandbox", [*_PROGRAM, "sandbox", *options, *self._sandbox])
        for i, role in enumerate(self._roles, start=1):
            self._add(f"{role}-{i}", role)
        sandbox.await_start(lambda: self._answers(f"{self.sandbox_url}/sandbox/stats"))
        for name in self.metrics:
            self.part(name).await_start(partial(self.ready, name))
        if self.names("webhook"):
            first = self.part(self.names("webhook")[0])
            first.await_start(lambda: self._answers(f"http://127.0.0.1:{self.webhook_port}/readyz"))

    def _add(self, name: str, role: str) -> None:
        """Start a process of the daemon."""
        port = self.metrics[name] = free_port()
        own = self.environment(role) | {f"FAXLINE_METRICS__{role.upper()}_PORT": str(port)}
        if role == "webhook" and self.names("webhook")[0] != name:
            own["FAXLINE_WEBHOOK__PORT"] = str(free_port())
        more = ["--threads", str(self._threads)] if role == "worker" else []
        self.add(name, [*_PROGRAM, role, *more], own)

    def _answers(self, url: str) -> bool:
        try:
            return self._http.get(url, timeout=2).is_success
        except httpx.HTTPError:
            return False
