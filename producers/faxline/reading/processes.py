"""The processes of the daemon, by the heartbeats that each writes to Redis.

A heartbeat is a field of the hash `fax:processes:ROLE`, renewed every two seconds. Its times come from Redis,
so the clocks of the machines do not matter. What it says of accounts by name is in `fax:serving:ROLE`: a
producer of one account may not learn the names of the others.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from faxline.contract.redis_keys import PROCESSES, SERVING
from faxline.steps.commands import Pipeline, Steps
from faxline.steps.redis_errors import is_refusal

ROLES = ("dispatcher", "worker", "webhook")
"""The roles that a fax needs to reach its end."""
BESIDE = ("archive", "console")
"""The roles that no fax waits for."""
EVERYBODY = (*ROLES, *BESIDE)
EVERY = 2.0
"""Seconds between two heartbeats."""
GONE = 10.0
"""Seconds without a heartbeat after which a process counts as gone."""
NAMED = ("accounts", "known", "lacks", "shares", "webhooks")
"""The members of a heartbeat that name accounts, or by which a guess at their names can be proved."""

UNITS = 64
"""The units into which the accounts are divided, where many processes share them."""


def units_to_text(units: Iterable[int]) -> str:
    """The units as a hexadecimal number with a bit for each, for a heartbeat."""
    return f"{sum(1 << unit for unit in units):x}"


def units_from_text(text: str) -> frozenset[int]:
    """The units in a heartbeat.

    Raises:
        ValueError: it is no hexadecimal number.
    """
    bits = int(text, 16)
    return frozenset(unit for unit in range(UNITS) if bits >> unit & 1)


class ProcessState(StrEnum):
    """What a process says about itself."""

    WORKING = "working"
    NOT_READY = "not_ready"
    """It cannot work now. `Process.trouble` says why."""
    STALLED = "stalled"
    """One of its loops hangs. Restart it."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class WebhooksSeen:
    """The last webhooks of an account, as one process saw them.

    Attributes:
        reason: why the last one was refused; None if it was accepted.
        count: how many were refused since the last accepted one.
        ago: seconds since the last refusal; None without one.
        let_in: seconds since the last accepted one; None without one.
    """

    reason: str | None
    count: int
    ago: float | None
    let_in: float | None


@dataclass(frozen=True, slots=True)
class Process:
    """A process, by its last heartbeat.

    Example:
        >>> [process.name for process in line.processes() if not process.at_work]

    Attributes:
        role: one of EVERYBODY.
        name: host:pid:random, unique.
        host, pid: where it runs.
        version: of Faxline.
        since: when it started.
        silent: seconds since its last heartbeat, by Redis' clock.
        state: what it says about itself.
        trouble: each of its parts that fails, and how.
        accounts: the accounts in its settings; None if they are too many to list, or not for this Redis user.
        webhooks: for a webhook process, the accounts whose webhooks came last; empty for a producer's user.
        results: for a dispatcher, how results come: webhook, poll or both; empty for an older one.
        shares: the group of processes with which it shares accounts; empty for an older one.
        units: the units of accounts that it serves; empty if it does not say.
        known: what tells whether two processes have the same accounts in a unit; empty for an older one.
        lacks: accounts of its units that it cannot serve, because their folders cannot be read.
        looks: for a worker, the seconds between two looks at the accounts' folders; 0 for an older one.
    """

    role: str
    name: str
    host: str
    pid: int
    version: str
    since: datetime
    silent: float
    state: ProcessState
    trouble: Mapping[str, str] = field(default_factory=dict)
    accounts: tuple[str, ...] | None = None
    webhooks: Mapping[str, WebhooksSeen] = field(default_factory=dict)
    results: str = ""
    shares: str = ""
    units: frozenset[int] = frozenset()
    known: str = ""
    lacks: frozenset[str] = frozenset()
    looks: float = 0.0

    @property
    def gone(self) -> bool:
        """Whether its last heartbeat is too old, or lies in the future of Redis' clock."""
        return abs(self.silent) > GONE

    @property
    def at_work(self) -> bool:
        """Whether it is alive and working."""
        return self.state is ProcessState.WORKING and not self.gone

    def serves(self, account: str) -> bool:
        """Whether it works for this account, as far as it says."""
        return self.at_work and (self.accounts is None or account in self.accounts)

    def to_dict(self) -> dict[str, Any]:
        """Its JSON."""
        return {
            "role": self.role,
            "host": self.host,
            "pid": self.pid,
            "version": self.version,
            "since": self.since.isoformat(),
            "silent_seconds": round(self.silent, 1),
            "state": "gone" if self.gone else str(self.state),
            "trouble": dict(self.trouble),
        }


