"""What the Redis server says about itself, and whether it keeps what it accepts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from faxline.steps.commands import Command, Steps
from faxline.steps.drivers import run
from faxline.steps.redis_errors import is_refusal

_LARGEST = "proto-max-bulk-len"
_CONFIGURED = ("appendfsync", "aof-load-truncated", "min-replicas-max-lag", _LARGEST)


@dataclass(frozen=True)
class ServerFacts:
    """What the server says about itself.

    Attributes:
        name: `redis` or `valkey`.
        version: its own version, such as `7.0.15`.
        aof_on: whether it writes an append-only file.
        appendfsync: `always`, `everysec` or `no`; None if CONFIG is not allowed.
        maxmemory_policy: such as `noeviction`.
        used_memory: bytes.
        maxmemory: bytes, 0 for no limit.
        aof_size: bytes of the append-only file; 0 if there is none.
        aof_ok: whether its last write and its last rewrite succeeded.
        machine_memory: bytes of the machine's memory; 0 if unknown.
        primary: whether it is a primary, which takes writes.
        replicas: how many replicas are connected.
        replicas_behind: bytes that the last of them has not confirmed yet; 0 without any.
        guarded: whether it refuses writes without its replicas (`min-replicas-to-write`).
        replicas_lag: seconds that a replica may be silent and still counts for that (`min-replicas-max-lag`);
            None if CONFIG is not allowed.
        reads_on: whether it starts from a file whose end is missing (`aof-load-truncated`); None if unknown.
        largest_value: the largest value in bytes that it accepts; None if CONFIG is not allowed.
        clients: how many connections it has.
        most_clients: how many it accepts; 0 if unknown.
        durable: whether it keeps what it accepted: the append-only file is on, fsync is not left to the
            operating system (as far as known), and nothing is evicted.
    """

    name: str
    version: str
    aof_on: bool
    appendfsync: str | None
    maxmemory_policy: str
    used_memory: int = 0
    maxmemory: int = 0
    aof_size: int = 0
    aof_ok: bool = True
    machine_memory: int = 0
    primary: bool = True
    replicas: int = 0
    replicas_behind: int = 0
    guarded: bool = False
    replicas_lag: int | None = None
    reads_on: bool | None = None
    largest_value: int | None = None
    clients: int = 0
    most_clients: int = 0

    @property
    def durable(self) -> bool:  # noqa: D102 - described above
        return self.aof_on and self.appendfsync != "no" and self.maxmemory_policy == "noeviction"

    @property
    def speaks(self) -> bool:
        """Whether it has what the scripts need: Redis 7.0 or newer, or Valkey."""
        return self.name == "valkey" or int(self.version.partition(".")[0]) >= 7  # noqa: PLR2004 - as described


def server_facts(client: Any, *, config: bool = True) -> ServerFacts:
    """Read what the server says about itself.

    If the Redis user may not run CONFIG, the facts from it are None. With `config` false, it is not run.

    Raises:
        redis.exceptions.NoPermissionError: INFO is refused too.
        redis.ConnectionError, redis.TimeoutError: the server is away.
    """
    return run(client, facts(config=config))


def facts(*, config: bool = True) -> Steps[ServerFacts]:
    """`server_facts` as steps."""
    info: dict[str, Any] = yield Command(lambda client: client.info())
    values: dict[str, str] = {}
    if config:
        try:
            values = yield Command(lambda client: client.config_get(*_CONFIGURED))
        except Exception as error:
            if not is_refusal(error):  # it is NOPERM, or a hosted Redis without CONFIG
                raise
    largest = values.get(_LARGEST)
    valkey = info.get("valkey_version")
    return ServerFacts(
        name="valkey" if valkey else "redis",
        version=str(valkey or info["redis_version"]),
        aof_on=bool(info["aof_enabled"]),
        appendfsync=values.get("appendfsync"),
        maxmemory_policy=str(info["maxmemory_policy"]),
        used_memory=int(info["used_memory"]),
        maxmemory=int(info["maxmemory"]),
        aof_size=int(info.get("aof_current_size", 0)),
        aof_ok=all(
            info.get(name, "ok") == "ok" for name in ("aof_last_write_status", "aof_last_bgrewrite_status")
        ),
        machine_memory=int(info.get("total_system_memory", 0)),
        primary=info.get("role", "master") == "master",
        replicas=int(info.get("connected_slaves", 0)),
        replicas_behind=_replicas_behind(info),
        guarded="min_slaves_good_slaves" in info,  # only there if it is set
        replicas_lag=int(values["min-replicas-max-lag"]) if "min-replicas-max-lag" in values else None,
        reads_on=values["aof-load-truncated"] == "yes" if "aof-load-truncated" in values else None,
        largest_value=int(largest) if largest is not None else None,
        clients=int(info.get("connected_clients", 0)),
        most_clients=int(info.get("maxclients", 0)),
    )


def _replicas_behind(info: Mapping[str, Any]) -> int:
    """Bytes between what the server wrote to its replicas and what the last of them confirmed."""
    names = (f"slave{number}" for number in range(int(info.get("connected_slaves", 0))))
    confirmed = [int(info[name]["offset"]) for name in names if isinstance(info.get(name), dict)]
    return max(0, int(info.get("master_repl_offset", 0)) - min(confirmed)) if confirmed else 0
