"""One run of the plain actor: the same faxes and faults, the kills of workers and Redis."""

import json
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dramatiq
import redis

from faxline_chaos import baseline
from faxline_chaos.baseline_verdict import BaselineEnd, baseline_end
from faxline_chaos.evidence import by_fax
from faxline_chaos.faults import Fax
from faxline_chaos.gathering import Say
from faxline_chaos.killing import run_hits
from faxline_chaos.producer import pushes
from faxline_chaos.rig import CREW, THREADS, sandbox_options, script_sandbox
from faxline_chaos.schedule import REDIS, Hit, Timetable, push_times
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import TOKEN, Local

STALL = 6 * baseline.HEARTBEAT
"""Seconds without a change after which a message counts as stranded."""
QUEUES = (f"dramatiq:{baseline.QUEUE}.msgs", f"dramatiq:{baseline.QUEUE}.DQ.msgs")
_LOOK = 1.0


def baseline_hits(hits: Sequence[Hit]) -> list[Hit]:
    """The hits on what the plain actor has: workers and Redis."""
    return [hit for hit in hits if hit.role in {"worker", REDIS}]


def run_baseline(
    faxes: Sequence[Fax],
    hits: Sequence[Hit],
    seed: int,
    folder: Path,
    *,
    say: Say,
    binary: ServerBinary | None = None,
) -> BaselineEnd:
    """Push, kill and wait as `campaign.run` does; then count.

    Args:
        faxes: what is pushed.
        hits: those of `baseline_hits`.
        seed: of the times of the pushes.
        folder: for the logs.
        say: gets a line on each part of the run.
        binary: the Redis server's.
    """
    local = Local(
        folder,
        dispatchers=0,
        workers=0,
        webhooks=0,
        sandbox=sandbox_options(),
        binary=binary,
        appendfsync="always",
    )
    with local:
        script_sandbox(local, faxes)
        environment = local.environment() | {
            baseline.URL: local.server.url(1),
            baseline.IFAX: f"{local.sandbox_url}/v1",
            baseline.TOKEN: TOKEN,
            "PYTHONPATH": str(Path(__file__).parents[1]),
        }
        command = [
            sys.executable,
            "-m",
            "dramatiq",
            "-p",
            "1",
            "-t",
            str(THREADS),
            f"{baseline.__name__}:broker",
        ]
        for i in range(CREW["workers"]):
            local.add(f"worker-{CREW['dispatchers'] + 1 + i}", command, environment)
        say(f"the plain actor: {len(faxes)} faxes and {len(hits)} kills and stalls")
        timetable = Timetable()
        producer = threading.Thread(
            target=_push,
            args=(local.server.url(1), faxes, push_times(seed, len(faxes), hits), timetable),
            daemon=True,
        )
        producer.start()
        run_hits(local, hits, timetable)
        producer.join()
        say("the plain actor: the last kill is over; waiting until its queue is empty or stands still")
        with redis.Redis.from_url(local.server.url(1)) as client:
            queued = _wait(client)
        local.control("POST", "drain?timeout=60", timeout=70)
        return baseline_end(faxes, by_fax(local.ledger()), queued, local.stats()["default"])


def _push(url: str, faxes: Sequence[Fax], times: Sequence[float], timetable: Timetable) -> None:
    broker = type(baseline.broker)(url=url)
    broker.declare_queue(baseline.QUEUE)
    for fax in pushes(faxes, times, timetable.due):
        message: dramatiq.Message[Any] = dramatiq.Message(
            queue_name=baseline.QUEUE,
            actor_name=baseline.ACTOR,
            args=(fax.number, fax.id),
            kwargs={},
            options={},
        )
        while not _enqueued(broker, message):
            threading.Event().wait(0.1)


def _enqueued(broker: dramatiq.Broker, message: "dramatiq.Message[Any]") -> bool:
    try:
        broker.enqueue(message)
    except (dramatiq.ConnectionClosed, dramatiq.ConnectionFailed, redis.RedisError):
        return False
    return True


def _wait(client: redis.Redis) -> frozenset[str]:
    """The faxes whose message is still there when nothing has changed for `STALL` seconds."""
    queued, since = _queued(client), time.monotonic()
    while queued and time.monotonic() - since < STALL:
        threading.Event().wait(_LOOK)
        found = _queued(client)
        if found != queued:
            queued, since = found, time.monotonic()
    return queued


def _queued(client: redis.Redis) -> frozenset[str]:
    texts: list[Any] = [text for queue in QUEUES for text in client.hvals(queue)]
    return frozenset(json.loads(text)["args"][1] for text in texts)
