"""An embedded Redis or Valkey server for the demo and the tests.

It ends with its owner, even if the owner is killed: see `supervisor.py`.
"""

import re
import shutil
import signal
import socket
import ssl
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from faxline_local.processes import free_port
from faxline_local.redis_access import Access
from faxline_local.server_binaries import RedisServerError, ServerBinary, choose_server
from faxline_local.supervisor import Supervisor

_OPTIONS = {
    "bind": "127.0.0.1",
    "protected-mode": "yes",
    "logfile": "",  # to standard output, so that one file has all output
    "save": "",
    "appendonly": "yes",
    "aof-load-truncated": "no",
    "maxmemory-policy": "noeviction",
    "hash-max-listpack-value": "1024",
    "proto-max-bulk-len": "32mb",
}
_START_SECONDS = 30.0
_PORTS_TRIED = 20


class RedisServer:
    """A server on a free loopback port, with a directory of its own, that ends with this process.

    It keeps an append-only file, evicts nothing and saves no snapshots, like Faxline's production server. Use
    it as a context manager: leaving it ends the server and removes its directory. Not thread-safe.

    Args:
        binary: the server to run; None takes `choose_server()`.
        appendfsync: when the append-only file is written to disk.
        access: its users and its TLS; None allows anybody, without TLS.
        options: further configuration options.
        environment: further environment variables.
    """

    port: int
    """The TCP port on 127.0.0.1; the same after a restart."""
    pid: int
    """The server's process id; after a stop, the last one."""
    log: Path
    """The server's log and standard output; removed with the directory."""
    directory: Path
    """The server's own directory, with its append-only file."""

    def __init__(
        self,
        *,
        binary: ServerBinary | None = None,
        appendfsync: Literal["everysec", "always"] = "everysec",
        access: Access | None = None,
        options: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.binary = binary or choose_server()
        self._options = dict(options or {})
        self._environment = dict(environment or {})
        self.access = access
        self._appendfsync = appendfsync
        self.frozen = False
        """Whether it is paused."""
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the server on a free port and wait until it answers.

        Raises:
            RedisServerError: the server is started already, ended at once or did not answer within 30 s. The
                message has the end of its log.
        """
        if self._supervisor is not None:
            raise RedisServerError("the server is started already: close() it first, or restart() it")
        self._supervisor = Supervisor()
        try:
            self.directory = self._supervisor.directory()
            self.log = self.directory / "server.log"
            if self.access is not None:
                self._rules.write_text(self.access.rules)
            self._run_on_a_free_port()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the server and its supervisor, and remove the directory. Does nothing if none runs."""
        supervisor, self._supervisor = self._supervisor, None
        if supervisor is not None:
            supervisor.end()

    def url(self, db: int = 0, user: str = "admin") -> str:
        """The URL of a logical database, such as `redis://127.0.0.1:36379/0`, for a user if it has users."""
        place = f"127.0.0.1:{self.port}"
        return f"redis://{place}/{db}" if self.access is None else self.access.url(user, place, db)

    @property
    def _rules(self) -> Path:
        """The ACL file."""
        return self.directory / "users.acl"

    @property
    def running(self) -> bool:
        """Whether the server process exists, even if it is frozen."""
        return self._supervisor is not None and self._order(do="poll")["code"] is None

    def stop(self) -> None:
        """Shut the server down cleanly (SIGTERM; SIGKILL after 10 s); the directory stays for `restart`."""
        self._order(do="end", signal=signal.SIGTERM)

    def kill(self) -> None:
        """End the server as a crash would (SIGKILL); the directory stays for `restart`."""
        self._order(do="end", signal=signal.SIGKILL)

    def restart(self) -> None:
        """Start the server again on the same port and data, shutting it down first if it runs.

        Raises:
            RedisServerError: see `start`; also if another process has taken the port meanwhile.
        """
        self.stop()
        if not self._run():
            raise RedisServerError(
                f"port {self.port} was taken by another process: restart() needs the same port"
            )

    def copy_data(self, folder: Path) -> None:
        """Copy the server's files, as a backup does. The server is frozen meanwhile."""
        self.pause()
        try:
            shutil.copytree(self.directory, folder)
        finally:
            self.resume()

    def restore_data(self, folder: Path) -> None:
        """Kill the server and replace its files with a copy. `restart` starts it with them."""
        self.kill()
        for entry in self.directory.iterdir():
            if entry != self.log:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        shutil.copytree(
            folder, self.directory, ignore=shutil.ignore_patterns(self.log.name), dirs_exist_ok=True
        )

    def pause(self) -> None:
        """Freeze the server (SIGSTOP): connections stay open and nothing is answered."""
        self._order(do="signal", signal=signal.SIGSTOP)
        self.frozen = True

    def resume(self) -> None:
        """Resume a frozen server (SIGCONT)."""
        self._order(do="signal", signal=signal.SIGCONT)
        self.frozen = False

    def _command(self) -> list[str]:
        options = _OPTIONS | {
            "port": str(self.port),
            "dir": str(self.directory),
            "appendfsync": self._appendfsync,
        }
        if self.access is not None:
            options |= self.access.options(self.port, self._rules)
        options |= self._options
        return [
            str(self.binary.path),
            *(word for name, value in options.items() for word in (f"--{name}", value)),
        ]

    def _run_on_a_free_port(self) -> None:
        for _ in range(_PORTS_TRIED):  # another process may take the port before the server has it
            self.port = free_port()
            if self._run():
                return
        raise RedisServerError(f"{_PORTS_TRIED} free ports were taken by others before the server had them")

    def _run(self) -> bool:
        """Start the server on `self.port`; False if the port was taken by another process."""
        logged = self.log.stat().st_size if self.log.exists() else 0
        order = {"command": self._command(), "environment": self._environment, "log": str(self.log)}
        self.pid, self.frozen = self._order(do="start", **order)["pid"], False
        give_up = time.monotonic() + _START_SECONDS
        while time.monotonic() < give_up:
            if self._answers():
                return True
            if not self.running:
                said = self.log.read_bytes()[logged:].decode(errors="replace")
                if "Address already in use" in said:
                    return False
                raise RedisServerError(f"{self.binary.path} ended at once; its log ends: {said[-2000:]}")
            time.sleep(0.01)
        self.kill()
        raise RedisServerError(
            f"{self.binary.path} did not answer on port {self.port} in {_START_SECONDS:g} s"
        )

    def _answers(self) -> bool:
        return _is_answered(self.port, self.pid, self.access)

    def _order(self, **order: Any) -> dict[str, Any]:
        if self._supervisor is None:
            raise RedisServerError("the server is not started: use `with RedisServer() as server`")
        return self._supervisor.order(**order)


def _is_answered(port: int, pid: int, access: Access | None) -> bool:
    """Whether the server with this process id answers PING, and not another one that took the port."""
    login = f"AUTH admin {access.passwords['admin']}\r\n" if access is not None else ""
    try:
        with _connected(port, access) as link:
            link.sendall(f"{login}PING\r\nINFO server\r\n".encode())
            said = b""
            while re.search(rb"process_id:\d+\r\n", said) is None:
                if not (chunk := link.recv(65536)):
                    return False
                said += chunk
    except OSError:
        return False
    # Otherwise it says -LOADING, or belongs to another process.
    begins = b"+OK\r\n+PONG" if login else b"+PONG"
    return said.startswith(begins) and f"process_id:{pid}\r\n".encode() in said


def _connected(port: int, access: Access | None) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port), timeout=1)
    if access is None or access.tls is None:
        return link
    try:
        trust = ssl.create_default_context(cafile=str(access.tls.authority))
        return trust.wrap_socket(link, server_hostname="127.0.0.1")
    except BaseException:
        link.close()
        raise
