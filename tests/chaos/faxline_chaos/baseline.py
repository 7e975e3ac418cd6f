"""For comparison: a Dramatiq actor with `max_retries` on its own RedisBroker; it POSTs by httpx.

It is the program of its worker processes (`dramatiq faxline_chaos.baseline:broker`) and gives the producer
its actor. Its waits are scaled as Faxline's are, the broker's too: a killed worker's messages are taken back
after HEARTBEAT instead of a minute, and the broker looks for them at every command instead of every
thousandth, which is kinder than the stock.
"""

import os
from typing import Any

import dramatiq
import httpx
from dramatiq.brokers.redis import RedisBroker

URL = "BASELINE_REDIS_URL"
IFAX = "BASELINE_IFAX_URL"
TOKEN = "BASELINE_TOKEN"
QUEUE = "baseline"
ACTOR = "send_fax"

HEARTBEAT = 10.0
"""Seconds after which the broker takes a silent worker for dead."""

broker = RedisBroker(  # type: ignore[no-untyped-call]
    url=os.environ.get(URL, "redis://127.0.0.1:6379/1"),
    heartbeat_timeout=round(HEARTBEAT * 1000),
    maintenance_chance=1_000_000,  # of a million
)


def send_fax(number: str, subject: str) -> None:
    """POST one fax; whatever is not a jobId is an error, and Dramatiq tries again."""
    request: dict[str, Any] = {
        "faxNumber": number,
        "subject": subject,
        "faxData": [{"fileName": "chaos.pdf", "fileUrl": "https://example.com/chaos.pdf"}],
    }
    answer = httpx.post(
        f"{os.environ[IFAX]}/customer/fax-send",
        json=request,
        headers={"accessToken": os.environ[TOKEN]},
        timeout=2.0,
        trust_env=False,
    )
    answer.raise_for_status()
    if not answer.json()["data"]["jobId"]:
        raise ValueError("no jobId")


dramatiq.actor(
    broker=broker,
    actor_name=ACTOR,
    queue_name=QUEUE,
    max_retries=20,
    min_backoff=200,
    max_backoff=2000,
)(send_fax)
