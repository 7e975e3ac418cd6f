"""The webhook on a real Redis: what it stores, with which rights, and what it says while Redis is away."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import pytest
import redis
import structlog
from prometheus_client import CollectorRegistry

from faxline.contract.redis_keys import RedisKeys
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.ifax.webhook_access import WebhookSecrets
from faxline_worker.observability.metrics.webhook import WebhookMetrics
from faxline_worker.receipts.refused_webhooks import RefusedWebhooks
from faxline_worker.receipts.signature import HEADER, sign
from faxline_worker.receipts.status_writer import RedisStatusWriter
from faxline_worker.receipts.webhook import create_app
from faxline_worker.state.redis_clients import async_state_client

SECRET = b"a made-up secret"
FAX = {
    "jobId": 12345,
    "toNumber": "+15065001844",
    "faxStatus": "delivered",
    "message": "NORMAL_CLEARING",
    "code": 0,
}
RECEIPT = json.dumps({"event": "fax.completed", "timestamp": 1610966723, "data": FAX}).encode()


@asynccontextmanager
async def on_redis(url: str, store_timeout: float = 10.0) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of an app that writes to this Redis."""
    client = async_state_client(url)
    accounts = {"default": WebhookSecrets(signature=[SECRET])}
    app = create_app(
        accounts=accounts,
        store=RedisStatusWriter(client, ["default"]),
        metrics=WebhookMetrics(CollectorRegistry(), accounts),
        log=structlog.get_logger(),
        refused=RefusedWebhooks(),
        body_timeout=10.0,
        store_timeout=store_timeout,
    )
    transport = httpx.ASGITransport(cast("Any", app))
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://webhook") as http:
            yield http
    finally:
        await client.aclose()


async def post_to(http: httpx.AsyncClient, body: bytes = RECEIPT) -> int:
    return (
        await http.post("/webhooks/ifax/default", content=body, headers={HEADER: sign(body, SECRET)})
    ).status_code


@pytest.fixture
def confined_url(redis_url: str, redis_client: redis.Redis) -> Iterator[str]:
    """The URL of a user who may add to status streams and nothing else."""
    redis_client.acl_setuser(
        "webhook",
        enabled=True,
        passwords=["+made-up"],
        keys=["fax:{*}:status"],
        commands=["+xadd"],
        categories=["+@connection"],
        reset=True,
    )
    yield redis_url.replace("://", "://webhook:made-up@")
    redis_client.acl_deluser("webhook")


def test_a_user_who_may_only_xadd_to_status_streams_is_enough(
    confined_url: str, redis_client: redis.Redis
) -> None:
    async def scenario() -> None:
        async with on_redis(confined_url) as http:
            assert await post_to(http) == 204
            assert await post_to(http, b"nonsense") == 204
            assert (await http.get("/readyz")).status_code == 200

    asyncio.run(scenario())
    entries = cast("list[Any]", redis_client.xrange(RedisKeys("default").status))
    assert [(fields[b"kind"], fields[b"body"]) for _, fields in entries] == [
        (b"receipt", RECEIPT),
        (b"malformed", b"nonsense"),
    ]
    assert all(int(fields[b"at"]) > 0 and len(fields) == 3 for _, fields in entries)


def test_a_redis_that_freezes_or_ends_is_a_503_until_it_is_back(server_binary: ServerBinary) -> None:
    async def scenario(server: RedisServer) -> None:
        async with on_redis(server.url(), store_timeout=0.3) as http:
            assert await post_to(http) == 204
            server.pause()
            assert await post_to(http) == 503
            assert (await http.get("/readyz")).status_code == 503
            server.resume()
            assert await post_to(http) == 204
            server.kill()
            assert await post_to(http) == 503
            assert (await http.get("/readyz")).json() == {"redis": False}
            server.restart()
            assert await post_to(http) == 204
            assert (await http.get("/readyz")).status_code == 200

    with RedisServer(binary=server_binary) as server:
        asyncio.run(scenario(server))


def test_webhooks_that_come_together_are_each_stored_once_and_one_that_is_refused_fails_alone(
    redis_url: str, redis_client: redis.Redis
) -> None:
    redis_client.set(RedisKeys("broken").status, "no stream")

    async def scenario() -> list[BaseException | None]:
        client = async_state_client(redis_url)
        try:
            store = RedisStatusWriter(client, ["default"])
            accounts = ["broken" if i == 7 else "default" for i in range(200)]
            adds = (store.add(account, {"body": b"%d" % i}) for i, account in enumerate(accounts))
            return await asyncio.gather(*adds, return_exceptions=True)
        finally:
            await client.aclose()

    answers = asyncio.run(scenario())
    assert [i for i, answer in enumerate(answers) if answer is not None] == [7]
    assert isinstance(answers[7], redis.ResponseError)
    entries = cast("list[Any]", redis_client.xrange(RedisKeys("default").status))
    assert [int(fields[b"body"]) for _, fields in entries] == [i for i in range(200) if i != 7]
