"""Webhooks a second beside a bare endpoint, and receipts that `reconcile` applies a second."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_local.processes import START_TIMEOUT, free_port, wait_for
from faxline_local.stack import DEFAULT, WEBHOOK_SECRET, Local
from faxline_worker.receipts.signature import HEADER, sign
from tests.benchmarks.pushes import fax
from tests.benchmarks.speed.jobs import Maker
from tests.benchmarks.speed.load import Answers, Load, run_load
from tests.benchmarks.speed.sheet import Section, Wanted, median
from tests.benchmarks.speed.size import Size
from tests.benchmarks.speed.usage import Usage
from tests.benchmarks.speed.ways import FREE

CONNECTIONS = 16
BODIES = 200
FIRST_JOB_ID = 5_000_000
PATIENCE = 300.0


def run_webhooks(size: Size, logs: Path) -> Section:
    """Both halves."""
    section = Section("webhooks")
    _requests(section, size, logs / "requests")
    _receipts(section, size, logs / "receipts")
    return section


def receipt(job_id: int, number: str) -> bytes:
    """A webhook's body as iFax documents it: delivered."""
    data = {
        "jobId": job_id,
        "fromNumber": "+12025550100",
        "toNumber": number,
        "faxCallLength": 31,
        "faxCallStart": int(time.time()),
        "faxCallEnd": int(time.time()) + 31,
        "faxTotalPages": 1,
        "faxTransferredPages": 1,
        "faxStatus": "delivered",
        "direction": "sent",
        "message": "NORMAL_CLEARING",
        "code": 0,
    }
    return json.dumps({"status": 1, "message": "success", "data": data}).encode()


def _requests(section: Section, size: Size, logs: Path) -> None:
    found: dict[str, list[float]] = {"ours": [], "bare": []}
    cpu: dict[str, list[float]] = {"ours": [], "bare": []}
    with Local(logs, workers=0, dispatchers=0) as local, redis.Redis.from_url(local.redis_url) as client:
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "tests.benchmarks.speed.bare_webhook",
            str(port),
            local.server.url(5),
        ]
        bare = local.add("bare", [*command, WEBHOOK_SECRET])
        _await_answer(f"http://127.0.0.1:{port}/healthz")
        ours = local.part(local.names("webhook")[0])
        contenders = {
            "ours": (ours, f"http://127.0.0.1:{local.webhook_port}/webhooks/ifax/{DEFAULT}"),
            "bare": (bare, f"http://127.0.0.1:{port}/hook"),
        }
        for _ in range(size.rounds):
            for name, (part, url) in contenders.items():
                usage = Usage({name: [part.process.pid]}, {})
                answers = _load(url, size.webhook_seconds)
                found[name].append(answers.a_second)
                cpu[name].append(1000 * usage.seconds()[name] / sum(answers.statuses.values()))
                client.delete(RedisKeys(DEFAULT).status)
    section.add(
        "webhooks a second",
        median(found["ours"]),
        baseline=median(found["bare"]),
        beside="bare endpoint",
        wanted=Wanted(0.8, of="ratio"),
    )
    section.add("CPU ms a webhook", median(cpu["ours"]), baseline=median(cpu["bare"]), beside="bare endpoint")


def _load(url: str, seconds: float) -> Answers:
    bodies = tuple(
        (body.decode(), {HEADER: sign(body, WEBHOOK_SECRET.encode())})
        for body in (receipt(FIRST_JOB_ID + i, "+12025550123") for i in range(BODIES))
    )
    answers = run_load(Load(url, {"content-type": "application/json"}, bodies, CONNECTIONS, seconds))
    if set(answers.statuses) != {"204"}:
        raise RuntimeError(f"not every webhook is answered 204: {dict(answers.statuses)}")
    return answers


def _receipts(section: Section, size: Size, logs: Path) -> None:
    rounds = [_reconciled(size.receipts, logs / str(i)) for i in range(size.rounds)]
    rates, cpu = [rate for rate, _ in rounds], [used for _, used in rounds]
    section.add("receipts applied a second, one worker process", median(rates), wanted=Wanted(3000))
    section.details["CPU ms a receipt by part"] = {
        part: median([one[part] for one in cpu]) for part in cpu[0]
    }


def _reconciled(count: int, logs: Path) -> tuple[float, dict[str, float]]:
    """Receipts a second, and CPU milliseconds a receipt.

    They wait on the status stream, then a dispatcher starts. It is counted from the first that has gone, so
    that no start is in it.
    """
    status = RedisKeys(DEFAULT).status
    with (
        Local(logs, dispatchers=0, webhooks=0, settings=FREE) as local,
        redis.Redis.from_url(local.redis_url) as client,
    ):
        maker, names = Maker(client, DEFAULT, FREE), [f"r-{n}" for n in range(count)]
        maker.register(names)
        maker.submit(count, FIRST_JOB_ID)
        _store(
            client,
            status,
            [receipt(FIRST_JOB_ID + n, fax(name)["faxNumber"]) for n, name in enumerate(names)],
        )
        local._add("dispatcher-9", "dispatcher")
        groups = {name: [local.part(name).process.pid] for name in local.metrics}
        _await(lambda: client.xlen(status) < count)
        left, began, usage = (
            max(1, client.xlen(status)),  # all may have gone by one look to the next, where there are few
            time.perf_counter(),
            Usage(groups, {"redis": local.server.pid}),
        )
        _await(lambda: client.xlen(status) == 0)
        rate = left / (time.perf_counter() - began)
        used = usage.seconds()
    return rate, {name.partition("-")[0]: 1000 * seconds / left for name, seconds in used.items()}


def _await(condition: Callable[[], bool]) -> None:
    if not wait_for(condition, PATIENCE, every=0.005):
        raise TimeoutError(f"the receipts are not applied after {PATIENCE:g} s")


def _store(client: redis.Redis, stream: str, bodies: Sequence[bytes]) -> None:
    with client.pipeline(transaction=False) as pipe:
        for body in bodies:
            fields: dict[Any, Any] = {"body": body, "kind": b"receipt", "at": b"%d" % (time.time() * 1000)}
            pipe.xadd(stream, fields)
        pipe.execute()


def _await_answer(url: str) -> None:
    with httpx.Client(trust_env=False) as http:

        def answers() -> bool:
            try:
                return http.get(url).is_success
            except httpx.HTTPError:
                return False

        if not wait_for(answers, START_TIMEOUT):
            raise TimeoutError("the bare endpoint did not start; see its log")
