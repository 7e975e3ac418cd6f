"""Slow clients, thousands of them, at the door of a real webhook: each is closed, and iFax is let in."""

import asyncio
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import httpx
import pytest

from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import RedisKeys
from faxline_chaos.slow import KINDS, hold
from faxline_local.stack import WEBHOOK_SECRET, Local
from faxline_worker.receipts.signature import HEADER, sign

pytestmark = pytest.mark.slow

MOST = 100
SETTINGS = {
    "WEBHOOK__CONNECTIONS": str(MOST),
    "WEBHOOK__HEADER_TIMEOUT": "1",
    "WEBHOOK__BODY_TIMEOUT": "1",
    "WEBHOOK__IDLE_TIMEOUT": "2",
}
PATIENCE = 5.0
"""Seconds that iFax waits for an answer in these tests."""


@pytest.fixture
def local(make_local: Callable[..., Local], tmp_path: Path) -> Iterator[Local]:
    with make_local(tmp_path, dispatchers=0, workers=0, settings=SETTINGS) as running:
        yield running


def metrics(local: Local) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{local.metrics['webhook-1']}/metrics", trust_env=False).text
    return {name: float(value) for name, value in re.findall(r"^(fax_webhook\S+) (\S+)$", text, re.MULTILINE)}


def closed(local: Local, reason: str) -> float:
    return metrics(local)[f'fax_webhook_connections_closed_total{{reason="{reason}"}}']


class Ifax:
    """iFax, which sends one webhook after another in a thread of its own, and none twice."""

    def __init__(self, local: Local, *, keep: bool = False) -> None:
        self._url = f"http://127.0.0.1:{local.webhook_port}/webhooks/ifax/default"
        self._keep = keep
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._send, name="ifax")
        self.answers: list[int | str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _send(self) -> None:
        limits = httpx.Limits(max_keepalive_connections=1 if self._keep else 0)
        with httpx.Client(trust_env=False, timeout=PATIENCE, limits=limits) as http:
            while not self._over.wait(0.01):
                body = json.dumps({"jobId": len(self.answers) + 1, "faxStatus": "delivered"}).encode()
                try:
                    signature = sign(body, WEBHOOK_SECRET.encode())
                    answer = http.post(self._url, content=body, headers={HEADER: signature})
                except httpx.HTTPError as error:
                    self.answers.append(type(error).__name__)
                else:
                    self.answers.append(answer.status_code)


@pytest.mark.parametrize("keep", [True, False])
def test_every_slow_client_is_closed_while_ifax_is_answered(local: Local, keep: bool) -> None:
    async def run() -> list[bool]:
        return await asyncio.gather(*(hold(local.webhook_port, kind) for kind in KINDS for _ in range(5)))

    with Ifax(local, keep=keep) as ifax:
        assert asyncio.run(run()) == [True] * 5 * len(KINDS)
    assert set(ifax.answers) == {204}
    assert len(ifax.answers) > 20
    assert closed(local, "header") >= 5 * 5
    assert closed(local, "idle") >= 5
    assert closed(local, "pipelined") == 5
    assert closed(local, "crowded") == 0
    with connect(local.redis_url) as client:
        assert client.xlen(RedisKeys("default").status) == len(ifax.answers)


@pytest.mark.parametrize("kind", ["silent", "half a header", "half a body", "kept and unused"])
def test_thousands_of_connections_keep_ifax_from_nothing_and_stay_below_the_ceiling(
    local: Local, kind: str
) -> None:
    most = []

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(30):
                for _ in range(100):
                    group.create_task(hold(local.webhook_port, kind))
                await asyncio.sleep(0.05)
                most.append((await asyncio.to_thread(metrics, local))["fax_webhook_connections"])

    with Ifax(local) as ifax:
        asyncio.run(run())
    assert set(ifax.answers) == {204}
    assert len(ifax.answers) > 20
    assert max(most) <= MOST + 1000  # what came in the last moment
    assert closed(local, "crowded") >= 1000
    log = local.part("webhook-1").log.read_text()
    assert log.count("reached its ceiling of connections") == 1
    assert "Traceback" not in log