def read_processes(roles: Iterable[str] = EVERYBODY) -> Steps[list[Process]]:
    """Read all processes of these roles that have a heartbeat, in one round trip.

    A process that ended as it should is left out.
    """
    found = yield from heartbeats(roles)
    return [process for _, _, process in found if process and process.state is not ProcessState.ENDED]


def heartbeats(roles: Iterable[str] = EVERYBODY) -> Steps[list[tuple[str, bytes, Process | None]]]:
    """Read all heartbeats: role, field, and process, or None if this version cannot read it.

    A Redis user that may not read what they say of accounts gets them without.
    """
    asked = tuple(roles)
    try:
        return (yield from _read(asked, SERVING))
    except Exception as error:
        if not is_refusal(error):
            raise
    return (yield from _read(asked))


def _read(roles: Sequence[str], *more: str) -> Steps[list[tuple[str, bytes, Process | None]]]:
    def queue_reads(pipe: Any) -> None:
        for role in roles:
            pipe.hgetall(PROCESSES + role)
            pipe.time()  # of a cluster, that of the node that has the hash, by which the times in it are
        for prefix in more:
            for role in roles:
                pipe.hgetall(prefix + role)

    replies = yield Pipeline(queue_reads)
    count = len(roles)
    written, clocks = replies[: 2 * count : 2], replies[1 : 2 * count : 2]
    named = replies[2 * count :] or [{}] * count
    return [
        (role, name, read_heartbeat(role, name, fields.get(name, b""), now, own.get(name, b"{}")))
        for role, fields, clock, own in zip(roles, written, clocks, named, strict=True)
        for now in [clock[0] * 1000 + clock[1] // 1000]
        for name in sorted(fields.keys() | own.keys())
    ]


def read_heartbeat(role: str, name: bytes, text: bytes, now: int, named: bytes = b"{}") -> Process | None:
    """Parse one heartbeat. Return None if it is malformed.

    Args:
        role: the role in the name of its key.
        name: its field.
        text: its value.
        now: Redis' clock, in milliseconds since 1970.
        named: what it says of accounts, which an older process says in `text`.
    """
    try:
        data = json.loads(text) | json.loads(named)
        return Process(
            role=role,
            name=name.decode(),
            host=str(data["host"]),
            pid=int(data["pid"]),
            version=str(data["version"]),
            since=datetime.fromtimestamp(data["since"] / 1000, tz=UTC),
            silent=(now - data["at"]) / 1000,
            state=ProcessState(data["state"]),
            trouble={str(part): str(how) for part, how in data.get("trouble", {}).items()},
            accounts=tuple(map(str, data["accounts"])) if "accounts" in data else None,
            webhooks={str(name): _seen(seen) for name, seen in data.get("webhooks", {}).items()},
            results=str(data.get("results", "")),
            shares=str(data.get("shares", "")),
            units=units_from_text(str(data.get("units", "0"))),
            known=str(data.get("known", "")),
            lacks=frozenset(map(str, data.get("lacks", ()))),
            looks=float(data.get("looks", 0.0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return None


def _seen(data: Mapping[str, Any]) -> WebhooksSeen:
    reason, ago, let_in = data["reason"], data["ago"], data["let_in"]
    return WebhooksSeen(
        reason=str(reason) if reason is not None else None,
        count=int(data["count"]),
        ago=float(ago) if ago is not None else None,
        let_in=float(let_in) if let_in is not None else None,
    )


def polling_alone(processes: Iterable[Process]) -> bool:
    """Whether all dispatchers at work get results by polling only, so that no webhook is needed."""
    ways = {process.results for process in processes if process.role == "dispatcher" and process.at_work}
    return ways == {"poll"}


def at_work(processes: Iterable[Process], account: str | None = None) -> dict[str, int]:
    """Count the processes at work by the roles that a fax needs, for one account or for any."""
    counts = dict.fromkeys(ROLES, 0)
    for process in processes:
        if process.role in counts and process.at_work and (account is None or process.serves(account)):
            counts[process.role] += 1
    return counts
