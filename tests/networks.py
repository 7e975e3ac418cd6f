"""A network that lets nobody out directly, on the loopback: a CONNECT proxy, and an iFax behind TLS."""

import asyncio
import base64
import re
import ssl
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Literal, Self

from faxline_local.processes import free_port
from faxline_local.redis_access import Tls

IFAX = "ifax.invalid"
"""A name that no resolver knows: only the proxy finds it."""

Mood = Literal["tunnel", "silent", "trickle", "chatter", "garbage", "hangup", "early", "deaf"] | int
"""What the proxy does with CONNECT: it makes a tunnel, or answers a status; it says nothing; it sends headers
without end, a byte at a time, or 1xx; no HTTP; it closes; it speaks before it is asked; it makes a tunnel
to nobody."""


class _Server:
    """An asyncio server in a thread, that can be stopped and started again on its port."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=type(self).__name__)
        self._thread.start()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[Any]] = set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def start(self) -> None:
        """Listen."""
        self._run(self._start())

    def stop(self) -> None:
        """Close the port and every connection."""
        self._run(self._stop())

    def _run(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(30)

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", self.port, ssl=self._tls)

    async def _stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._server.wait_closed()
        self._server = None

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self.serve(reader, writer)
        writer.close()
        with suppress(OSError, asyncio.CancelledError):
            await writer.wait_closed()
        self._open.discard(task)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        raise NotImplementedError


class TlsFront(_Server):
    """TLS in front of a plain port.

    Args:
        tls: its certificate.
        behind: the port on the loopback; it may be told later.
    """

    def __init__(self, tls: Tls, behind: int = 0) -> None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(tls.certificate, tls.key)
        super().__init__(context)
        self.behind = behind

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _join(reader, writer, self.behind)


class ConnectProxy(_Server):
    """A proxy whose every tunnel ends at one port, wherever it is asked to.

    Args:
        behind: the port on the loopback; it may be told later.
        login: `user:password` that it demands.
    """

    def __init__(self, behind: int, login: str = "") -> None:
        super().__init__()
        self.behind = behind
        self._login = login
        self.mood: Mood = "tunnel"
        self.asked: list[str] = []
        """Where each CONNECT wanted to."""
        self.tunnels = 0
        """How many it made."""

    @property
    def url(self) -> str:
        """What FAXLINE_IFAX_PROXY names."""
        login = f"{self._login}@" if self._login else ""
        return f"http://{login}127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        wanted = re.match(r"CONNECT (\S+) HTTP/1\.1\r\n", head)
        assert wanted is not None
        self.asked.append(wanted[1])
        status = self.mood if isinstance(self.mood, int) else 200
        basic = base64.b64encode(self._login.encode()).decode()
        if self._login and f"Proxy-Authorization: Basic {basic}\r\n" not in head:
            status = 407
        answer = f"HTTP/1.1 {status} So\r\n\r\n".encode()
        if status // 100 != 2:  # as proxies do: a page of HTML
            answer = answer[:-2] + b"Content-Length: 13\r\n\r\n<html></html>"
        odd: dict[Mood, tuple[bytes, bytes, bool]] = {  # at once, again and again, for ever
            "silent": (b"", b"", True),
            "trickle": (answer[:-2], b"X-Slow: x\r\n", True),
            "chatter": (b"", b"HTTP/1.1 103 Early Hints\r\n\r\n", True),
            "garbage": (b"SSH-2.0-OpenSSH_9.2\r\n", b"", False),
            "hangup": (b"", b"", False),
            "early": (answer + b"HTTP/1.1 200 OK\r\n", b"", False),
            "deaf": (answer, b"", True),
        }
        if self.mood in odd:
            at_once, again, for_ever = odd[self.mood]
            writer.write(at_once)
            while for_ever:
                await asyncio.sleep(0.01)
                writer.write(again[:1])
                again = again[1:] + again[:1]
                await writer.drain()
            return
        writer.write(answer)
        if status // 100 == 2:
            self.tunnels += 1
            await _join(reader, writer, self.behind)


async def _join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    """Pass bytes on in both directions until one side is over."""
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        ways = [
            asyncio.create_task(_pass_on(reader, inner_writer)),
            asyncio.create_task(_pass_on(inner_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
    finally:
        inner_writer.close()
        with suppress(OSError):
            await inner_writer.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
