"""All parts on one machine, as processes: for the demo, end-to-end tests, benchmarks and the chaos."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

import httpx

from faxline_local.processes import Part, PartFailedError, free_port, wait_for
from faxline_local.redis_access import ADMIN, Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary

TOKEN = "local-token"  # noqa: S105 - the sandbox's, of no worth
WEBHOOK_SECRET = "local-secret"  # noqa: S105 - as above
DEFAULT = "default"
START_TIMEOUT = 30.0
_PROGRAM = (sys.executable, "-m", "faxline_worker")


def token_of(account: str) -> str:
    """The token that the sandbox takes for an account of `Local`."""
    return TOKEN if account == DEFAULT else f"{TOKEN}-{account}"


def webhook_secret_of(account: str) -> str:
    """What the sandbox signs the webhooks of an account of `Local` with."""
    return WEBHOOK_SECRET if account == DEFAULT else f"{WEBHOOK_SECRET}-{account}"


class Local:
    """A Redis server, the sandbox and the daemon's processes, until the context ends.

    Args:
        directory: where the logs go.
        workers, dispatchers, webhooks: how many of them; the sandbox calls the first webhook, or nobody.
        threads: of each worker.
        accounts: their names; each has a token and a secret of its own at the sandbox, which always knows
            `default`.
        settings: further FAXLINE_ variables, without the prefix.
        sandbox: further options of `faxline-worker sandbox`.
        binary: the Redis server's, chosen by itself when None.
        appendfsync: when the server's append-only file reaches the disk.
        access: the server's users, of whom each part is the one of its role, and its TLS; none when None.
        server_environment: further variables of the Redis server's process.
    """

    def __init__(
        self,
        directory: Path,
        *,
        workers: int = 1,
        dispatchers: int = 1,
        webhooks: int = 1,
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
        self._roles = ["dispatcher"] * dispatchers + ["worker"] * workers + ["webhook"] * webhooks
        self._threads = threads
        self._accounts = tuple(accounts)
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
        self._http = httpx.Client(  # one, for each new one reads all certificates; no stale connections
            trust_env=False, timeout=10, limits=httpx.Limits(max_keepalive_connections=0)
        )

    @property
    def redis_url(self) -> str:
        """The state's database; where the server has users, its administrator's."""
        return self.url_of(ADMIN)

    def url_of(self, user: str, db: int = 0) -> str:
        """The server for a user such as `producer` or `operator`; anybody's without users.

        Args:
            user: one of its users.
            db: the logical database: 0 is the state's, 1 the broker's.
        """
        return self.server.url(db, user)

    @property
    def sandbox_url(self) -> str:
        """Where the sandbox listens."""
        return f"http://127.0.0.1:{self.sandbox_port}"

    @property
    def ifax_url(self) -> str:
        """The sandbox's API, as the workers reach it."""
        return f"http://127.0.0.1:{self._ifax_port}/v1"

    def reach_ifax(self, port: int) -> None:
        """Have the processes reach the sandbox by another port of this machine, such as a relay's."""
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
        for part in self.parts[1:]:  # all at once, the sandbox last: calls under way get their answers
            part.ask_to_stop()
        for part in reversed(self.parts):
            self.exit_codes[part.name] = part.stop()
        self._http.close()
        self.server.close()

    def environment(self, user: str = ADMIN) -> dict[str, str]:
        """What the processes are given, as a user of the server."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("FAXLINE_")}
        values = {
            "REDIS_URL": self.url_of(user),
            "IFAX_URL": self.ifax_url,
            "WEBHOOK__HOST": "127.0.0.1",
            "WEBHOOK__PORT": str(self.webhook_port),
        }
        for account in self._accounts:
            values[f"ACCOUNTS__{account.upper()}__TOKEN"] = token_of(account)
            values[f"ACCOUNTS__{account.upper()}__WEBHOOK_SECRETS"] = f'["{webhook_secret_of(account)}"]'
        values |= self._settings
        # A setting that is given by its file as well is an error.
        given = {name: value for name, value in values.items() if f"{name}_FILE" not in values}
        return kept | {f"FAXLINE_{name}": value for name, value in given.items()}

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
        return self._answers(f"http://127.0.0.1:{self.metrics[name]}/readyz")

    def ledger(self) -> list[dict[str, Any]]:
        """What the sandbox accepted."""
        found: list[dict[str, Any]] = self.control("GET", "ledger")
        return found

    def stats(self) -> dict[str, Any]:
        """What the sandbox counted of each account."""
        found: dict[str, Any] = self.control("GET", "stats")
        return found

    def arrivals(self) -> dict[str, list[dict[str, Any]]]:
        """Every request that reached the sandbox, by its account."""
        found: dict[str, list[dict[str, Any]]] = self.control("GET", "arrivals")
        return found

    def control(self, method: str, page: str, content: Any = None, timeout: float = 10.0) -> Any:
        """Ask the sandbox's control page (docs/sandbox.md), such as `POST faults`."""
        url = f"{self.sandbox_url}/sandbox/{page}"
        return self._http.request(method, url, json=content, timeout=timeout).raise_for_status().json()

    def _start(self) -> None:
        self._directory.mkdir(parents=True, exist_ok=True)
        options = ["--port", str(self.sandbox_port), "--token", TOKEN]
        options += [word for name in self._accounts if name != DEFAULT for word in ("--account", name)]
        if "webhook" in self._roles:
            url = f"http://127.0.0.1:{self.webhook_port}/webhooks/ifax/{{account}}"
            options += ["--webhook-url", url, "--webhook-secret", WEBHOOK_SECRET]
        sandbox = self.add("sandbox", [*_PROGRAM, "sandbox", *options, *self._sandbox])
        for i, role in enumerate(self._roles, start=1):
            self._add(f"{role}-{i}", role)
        self._await(sandbox, f"{self.sandbox_url}/sandbox/stats")
        for name, port in self.metrics.items():
            self._await(self.part(name), f"http://127.0.0.1:{port}/readyz")
        if self.names("webhook"):
            self._await(self.part(self.names("webhook")[0]), f"http://127.0.0.1:{self.webhook_port}/readyz")

    def _add(self, name: str, role: str) -> None:
        """Start a process of the daemon."""
        port = self.metrics[name] = free_port()
        own = self.environment(role) | {f"FAXLINE_METRICS__{role.upper()}_PORT": str(port)}
        if role == "webhook" and self.names("webhook")[0] != name:
            own["FAXLINE_WEBHOOK__PORT"] = str(free_port())
        more = ["--threads", str(self._threads)] if role == "worker" else []
        self.add(name, [*_PROGRAM, role, *more], own)

    def _await(self, part: Part, url: str) -> None:
        """Wait until a part answers.

        Raises:
            PartFailedError: it ended, or did not answer in time.
        """

        def settled() -> bool:
            return part.process.poll() is not None or self._answers(url)

        if not wait_for(settled, START_TIMEOUT) or part.process.poll() is not None:
            end = part.log.read_text(errors="replace")[-2000:]
            raise PartFailedError(f"{part.name} did not start:\n{end}")

    def _answers(self, url: str) -> bool:
        try:
            return self._http.get(url, timeout=2).is_success
        except httpx.HTTPError:
            return False
