"""A PostgreSQL server for a test: Debian's, on a free port of the loopback, with a folder of its own.

PostgreSQL refuses to run as root, so a test that is root runs it as the package's user `postgres`.
"""

import os
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

import psycopg

from faxline_local.processes import free_port
from tests.npm import do_without

START, STOP = 60.0, 30.0
"""Seconds that a start and an end may take."""
_OPTIONS = {"listen_addresses": "127.0.0.1", "fsync": "on", "max_connections": "50", "timezone": "UTC"}

_WORDS = ("--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US")
"""It sorts by the words of a language, as PostgreSQL's own image does."""


def programs() -> Path:
    """The folder of the newest installed version. Without one the test is skipped, and fails in CI."""
    found = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(found, key=lambda path: int(path.parts[-3]), default=None)
    if newest is None:
        do_without("PostgreSQL is not on this machine: apt-get install postgresql")
        raise AssertionError
    return newest.parent


class PostgresServer:
    """A server that runs until the context ends. Anybody on this machine may log in as `faxline`.

    Args:
        options: further settings of the server.
    """

    def __init__(self, **options: str) -> None:
        self._options = _OPTIONS | options
        self._programs = programs()
        self._user = "postgres" if os.geteuid() == 0 else None
        self.directory = Path(tempfile.mkdtemp(prefix="faxline-postgres-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._made = 0

    def __enter__(self) -> Self:
        try:
            if self._user is not None:
                os.chown(self.directory, pwd.getpwnam(self._user).pw_uid, -1)
            data = str(self.directory / "data")
            self._run("initdb", "--pgdata", data, "--username=faxline", "--auth=trust", "--no-sync", *_WORDS)
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # the fast shutdown
            try:
                self._process.wait(STOP)
            except subprocess.TimeoutExpired:
                self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def start(self) -> None:
        """Start the server, or start it again after `kill`, and wait until it answers."""
        options = [word for name, value in self._options.items() for word in ("-c", f"{name}={value}")]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(self._programs / "postgres"),
                    *("-D", str(self.directory / "data"), "-k", str(self.directory), "-p", str(self.port)),
                    *options,
                ],
                user=self._user,
                stdout=log,
                stderr=log,
                process_group=0,
            )
        give_up = time.monotonic() + START
        while True:
            try:
                psycopg.connect(self._conninfo("postgres"), connect_timeout=2).close()
            except psycopg.OperationalError:
                if time.monotonic() > give_up or self._process.poll() is not None:
                    raise AssertionError((self.directory / "log").read_text()[-2000:]) from None
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End the server and its children as a power cut would (SIGKILL). `start` has it recover."""
        assert self._process is not None
        # Its children lead sessions of their own, so they are found by their parent.
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        for pid in (self._process.pid, *map(int, children)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._process.wait()

    def url(self) -> str:
        """The URL of a new, empty database, as FAXLINE_ARCHIVE__URL."""
        self._made += 1
        name = f"archive_{self._made}"
        with psycopg.connect(self._conninfo("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://faxline@127.0.0.1:{self.port}/{name}"

    def dump(self, url: str) -> str:
        """All of a database as SQL, by pg_dump."""
        return self._run("pg_dump", re.sub(r"\+psycopg", "", url)).stdout.decode()

    def _conninfo(self, database: str) -> str:
        return f"host=127.0.0.1 port={self.port} user=faxline dbname={database}"

    def _run(self, program: str, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
        options: dict[str, Any] = {"user": self._user, "cwd": self.directory}
        return subprocess.run(
            [str(self._programs / program), *arguments],
            check=True,
            capture_output=True,
            timeout=120,
            **options,
        )
