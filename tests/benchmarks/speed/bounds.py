"""No script holds Redis up: the longest call of each on a crowded account, by the server's own CPU time.

The time of the server's main thread counts (`INFO cpu`), so that a machine that does other things as well
changes nothing; on a quiet one it is how long everybody else waits.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import redis

from faxline_local.redis_server import RedisServer
from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from faxline_worker.state.submission import CHECK
from tests.benchmarks.speed.crowd import NUMBER, OTHER, Crowd
from tests.benchmarks.speed.jobs import ACCEPTED, Maker
from tests.benchmarks.speed.sheet import Section, Wanted
from tests.benchmarks.speed.size import Size

MOST = 10.0
"""Milliseconds that a script may take."""
SETTINGS = {
    "LIMITS__REQUESTS": "1000000",
    "LIMITS__CONCURRENCY": "5000",
    "LIMITS__BURST": "1000000",
    "IN_DOUBT__THEN": "resend",
    "CEILINGS__BYTES": "1000000000000",
    "CEILINGS__JOBS": "100000000",
}
_T = TypeVar("_T")


class Watch:
    """Keeps the longest call of each name, in milliseconds of the server's CPU time."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self.longest: defaultdict[str, float] = defaultdict(float)
        self.calls: defaultdict[str, int] = defaultdict(int)
        looks = [self._cpu() for _ in range(200)]
        self._own = min(b - a for a, b in pairwise(looks))

    def _cpu(self) -> float:
        usage: Any = self._client.info("cpu")
        return 1000 * float(usage["used_cpu_user_main_thread"] + usage["used_cpu_sys_main_thread"])

    def __call__(self, name: str, call: Callable[[], _T]) -> _T:
        """Call something."""
        before = self._cpu()
        given = call()
        took = self._cpu() - before - self._own
        self.longest[name] = max(self.longest[name], took)
        self.calls[name] += 1
        return given

    def each(self, name: str, client: Any, call: Callable[[], object]) -> None:
        """Call what asks for many things in turn; each of them is one call, for others come in between."""
        run = client.execute_command
        client.execute_command = lambda *words, **more: self(name, lambda: run(*words, **more))
        try:
            call()
        finally:
            del client.execute_command


def run_bounds(size: Size, logs: Path) -> Section:
    """Fill an account, then call every script as it finds most to do."""
    del logs
    section = Section("bounds")
    with RedisServer() as server, redis.Redis.from_url(server.url(0), socket_timeout=60) as client:
        maker = Maker(client, "default", SETTINGS)
        crowd = Crowd(client, maker.store, size)
        watch = Watch(client.from_url(server.url(0)))
        crowd.fill()
        for course in (_intake, _calls, _lines, _timers, _receipts, _upkeep, _orders):
            course(watch, client, maker, crowd, size)
    for name in sorted(watch.longest, key=lambda name: -watch.longest[name]):
        section.add(name, watch.longest[name], "ms", wanted=Wanted(MOST, most=True))
    section.details["calls"] = dict(watch.calls)
    return section


def _intake(watch: Watch, client: redis.Redis, maker: Maker, crowd: Crowd, size: Size) -> None:
    del client, crowd
    register = maker.store.intake.register
    maker.store.intake.register = lambda items: watch("register", lambda: register(items))  # type: ignore[method-assign]
    maker.register([f"new-{i}" for i in range(20 * size.rounds * 50)])
    maker.store.intake.register = register  # type: ignore[method-assign]
    for i in range(20):
        entry, _ = _entry(maker, "cancel")
        watch("cancel", lambda i=i, entry=entry: maker.store.intake.cancel(entry, f"new-{i}"))  # type: ignore[misc]


def _entry(maker: Maker, kind: str) -> tuple[str, Any]:
    entry: Any = maker._client.xadd(maker.store.keys.intake, {kind: "{}"})
    reply: Any = maker._client.xreadgroup("dispatchers", "benchmark", {maker.store.keys.intake: ">"})
    return entry.decode(), reply


def _admit(watch: Watch, store: Store) -> Admitted | None:
    admitted = watch("admit", lambda: store.submission.admit(uuid4().hex, "", 1.0))
    return admitted if isinstance(admitted, Admitted) else None


