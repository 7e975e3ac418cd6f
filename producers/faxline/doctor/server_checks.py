"""Check the Redis server: version, durability, memory, replicas and clock."""

import time
from collections.abc import Callable, Iterator

from faxline.contract.check import Check, Result
from faxline.reading.server_facts import ServerFacts, facts
from faxline.steps.commands import Command, Steps
from faxline.steps.redis_errors import is_refusal
from faxline.steps.replicas import NOT_ASKED, Confirmation

_FILLING, _FULL = 0.8, 0.98
_REPLICAS = 2
"""The replicas that are enough: with only one, the loss of any server leaves a primary without a replica."""
_SLACK = 2.0
"""The most seconds that two clocks may differ."""

_LARGEST = 64 * 1024 * 1024
"""A larger value (bytes) may fill a dispatcher's memory. Faxline's own are at most half as large."""

_NO_APPENDFSYNC = "on; not allowed to read appendfsync: grant +config|get, or run this as an administrator"


def server_checks(
    clock: Callable[[], float] = time.time, confirmation: Confirmation = NOT_ASKED
) -> Steps[list[Check]]:
    """Check the server.

    Args:
        clock: our clock, Unix seconds.
        confirmation: how many replicas must confirm a write.
    """
    try:
        known = yield from facts()
    except Exception as error:
        if not is_refusal(error):
            raise
        text = "not allowed to run INFO: version, durability and memory are unknown; grant +info"
        return [Check("server", Result.WARN, text), (yield from _clock(clock))]
    found = (_version, _append_only_file, _eviction, _memory, _clients, _largest_value)
    checks = [check for look in found for check in look(known)]
    return [*checks, _replication(known, confirmation.replicas), (yield from _clock(clock))]


def _version(known: ServerFacts) -> Iterator[Check]:
    named = f"{known.name} {known.version}"
    if known.speaks:
        yield Check("version", Result.OK, named)
    else:
        yield Check("version", Result.FAIL, f"{named}: 7.0 or newer is needed")


def _append_only_file(known: ServerFacts) -> Iterator[Check]:
    name = "append-only file"
    if not known.aof_on:
        yield Check(name, Result.FAIL, "it is off, so a restart loses faxes: set appendonly yes")
    elif not known.aof_ok:
        text = "its last write or rewrite failed: check the server's log and its disk"
        yield Check(name, Result.FAIL, text)
    elif known.appendfsync is None:
        yield Check(name, Result.WARN, _NO_APPENDFSYNC)
    elif known.appendfsync == "always" and known.reads_on and known.name == "redis":
        text = (
            "aof-load-truncated yes: if a power cut left half a transaction, Redis runs it at the restart "
            "after next; set aof-load-truncated no"
        )
        yield Check(name, Result.WARN, text)
    elif known.appendfsync == "always":
        yield Check(name, Result.OK, "on, appendfsync always")
    else:
        result = Result.WARN if known.appendfsync == "everysec" else Result.FAIL
        text = f"appendfsync {known.appendfsync}: a crash may lose the last second; set appendfsync always"
        yield Check(name, result, text)


def _eviction(known: ServerFacts) -> Iterator[Check]:
    if known.maxmemory_policy == "noeviction":
        yield Check("eviction", Result.OK, "off")
    else:
        text = f"{known.maxmemory_policy} evicts faxes: set maxmemory-policy noeviction"
        yield Check("eviction", Result.FAIL, text)


def _memory(known: ServerFacts) -> Iterator[Check]:
    size = f"{known.used_memory / 1e6:.0f} MB"
    if not known.maxmemory:
        text = f"{size} without a limit, so the machine may end Redis when it is full: set maxmemory"
        yield Check("memory", Result.WARN, text)
        return
    used = known.used_memory / known.maxmemory
    size += f", {used:.0%} of maxmemory"
    if used > _FULL:
        yield Check("memory", Result.FAIL, f"{size}: pushes are refused; raise it, or shorten the retention")
    elif used > _FILLING:
        yield Check("memory", Result.WARN, f"{size}: raise it, or shorten FAXLINE_RETENTION")
    elif known.machine_memory and known.maxmemory > known.machine_memory:
        text = f"{size}, which is more than the machine's {known.machine_memory / 1e6:.0f} MB: lower it"
        yield Check("memory", Result.WARN, text)
    else:
        yield Check("memory", Result.OK, size)


def _clients(known: ServerFacts) -> Iterator[Check]:
    """Told when there is hardly room: a server without room lets the doctor itself not in."""
    if known.most_clients and known.clients > known.most_clients * _FILLING:
        text = f"{known.clients} of {known.most_clients}: beyond that it lets nobody in; raise maxclients"
        yield Check("clients", Result.WARN, text)


def _largest_value(known: ServerFacts) -> Iterator[Check]:
    if known.largest_value is None:
        return  # a user who may not read appendfsync already has a check about it
    size = f"{known.largest_value / (1 << 20):.0f} MB"
    if known.largest_value > _LARGEST:
        text = f"{size}, so one push may fill a dispatcher's memory: set proto-max-bulk-len 32mb"
        yield Check("largest value", Result.WARN, text)
    else:
        yield Check("largest value", Result.OK, size)


def _replication(known: ServerFacts, needed: int) -> Check:
    """Check that a failover loses nothing and stops nothing.

    Args:
        known: the facts about the server.
        needed: how many replicas must confirm a write.
    """
    result, there = Result.WARN, f"{known.replicas} connected"
    if not known.primary:
        result = Result.FAIL
        text = "this is a replica and takes no writes: name the primary, or the Sentinels, in the Redis URL"
    elif known.replicas < needed:
        result = Result.FAIL
        text = (
            f"{there}, and FAXLINE_REDIS_REPLICAS is {needed}: pushes raise, webhooks answer 503, nothing is "
            f"sent; start a replica"
        )
    elif known.guarded and not known.replicas:
        result = Result.FAIL
        text = "min-replicas-to-write is set and no replica is connected, so writes are refused: start one"
    elif not known.replicas:
        return Check("replication", Result.OK, "none")
    elif not known.guarded:
        text = (
            f"{there}, but a primary that is cut off goes on and loses what it accepts: "
            f"set min-replicas-to-write 1"
        )
    elif known.replicas_lag is not None and known.replicas_lag > 1:
        text = (
            f"{there}, but a primary that is cut off goes on for {known.replicas_lag} s and loses what it "
            f"accepts: set min-replicas-max-lag 1"
        )
    elif known.replicas < (enough := max(_REPLICAS, needed + 1)):
        text = f"{there}: if a server is lost, writes are refused until it is back; run {enough} replicas"
    else:
        return Check("replication", Result.OK, there)
    return Check("replication", result, text)


def _clock(clock: Callable[[], float]) -> Steps[Check]:
    before = clock()
    try:
        seconds, micros = yield Command(lambda client: client.time())
    except Exception as error:
        if not is_refusal(error):
            raise
        return Check("clock", Result.WARN, "not allowed to read it: grant +time")
    return clock_check("clock", int(seconds) + int(micros) / 1e6, before, clock(), _SLACK)


def clock_check(name: str, theirs: float, before: float, after: float, slack: float) -> Check:
    """Compare a clock with ours, read just `before` and `after` its answer; Unix seconds."""
    ahead = max(theirs - after, 0.0) - max(before - theirs, 0.0)
    if abs(ahead) <= slack:
        return Check(name, Result.OK, "as ours")
    text = (
        f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours: run an NTP client here and there; "
        f"send_at and expires_at are written by one clock and kept by the other"
    )
    return Check(name, Result.WARN, text)
