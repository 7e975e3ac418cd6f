"""Redis becomes full in the middle of a run: pushes and webhooks are refused, registered jobs go on."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from faxline import FaxLine, JobState, QueueUnavailable
from faxline.contract.connections.redis_url import connect
from faxline_local.stack import WEBHOOK_SECRET, Local
from faxline_worker.receipts.signature import HEADER, sign
from tests.clusters import nodes_of

pytestmark = pytest.mark.slow

JOBS = [f"inside-{i}" for i in range(20)]
SETTINGS = {"LIMITS__CONCURRENCY": "4", "WAKE_LEASE": "2", "SWEEP": "2"}
SANDBOX = (
    *("--answer-seconds", "0.2", "0.4", "--call-seconds", "0.1", "--page-seconds", "0.02"),
    *("--time-scale", "0.002"),
)


def test_a_full_redis_refuses_what_is_new_and_finishes_what_it_has(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with (
        make_local(tmp_path, settings=SETTINGS, sandbox=SANDBOX) as local,
        FaxLine(local.url_of("producer")) as line,
        connect(local.redis_url) as client,
    ):
        for i, job in enumerate(JOBS):
            document = (f"{job}.txt", f"The letter of {job}.".encode())
            line.send(to=f"+1202{6_000_000 + i}", files=[document], id=job, subject=job)
        wait_until(lambda: client.zcard(line.keys.permits) > 0, timeout=30)
        for node in nodes_of(client):
            node.config_set("maxmemory", 1)
        with pytest.raises(
            QueueUnavailable, match=r"Redis at (\S+|the cluster of .+) is full and took nothing"
        ):
            line.send(to="+12025550123", files=[("late.txt", b"Too late.")], id="late")
        body = json.dumps({"jobId": 1, "faxStatus": "delivered"}).encode()
        answer = httpx.post(
            f"http://127.0.0.1:{local.webhook_port}/webhooks/ifax/default",
            content=body,
            headers={HEADER: sign(body, WEBHOOK_SECRET.encode())},
            trust_env=False,
            timeout=20,
        )
        assert (answer.status_code, "Retry-After" in answer.headers) == (503, True)
        wait_until(lambda: len(local.ledger()) == len(JOBS), timeout=30)
        wait_until(lambda: client.zcard(line.keys.permits) == 0)
        states = Counter(line.job(job).state for job in JOBS)
        assert set(states) <= {JobState.SUBMITTED, JobState.DELIVERED}
        assert states[JobState.SUBMITTED]  # their receipts cannot come in
        for node in nodes_of(client):
            node.config_set("maxmemory", 0)
        assert Counter(line.wait(job, timeout=60).state for job in JOBS) == {JobState.DELIVERED: len(JOBS)}
        names = Counter(event.name for event in line.events(after="0", timeout=0.1))
        assert names == dict.fromkeys(("fax.queued", "fax.submitted", "fax.delivered"), len(JOBS))
        assert Counter(fax["subject"] for fax in local.ledger()) == dict.fromkeys(JOBS, 1)
        assert all(part.process.poll() is None for part in local.parts)
    assert set(local.exit_codes.values()) == {0}