def _calls(watch: Watch, client: redis.Redis, maker: Maker, crowd: Crowd, size: Size) -> None:
    store = maker.store
    crowd.records("ready", range(200))
    client.zadd(store.keys.ready, {f"ready-{i}": i for i in range(200)})
    watch("plan_wakeups", store.timers.plan_wakeups)
    for i in range(min(50, size.few)):
        admitted = _admit(watch, store)
        if admitted is None:
            continue
        watch("mark", lambda a=admitted: store.submission.mark(a))  # type: ignore[misc]
        answer = {**ACCEPTED, "job_id": str(9_000_000 + i), "attempt": 1}
        watch("settle", lambda a=admitted, b=answer: store.submission.settle(a, b, permit=uuid4().hex))  # type: ignore[misc]
        watch("plan_wakeups", store.timers.plan_wakeups)
    checked = watch("acquire_check_permit", lambda: store.submission.acquire_check_permit("bench"))
    assert isinstance(checked, Admitted)
    watch(
        "report",
        lambda: store.submission.report(replace(checked, control_call=CHECK), {"decision": "refuse"}),
    )
    watch("offer", lambda: store.offer("worker bench:1"))
    watch("try_lock_reconcile", store.receipts.try_lock_reconcile)
    for _ in range(5):
        watch("the account's gauges (the whole transaction)", store.state)


def _lines(watch: Watch, client: redis.Redis, maker: Maker, crowd: Crowd, size: Size) -> None:
    """A hundred thousand wait for one number, and more that are ready find its line held."""
    del size
    refused = {"decision": "refuse", "reason": "r"}
    store, keys = maker.store, crowd.keys
    client.hset(keys.lines, NUMBER, f"* holder@{crowd.now + 10**9}")
    crowd.records("turned", range(1000))
    client.zadd(keys.ready, {f"turned-{i}": i for i in range(1000)})
    for _ in range(12):
        _admit(watch, store)
    for i in range(20):
        token = f"line-{i}"
        fields = {"state": "submitting", "permit": token, "marked": "1", "line": "1", "attempt": 1}
        crowd.records("holder", [i], **fields)
        client.hset(keys.lines, NUMBER, f"* holder-{i}@{crowd.now + 10**9}")
        client.zadd(keys.permits, {f"{token}|holder-{i}": crowd.now + 10**9})
        held = Admitted(token, f"holder-{i}", 1, "send", {}, NUMBER, "normal", None)
        watch("settle", lambda a=held: store.submission.settle(a, refused, permit=uuid4().hex))  # type: ignore[misc]
    off = Maker(client, "default", SETTINGS | {"NUMBERS__CONCURRENT": "0"}).store
    client.hset(keys.lines, NUMBER, "*")
    for _ in range(3):
        client.zadd(keys.lines_until, {NUMBER: 1})
        watch("run_timers", off.timers.run)
    client.hset(keys.lines, NUMBER, f"* holder@{crowd.now + 10**9}")


