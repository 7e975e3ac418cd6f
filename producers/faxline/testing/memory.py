"""A Redis in memory: the commands that the library's steps use, with the replies of a client in bytes."""

import json
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from faxline.contract.redis_keys import PROCESSES
from faxline.testing.streams import Entry, Held, Readers, Stream, name_of, position_of


class Memory:
    """The keys and what they hold. Not thread-safe: its clients hold a lock."""

    def __init__(self) -> None:
        self.strings: dict[str, bytes] = {}
        self.hashes: dict[str, dict[bytes, bytes]] = {}
        self.sets: dict[str, set[bytes]] = {}
        self.sorted: dict[str, dict[bytes, float]] = {}
        self.streams: dict[str, Stream] = {}
        self.additions = 0
        """How many entries were added to streams."""
        self.added: Callable[[str], None] = lambda _: None
        """Is told the key of a stream that an entry was added to."""

    def ping(self) -> bool:
        return True

    def time(self) -> tuple[int, int]:
        now = time.time_ns() // 1000
        return now // 1_000_000, now % 1_000_000

    def info(self) -> dict[str, Any]:
        held = sum(map(len, self.strings.values()))
        return {
            "redis_version": "7.0.0",
            "aof_enabled": 1,
            "maxmemory_policy": "noeviction",
            "used_memory": held,
            "maxmemory": 0,
        }

    def config_get(self, *names: str) -> dict[str, str]:
        told = {"appendfsync": "always", "aof-load-truncated": "no", "min-replicas-max-lag": "1"}
        told["proto-max-bulk-len"] = "33554432"
        return {name: told[name] for name in names if name in told}

    def acl_whoami(self) -> bytes:
        return b"memory"

    def acl_dryrun(self, user: str, *words: str) -> bytes:
        from redis.exceptions import ResponseError  # noqa: PLC0415 - as in replies.py

        raise ResponseError("ERR User not found")

    def exists(self, *keys: str) -> int:
        kinds: tuple[Mapping[str, Any], ...] = (
            *(self.strings, self.hashes, self.sets, self.sorted, self.streams),
        )
        return sum(any(key in kind for kind in kinds) for key in keys)

    def set(self, key: str, value: bytes, *, nx: bool = False, px: int | None = None) -> bool | None:
        if nx and key in self.strings:
            return None
        self.strings[key] = value
        return True

    def get(self, key: str) -> bytes | None:
        return self.strings.get(key)

    def pexpire(self, key: str, ttl: int, *, gt: bool = False) -> bool:
        return bool(self.exists(key))  # nothing is forgotten: a test does not last so long

    def hset(self, key: str, mapping: Mapping[str, Any]) -> None:
        self.hashes.setdefault(key, {}).update({_bytes(k): _bytes(v) for k, v in mapping.items()})

    def hgetall(self, key: str) -> dict[bytes, bytes]:
        if key.startswith(PROCESSES):
            return self._heartbeat()
        return dict(self.hashes.get(key, {}))

    def hget(self, key: str, field: str) -> bytes | None:
        return self.hashes.get(key, {}).get(field.encode())

    def hmget(self, key: str, fields: Sequence[str]) -> list[bytes | None]:
        return [self.hget(key, field) for field in fields]

    def hvals(self, key: str) -> list[bytes]:
        return list(self.hashes.get(key, {}).values())

    def hlen(self, key: str) -> int:
        return len(self.hashes.get(key, {}))

    def sadd(self, key: str, *members: str) -> None:
        self.sets.setdefault(key, set()).update(map(_bytes, members))

    def smembers(self, key: str) -> frozenset[bytes]:
        return frozenset(self.sets.get(key, ()))

    def sscan(self, key: str, cursor: int = 0, count: int | None = None) -> tuple[int, list[bytes]]:
        return 0, list(self.sets.get(key, ()))

    def zadd(self, key: str, members: Mapping[str, float]) -> None:
        self.sorted.setdefault(key, {}).update({_bytes(k): float(v) for k, v in members.items()})

    def zrem(self, key: str, *members: str) -> None:
        for member in members:
            self.sorted.get(key, {}).pop(_bytes(member), None)

    def zscore(self, key: str, member: str) -> float | None:
        return self.sorted.get(key, {}).get(_bytes(member))

    def zcard(self, key: str) -> int:
        return len(self.sorted.get(key, {}))

    def zrank(self, key: str, member: str) -> int | None:
        order = [name for name, _ in self._ordered(key)]
        return order.index(_bytes(member)) if _bytes(member) in order else None

    def zcount(self, key: str, low: float | str, high: float | str) -> int:
        return len(self.zrangebyscore(key, low, high))

    def zrange(self, key: str, start: int, end: int, *, withscores: bool = False) -> list[Any]:
        return _shown(self._ordered(key)[start : end + 1 or None], withscores=withscores)

    def zrangebyscore(
        self,
        key: str,
        low: float | str,
        high: float | str,
        start: int = 0,
        num: int | None = None,
        *,
        withscores: bool = False,
    ) -> list[Any]:
        found = [pair for pair in self._ordered(key) if _inside(pair[1], low, high)]
        return _shown(found[start:][:num], withscores=withscores)

    def _ordered(self, key: str) -> list[tuple[bytes, float]]:
        return sorted(self.sorted.get(key, {}).items(), key=lambda pair: (pair[1], pair[0]))

    def xadd(self, key: str, fields: Mapping[str, Any]) -> bytes:
        name = self._stream(key).add({_bytes(k): _bytes(v) for k, v in fields.items()})
        self.additions += 1
        self.added(key)
        return name

    def xinfo_stream(self, key: str) -> dict[str, Any]:
        stream = self._stream(key)
        return {
            "last-generated-id": name_of(stream.last),
            "first-entry": next(iter(stream.between("-", "+")), None),
            "entries-added": stream.added,
            "length": len(stream.entries),
        }

    def xinfo_groups(self, key: str) -> list[dict[str, Any]]:
        return [
            {
                "name": name.encode(),
                "pending": len(readers.pending),
                "last-delivered-id": name_of(readers.last),
                "entries-read": None,
                "lag": len(self._stream(key).after(readers.last, None)),
            }
            for name, readers in self._stream(key).groups.items()
        ]

    def xinfo_consumers(self, key: str, group: str) -> list[dict[str, Any]]:
        readers, now = self._stream(key).groups[group], time.monotonic()
        return [
            {"name": name.encode(), "pending": len(readers.of(name)), "idle": round((now - seen) * 1000)}
            for name, seen in readers.consumers.items()
        ]

    def xpending_range(  # noqa: PLR0917 - as above
        self, key: str, group: str, low: str, high: str, count: int, consumer: str
    ) -> list[dict[str, Any]]:
        return [{"message_id": name_of(at)} for at in self._stream(key).groups[group].of(consumer)[:count]]

    def xgroup_delconsumer(self, key: str, group: str, consumer: str | bytes) -> int:
        readers, name = self._stream(key).groups[group], _bytes(consumer).decode()
        readers.consumers.pop(name, None)
        return sum(readers.pending.pop(at, None) is not None for at in readers.of(name))

    def xlen(self, key: str) -> int:
        return len(self._stream(key).entries)

    def xdel(self, key: str, *ids: str) -> int:
        return self._stream(key).remove(*ids)

    def xrange(self, key: str, min: str = "-", max: str = "+", count: int | None = None) -> list[Entry]:  # noqa: A002
        return list(self._stream(key).between(min, max))[:count]

    def xrevrange(self, key: str, max: str = "+", min: str = "-", count: int | None = None) -> list[Entry]:  # noqa: A002
        return list(self._stream(key).between(min, max))[::-1][:count]

    def xread(self, streams: Mapping[str, str], count: int | None = None) -> list[tuple[bytes, list[Entry]]]:
        found = [(key, self._stream(key).after(position_of(since), count)) for key, since in streams.items()]
        return [(key.encode(), entries) for key, entries in found if entries]

    def xgroup_create(self, key: str, group: str, id: str = "$", *, mkstream: bool = False) -> None:  # noqa: A002
        from redis.exceptions import ResponseError  # noqa: PLC0415 - what the steps know

        groups = self._stream(key).groups
        if group in groups:
            raise ResponseError("BUSYGROUP Consumer Group name already exists")
        groups[group] = Readers(position_of(id))

    def xreadgroup(
        self, group: str, consumer: str, streams: Mapping[str, str], count: int | None = None
    ) -> list[tuple[bytes, list[Entry]]]:
        found = [
            (key, since, self._stream(key).deliver(group, consumer, since, count))
            for key, since in streams.items()
        ]
        return [(key.encode(), entries) for key, since, entries in found if entries or since != ">"]

    def xautoclaim(  # noqa: PLR0917 - as redis-py has it
        self, key: str, group: str, consumer: str, min_idle_time: int, start_id: str, count: int
    ) -> list[Any]:
        return [b"0-0", *self._stream(key).claim(group, consumer, min_idle_time / 1000, count)]

    def xclaim(
        self,
        key: str,
        group: str,
        consumer: str,
        min_idle_time: int,
        message_ids: Sequence[bytes],
        *,
        idle: int,
        justid: bool,
    ) -> list[bytes]:
        since = time.monotonic() - idle / 1000
        held = {position_of(name.decode()): Held(consumer, since) for name in message_ids}
        pending = self._stream(key).groups[group].pending
        pending.update((at, claimed) for at, claimed in held.items() if at in pending)
        return list(message_ids)

    def xtrim(self, key: str, maxlen: int) -> int:
        return self._stream(key).trim(maxlen)

    def xack(self, key: str, group: str, *entries: bytes) -> int:
        pending = self._stream(key).groups[group].pending
        return sum(pending.pop(position_of(entry.decode()), None) is not None for entry in entries)

    def _heartbeat(self) -> dict[bytes, bytes]:
        """One of each role is at work."""
        now = time.time_ns() // 1_000_000
        told = {"host": "memory", "pid": 0, "version": version("faxline"), "state": "working"}
        return {b"memory:0:0": json.dumps(told | {"since": now, "at": now}).encode()}

    def _stream(self, key: str) -> Stream:
        return self.streams.setdefault(key, Stream())


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _shown(pairs: Iterable[tuple[bytes, float]], *, withscores: bool) -> list[Any]:
    return list(pairs) if withscores else [name for name, _ in pairs]


def _inside(score: float, low: float | str, high: float | str) -> bool:
    return _limit(low, score, -1) and _limit(high, score, 1)


def _limit(bound: float | str, score: float, side: int) -> bool:
    text = str(bound)
    value = float(text.removeprefix("("))
    if text.startswith("("):
        return score > value if side < 0 else score < value
    return (math.isinf(value) and value * side > 0) or (score >= value if side < 0 else score <= value)
