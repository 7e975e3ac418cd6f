"""What a Redis server is asked for: every command by who sent it, and every script's inner commands."""

import hashlib
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Self

import redis

from faxline_worker.state import scripts

_LINE = re.compile(rb'^\+?(\d+\.\d+) \[(\d+) (\S+)\] "([^"]*)"(?: "([^"]*)")?')


@dataclass(frozen=True)
class Command:
    """One line of MONITOR.

    Args:
        at: when, in Unix seconds.
        database: its number.
        source: the client's address, or `lua`.
        name: in capitals.
        first: its first argument.
    """

    at: float
    database: int
    source: str
    name: str
    first: str


def read_line(line: bytes) -> Command | None:
    """A line of MONITOR; None where it is none."""
    found = _LINE.match(line)
    if found is None:
        return None
    at, database, source, name, first = found.groups()
    return Command(
        float(at),
        int(database),
        source.decode(),
        name.decode().upper(),
        (first or b"").decode("utf-8", "replace"),
    )


def script_names() -> dict[str, str]:
    """The names of our scripts by the digest that EVALSHA gives."""
    folder = files("faxline_worker") / "state" / "lua"
    names = [entry.name.removesuffix(".lua") for entry in folder.iterdir() if entry.name.endswith(".lua")]
    return {hashlib.sha1(scripts.source(name).encode()).hexdigest(): name for name in names}  # noqa: S324 - Redis'


@dataclass
class Breakdown:
    """The commands, counted.

    Attributes:
        calls: of each script.
        inner: commands inside of each script, by `script COMMAND`.
        plain: commands outside of scripts, by `client COMMAND`.
        trips: round trips, by client.
    """

    calls: Counter[str] = field(default_factory=Counter)
    inner: Counter[str] = field(default_factory=Counter)
    plain: Counter[str] = field(default_factory=Counter)
    trips: Counter[str] = field(default_factory=Counter)

    @property
    def by_script(self) -> dict[str, int]:
        """All commands of each script, its own EVALSHA included."""
        found: Counter[str] = Counter(self.calls)
        for name, count in self.inner.items():
            found[name.split()[0]] += count
        return dict(found.most_common())

    @property
    def total(self) -> int:
        """All commands."""
        return sum(self.calls.values()) + sum(self.inner.values()) + sum(self.plain.values())


TOGETHER = 40e-6
"""Seconds; commands of one client in a row that come closer than this were sent in one round trip."""


def break_down(
    commands: Iterator[Command], names: Mapping[str, str], clients: Mapping[str, str], own: str
) -> Breakdown:
    """Count commands by script and by client.

    Args:
        commands: in their order.
        names: the scripts' by their digest.
        clients: the connections' names by their address.
        own: the name of the clients that are left out.
    """
    found, script = Breakdown(), ""
    last: Command | None = None
    for command in commands:
        if command.source == "lua":
            if script:
                found.inner[f"{script} {command.name}"] += 1
            continue
        client = clients.get(command.source, "other")
        script = ""
        if client == own:
            last = None
            continue
        if command.name in {"EVALSHA", "EVAL"}:
            script = names.get(command.first, "unknown")
            found.calls[script] += 1
        else:
            found.plain[f"{client} {command.name}"] += 1
        beside = last is not None and last.source == command.source and command.at - last.at < TOGETHER
        found.trips[client] += not beside
        last = command
    return found


class Monitor:
    """Keeps what MONITOR says, from a thread, until the context ends."""

    def __init__(self, port: int) -> None:
        self._link = socket.create_connection(("127.0.0.1", port))
        self._text = bytearray()
        self._thread = threading.Thread(target=self._read, name="monitor", daemon=True)

    def __enter__(self) -> Self:
        self._link.sendall(b"MONITOR\r\n")
        assert self._link.recv(5) == b"+OK\r\n"
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._link.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._link.close()

    def commands(self) -> Iterator[Command]:
        """What it has said so far."""
        for line in bytes(self._text).split(b"\r\n"):
            command = read_line(line)
            if command is not None:
                yield command

    def _read(self) -> None:
        while chunk := self._link.recv(1 << 20):
            self._text += chunk


def client_names(client: redis.Redis) -> dict[str, str]:
    """The connections' names by their address."""
    rows: Any = client.client_list()
    return {row["addr"]: row["name"] or "unnamed" for row in rows}


class Counts:
    """The server's own counts, from now on: commands (inside scripts too) and round trips.

    A round trip is a read from a client's connection; a pipeline is one, where it comes in one piece.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._own = 0
        self._begun = self._look()

    def read(self) -> tuple[dict[str, int], int]:
        """Commands by name, and round trips, since the beginning; what this object asks is left out."""
        commands, trips = self._look()
        before, trips_before = self._begun
        found = {name: count - before.get(name, 0) for name, count in commands.items()}
        found["info"] = found.get("info", 0) - 2 * (self._own - 1)
        return {name: n for name, n in found.items() if n > 0}, trips - trips_before - 2 * (self._own - 1)

    def _look(self) -> tuple[dict[str, int], int]:
        stats: Any = self._client.info("commandstats")
        more: Any = self._client.info("stats")
        self._own += 1
        calls = {name.removeprefix("cmdstat_"): int(row["calls"]) for name, row in stats.items()}
        return calls, int(more["total_reads_processed"])
