"""Clients of a webhook that are slow on purpose: each holds a connection until the server ends it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress

from faxline_chaos.oddities import PATH

PATIENCE = 120.0
"""Seconds for which a client waits to be closed."""
PAUSE = 0.05
"""Seconds between two bytes of a client that trickles."""
_HEAD = b"POST " + PATH + b" HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
_ELSEWHERE = b"POST /elsewhere HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
_REQUEST = b"GET /elsewhere HTTP/1.1\r\nHost: a\r\n\r\n"
_MANY = 200

Sent = AsyncIterator[bytes]


async def _silent() -> Sent:
    yield b""


async def _half_header() -> Sent:
    yield _HEAD


async def _trickled_header() -> Sent:
    yield _HEAD
    while True:
        for byte in b"X-Slow: x\r\n":
            yield bytes([byte])
            await asyncio.sleep(PAUSE)


async def _endless_header() -> Sent:
    yield _HEAD + b"X-Long: "
    while True:
        yield b"x" * 65536


async def _half_body() -> Sent:
    yield _HEAD + b'\r\n{"jobId":'


async def _trickled_body() -> Sent:
    yield _HEAD + b"\r\n"
    while True:
        yield b" "
        await asyncio.sleep(PAUSE)


async def _ignored_body() -> Sent:
    """Of a request that is answered before its body is whole."""
    yield _ELSEWHERE
    while True:
        yield b" "
        await asyncio.sleep(PAUSE)


async def _kept() -> Sent:
    """One request, and then nothing more."""
    yield _REQUEST


async def _half_second_request() -> Sent:
    yield _REQUEST
    await asyncio.sleep(PAUSE)
    yield _HEAD


async def _on_and_on() -> Sent:
    """Requests whose answers nobody waits for or reads."""
    while True:
        yield _REQUEST * _MANY


KINDS: Mapping[str, Callable[[], Sent]] = {
    "silent": _silent,
    "half a header": _half_header,
    "a header byte by byte": _trickled_header,
    "an endless header": _endless_header,
    "half a body": _half_body,
    "a body byte by byte": _trickled_body,
    "a body that nobody reads byte by byte": _ignored_body,
    "kept and unused": _kept,
    "half a second request": _half_second_request,
    "requests on and on": _on_and_on,
}
"""What such clients do."""


async def hold(port: int, kind: str, opened: Callable[[], None] = lambda: None) -> bool:
    """Connect, be slow, and wait for the end; whether the server ended it.

    Args:
        port: on the loopback.
        kind: of `KINDS`.
        opened: called when the connection is made.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
    opened()
    sending = asyncio.create_task(_send(writer, KINDS[kind]()))
    try:
        async with asyncio.timeout(PATIENCE):
            with suppress(OSError):
                while await reader.read(65536):
                    pass
    except TimeoutError:
        return False
    else:
        return True
    finally:
        sending.cancel()
        writer.transport.abort()
        await asyncio.gather(sending, return_exceptions=True)


async def _send(writer: asyncio.StreamWriter, sent: Sent) -> None:
    """Send until the connection is lost."""
    with suppress(OSError):
        async for data in sent:
            writer.write(data)
            await writer.drain()
