"""From the push to the first byte at iFax on an idle system, and what the idle processes ask of Redis."""

import json
import random
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import wait_for
from faxline_local.stack import DEFAULT, Local
from tests.benchmarks.figures import percentile
from tests.benchmarks.pushes import fax
from tests.benchmarks.speed.bare import Bare
from tests.benchmarks.speed.endpoint import Stub
from tests.benchmarks.speed.monitor import Counts
from tests.benchmarks.speed.sheet import Section, Wanted
from tests.benchmarks.speed.size import Size
from tests.benchmarks.speed.usage import Usage

THREADS = 20
PATIENCE = 30.0
ROLES = ("worker", "dispatcher", "webhook")


def run_latency(size: Size, logs: Path) -> Section:
    """One fax at a time, after a pause of random length; the limits are on, and wide."""
    section = Section("latency")
    # So high that they hold nothing, and every script looks at all of them.
    settings = {"LIMITS__REQUESTS": "1000000", "LIMITS__BURST": "100000"}
    with (
        closing(Stub(logs)) as stub,
        Local(logs, threads=THREADS, settings={**settings, "IFAX_URL": stub.url}) as local,
        redis.Redis.from_url(local.redis_url) as client,
    ):
        intake = RedisKeys(DEFAULT).intake

        def push(name: str) -> None:
            client.xadd(intake, {"send": json.dumps({"id": name, "fax": fax(name)})})

        daemon = [local.part(name) for role in ROLES for name in local.names(role)]
        idle = {role: _idle(local, client, role, size.idle) for role in ROLES}
        found = _waits(stub, size, "fax", push)
        with closing(Bare(local, stub.url, THREADS)) as bare:
            for part in daemon:
                part.pause()
            asked, cpu = _count(client, size.idle, Usage({"bare": [bare.part.process.pid]}, {}))
            plain = _waits(stub, size, "bare", lambda name: bare.push([(DEFAULT, name)]))
            for part in daemon:
                part.resume()
    for share, most in ((0.5, 30), (0.99, 50)):
        section.add(
            f"push to first byte, p{100 * share:g}",
            1000 * percentile(found, share),
            "ms",
            baseline=1000 * percentile(plain, share),
            beside="bare actor",
            wanted=Wanted(most, most=True),
        )
    section.add("… the longest", 1000 * found[-1], "ms", baseline=1000 * plain[-1], beside="bare actor")
    for role, (commands, used) in idle.items():
        worker = role == "worker"
        section.add(
            f"Redis commands a second of an idle {role}",
            sum(commands.values()),
            baseline=sum(asked.values()) if worker else None,
            beside="bare actor" if worker else "",
            wanted=Wanted(10, most=True) if worker else None,
        )
        section.add(
            f"CPU ms a second of an idle {role}",
            1000 * used[role],
            baseline=1000 * cpu["bare"] if worker else None,
            beside="bare actor" if worker else "",
        )
        section.details[f"commands a second of an idle {role}"] = commands
    return section


def _waits(stub: Stub, size: Size, mark: str, push: Callable[[str], None]) -> list[float]:
    """Seconds from each push to its first byte, in order."""
    stub.forget()
    push(f"{mark}-warm")
    _await(stub, 1)
    pushed: dict[str, float] = {}
    for i in range(size.probes):
        time.sleep(random.uniform(*size.gap))
        name = f"{mark}-{i}"
        pushed[name] = time.time()
        push(name)
        _await(stub, i + 2)
    arrived = stub.arrivals()
    return sorted(arrived[name] - at for name, at in pushed.items())


def _await(stub: Stub, count: int) -> None:
    if not wait_for(lambda: stub.count() >= count, PATIENCE, every=0.01):
        raise TimeoutError(f"a fax did not arrive in {PATIENCE:g} s")


def _idle(
    local: Local, client: redis.Redis, role: str, seconds: float
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Commands and CPU seconds a second of one process while the others stand still."""
    others = [local.part(name) for other in ROLES if other != role for name in local.names(other)]
    for part in others:
        part.pause()
    groups = {role: [local.part(name).process.pid for name in local.names(role)]}
    try:
        return _count(client, seconds, Usage(groups, {}))
    finally:
        for part in others:
            part.resume()


def _count(client: redis.Redis, seconds: float, usage: Usage) -> tuple[dict[str, float], dict[str, float]]:
    counts, began = Counts(client), time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - began
    commands, _ = counts.read()
    used = usage.seconds()
    return (
        {name: n / passed for name, n in sorted(commands.items(), key=lambda pair: -pair[1])},
        {name: n / passed for name, n in used.items()},
    )
