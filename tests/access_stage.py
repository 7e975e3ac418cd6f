"""What the hostile suite stages in Redis and reads from it, and what answers its orders."""

import asyncio
import contextlib
import json
import math
import threading
from typing import Any, Self

import httpx
import redis

from faxline.contract.redis_keys import RedisKeys
from faxline_console.access.guard import COOKIE

KEYS = RedisKeys("north")
NUMBER = "+12025550168"
STATES = {"now": "queued", "doubt": "in_doubt", "over": "failed", "lost": "unconfirmed"}
"""The faxes that are tried, and their states."""
SECRET = "zq-subject-of-billing"
"""The subject of every fax that is tried: nobody of another account or department may read it."""


def stage(client: redis.Redis) -> None:
    """The faxes that are tried."""
    told = {"number": NUMBER, "metadata": json.dumps({"department": "billing", "subject": SECRET})}
    step = json.dumps({"event": "fax.queued", "at": 1, "state": "queued", "attempt": 0})
    with client.pipeline() as pipe:
        for job, state in STATES.items():
            fields: Any = {"state": state, "created_at": 1, "updated_at": 2, "n": 1, "h:1": step, "job_id": 5}
            pipe.hset(KEYS.job(job), mapping=fields | told)
        pipe.zadd(KEYS.ready, {"now": 1})
        pipe.zadd(KEYS.in_doubt, {"doubt": math.inf})
        pipe.sadd(KEYS.group("june"), "now")
        pipe.execute()


def content(client: redis.Redis) -> dict[bytes, bytes]:
    """Everything in the database."""
    keys: Any = client.keys()
    with client.pipeline() as pipe:
        for key in keys:
            pipe.dump(key)
        return dict(zip(keys, pipe.execute(), strict=True))


def named(client: redis.Redis) -> frozenset[str]:
    """Who is named by the orders and the entries of north."""
    orders: Any = client.xrange(KEYS.orders)
    entries: Any = client.xrange(KEYS.intake)
    found = [fields.get(b"by", b"").decode() for _, fields in orders]
    found += [json.loads(text).get("by") or "" for _, fields in entries for text in fields.values()]
    return frozenset(by.partition(":")[0] for by in found if by)


async def begun(app: Any, path: str, cookie: str) -> httpx.Response:
    """How an answer begins that never ends."""
    start: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            start.set_result(message)

    headers = [(b"host", b"console"), (b"cookie", f"{COOKIE}={cookie}".encode())]
    scope = {"type": "http", "method": "GET", "path": path, "query_string": b"", "headers": headers}
    answering = asyncio.ensure_future(
        app({**scope, "client": ("192.0.2.7", 5), "server": ("console", 80)}, receive, send)
    )
    message = await start
    answering.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await answering
    return httpx.Response(message["status"], headers=message["headers"])


class Answers(threading.Thread):
    """Answers north's orders as a dispatcher does, without carrying them out."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(daemon=True)
        self._client = client
        self._over = threading.Event()
        self.looking = threading.Lock()
        """Held while orders are answered; who empties the database takes it."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()

    def run(self) -> None:
        """Answer until the end."""
        told = json.dumps({"forgotten": 1, "state": "failed"})
        while not self._over.wait(0.005):
            with self.looking:
                orders: Any = self._client.xrange(KEYS.orders)
                for entry, _ in orders:
                    reply = KEYS.reply(entry.decode())
                    if not self._client.exists(reply):
                        self._client.xadd(reply, {"result": "done", "told": told})