def _timers(watch: Watch, client: redis.Redis, maker: Maker, crowd: Crowd, size: Size) -> None:
    """Everything is due at once."""
    del client
    store, keys, many = maker.store, crowd.keys, min(2000, size.unmatched)
    crowd.unmatched(size.unmatched, due=False, to=OTHER)
    for name, policy in (("resend", "resend"), ("fail", "fail"), ("hold", "hold")):
        crowd.doubts(f"doubt-{name}", size.doubts // 3, in_doubt=policy)
    crowd.due("delayed", many, keys.delayed)
    crowd.due("expires", many, keys.expiring, expires_at=1)
    crowd.due("overdue", many, keys.submitted, state="submitted", job_id="1")
    crowd.due("scheduled", many, f"{keys.prefix}scheduled")
    crowd.index(keys.lines_until, ((f"+1202{6_000_000 + i}", 1) for i in range(many)))
    marked = crowd.records("lost", range(many), state="submitting", marked="1", permit="p")
    crowd.index(keys.permits, ((f"p|{job}", 1) for job in marked))
    crowd.index(keys.doubts_until, ((f"{NUMBER}|{i:015d}|gone", 1) for i in range(many)))
    for _ in range(30):
        watch("run_timers", store.timers.run)


def _receipts(watch: Watch, client: redis.Redis, maker: Maker, crowd: Crowd, size: Size) -> None:
    store, keys = maker.store, crowd.keys
    held = crowd.doubts("matched", size.doubts, in_doubt="hold")
    client.zadd(keys.in_doubt, dict.fromkeys(held, "+inf"))
    crowd.unmatched(size.unmatched, due=True)
    for _ in range(5):
        watch("match", store.receipts.match)
    crowd.records("told", range(500), state="submitted", line="1")
    for start in range(0, 500, 100):
        names = [f"told-{i}" for i in range(start, start + 100)]
        with client.pipeline(transaction=False) as pipe:
            for i, job in enumerate(names, start=start):
                pipe.set(f"{keys.job_ids}{7_000_000 + i}", job)
                pipe.hset(keys.job(job), "job_id", str(7_000_000 + i))
                pipe.xadd(keys.status, {"kind": "receipt", "body": "{" + "x" * 1000 + "}"})
            pipe.execute()
        read = watch("reading receipts", lambda: store.receipts.read(100))
        receipts = [
            (entry, {"job_id": str(7_000_000 + start + i), "outcome": "delivered", "pages": 3})
            for i, (entry, _) in enumerate(read)
        ]
        watch("receipt", lambda receipts=receipts: store.receipts.apply(receipts))  # type: ignore[misc]
    crowd.entries(keys.status, ({"kind": "receipt", "body": "{}"} for _ in range(100)))
    unknown = [
        (entry, {"job_id": str(8_000_000 + i), "outcome": "delivered", "to": NUMBER, "pages": 3})
        for i, (entry, _) in enumerate(store.receipts.read(100))
    ]
    watch("receipt", lambda: store.receipts.apply(unknown))


def _upkeep(watch: Watch, client: redis.Redis, maker: Maker, crowd: Crowd, size: Size) -> None:
    store, keys, upkeep = maker.store, crowd.keys, maker.store.maintenance
    for name in ("released", "outdated"):
        crowd.index(f"{keys.prefix}{name}", ((f"{name}-{i}", 1 + i) for i in range(size.orders)))
    crowd.records("outdated", range(min(2000, size.orders)), state="delivered")
    for _ in range(5):
        watch.each("tidy", client, upkeep.tidy)
    watch.each("init_account", client, store.schema.init_account)
    watch.each("forget_number", client, lambda: upkeep.forget_number(OTHER))
    ended = crowd.records("ended", range(20), state="delivered", **{f"h:{n}": "{}" for n in range(4, 60)})
    for job in ended:
        watch("forget", lambda job=job: upkeep.forget(job))  # type: ignore[misc]
    old = crowd.records("old", range(1000), v="1.0")
    for start in range(0, 1000, 200):
        page = old[start : start + 200]
        watch("upgrade", lambda page=page: store.schema.upgrade(page, [], look=False))  # type: ignore[misc]
    job = crowd.records("sealed", [0])[0]
    kept: Any = client.hget(keys.job(job), "request")
    watch("reseal_request", lambda: store._context.run("reseal_request", job, kept, kept, "request"))
    document = b"%PDF" + b"x" * 1_000_000
    watch("store_document", lambda: store.documents.store("sha256:" + "a" * 64, document))
    watch("reseal_document", lambda: store.documents.seal("sha256:" + "a" * 64, document))


def _orders(watch: Watch, client: redis.Redis, maker: Maker, crowd: Crowd, size: Size) -> None:
    del size
    store, keys = maker.store, crowd.keys
    found = watch("reading orders", store.orders.read)
    orders = iter([entry for entry, _ in found])
    for order in ("pause", "resume", "other"):
        watch("pause_or_resume", lambda order=order: store.orders.pause_or_resume(next(orders), order))  # type: ignore[misc]
    dead: Any = client.xrange(keys.dead, count=20)
    for entry, _ in dead[:10]:
        watch("redrive", lambda e=entry: store.orders.redrive(next(orders), e.decode()))  # type: ignore[misc]
    watch("reseal_dead", lambda: store.maintenance.reseal_dead(dead[15][0].decode(), "{}"))
    held = crowd.doubts("resolved", 30, in_doubt="hold")
    for how, job in zip(("accepted", "resend", "fail") * 10, held, strict=True):
        job_id = str(9_500_000 + int(job.rpartition("-")[2]))
        watch("resolve", lambda h=how, j=job, i=job_id: store.orders.resolve(next(orders), j, h, i))  # type: ignore[misc]
    crowd.entries(keys.status, ({"kind": "receipt", "body": "{}"} for _ in range(5)))
    for entry, _ in store.receipts.read(5):
        watch("set_aside", lambda e=entry: store.streams.set_aside("status", e, "malformed"))  # type: ignore[misc]
    watch("lock_maintenance", lambda: store.maintenance.lock("bench", 30))
    watch(
        "complete_order",
        lambda: store.maintenance.complete_order(next(orders), {"order": "forget"}, "done", {}, "bench"),
    )
