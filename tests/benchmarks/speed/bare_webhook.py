"""`python -m tests.benchmarks.speed.bare_webhook PORT REDIS_URL SECRET`: the baseline of the webhook.

A bare Starlette endpoint on uvicorn that checks the HMAC of a body and adds it to a stream.
"""

import hashlib
import hmac
import sys

import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

STREAM = "bare"


def create_app(url: str, secret: bytes) -> Starlette:
    """The endpoint; its client connects with the first request."""
    client = redis.asyncio.Redis.from_url(url)

    async def receive(request: Request) -> Response:
        body = await request.body()
        signed = hmac.new(secret, body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(signed, request.headers.get("x-ifax-signature", "")):
            return Response(status_code=401)
        await client.xadd(STREAM, {"body": body})
        return Response(status_code=204)

    async def healthy(request: Request) -> Response:
        del request
        return Response()

    return Starlette(
        routes=[Route("/hook", receive, methods=["POST"]), Route("/healthz", healthy, methods=["GET"])]
    )


def main() -> None:
    """Serve."""
    port, url, secret = sys.argv[1:]
    uvicorn.run(
        create_app(url, secret.encode()),
        port=int(port),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
    )


if __name__ == "__main__":
    main()
