"""The network between two processes: a relay that can be closed, or refuse like a firewall."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

REFUSAL = b"<html><body>Request blocked</body></html>"
_ANSWER = (
    b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(REFUSAL), REFUSAL)
)
_PIECE = 65536


class Relay:
    """Passes connections on to a port of this machine, from a port of its own that stays the same.

    `close_port` is iFax away: the port is closed and what is open is cut. `refuse` is a firewall that
    answers each request with an HTML page of its own. `open_port` ends both. `bar` parts it from some
    callers, `hold` from all, in silence. It runs in a thread of its own until `close`.

    Args:
        target: the port that is passed on to.
        host, port: where it listens; port 0 takes a free one.
    """

    port: int
    """The port to call."""

    def __init__(self, target: int, host: str = "127.0.0.1", port: int = 0) -> None:
        self._target = target
        self._refusing = False
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], str] = {}
        self._barred: frozenset[str] | None = frozenset()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="relay", daemon=True)
        self._thread.start()
        self._host, self.port = host, port
        self._flows = asyncio.Event()
        self._flows.set()
        self._await(self._listen())

    def close_port(self) -> None:
        """Close the port and cut what is open."""
        self._await(self._hang_up())

    def refuse(self) -> None:
        """Answer every request with 403 and an HTML page; nothing is passed on."""
        self._refusing = True
        self._await(self._cut())

    def open_port(self) -> None:
        """Pass on again."""
        self._refusing = False
        if self._server is None:
            self._await(self._listen())

    def bar(self, *callers: str) -> None:
        """Cut what these addresses have open, and pass on no more for them; none: for anybody."""
        self._barred = frozenset(callers) or None
        self._await(self._cut(self._is_barred))

    def admit(self) -> None:
        """Pass on for everybody again."""
        self._barred = frozenset()
        self._loop.call_soon_threadsafe(self._flows.set)

    def hold(self) -> None:
        """Pass nothing on, and close nothing, as if the network lost everything."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def close(self) -> None:
        """End it."""
        self._await(self._hang_up())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _await(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, self._host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _hang_up(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut()

    def _is_barred(self, caller: str) -> bool:
        return self._barred is None or caller in self._barred

    async def _cut(self, chosen: Callable[[str], bool] = lambda _: True) -> None:
        tasks = [task for task, caller in self._open.items() if chosen(caller)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # a transport that was aborted closes in the loop's next turn

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        caller = self._open[task] = writer.get_extra_info("peername")[0]
        try:
            with contextlib.suppress(OSError, EOFError, ValueError, asyncio.CancelledError):
                if not self._is_barred(caller):
                    await (_refuse if self._refusing else self._pass_on)(reader, writer)
        finally:
            del self._open[task]
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        try:
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        finally:
            back.transport.abort()

    async def _copy(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while piece := await source.read(_PIECE):
            await self._flows.wait()
            target.write(piece)
            await target.drain()
        target.write_eof()


async def _refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the whole request, so that the answer is not lost in a reset, and answer it."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, rest = head.partition(b"content-length:")
    left = int(rest.split(b"\r\n")[0] or 0)
    while left > 0 and (piece := await reader.read(min(left, _PIECE))):
        left -= len(piece)
    writer.write(_ANSWER)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
