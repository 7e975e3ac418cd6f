"""`python -m tests.benchmarks.speed.stub PORT`: costs next to nothing, in the sandbox's place.

It accepts every POST with the next jobId and keeps when each came. So what is measured beside it is the
caller. `GET /stats` tells how many came, and when the first and the last; `GET /arrivals` when each did, by
the subject of its fax; `DELETE /` forgets.
"""

import asyncio
import json
import re
import sys
import time

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_SUBJECT = re.compile(rb'"subject": ?"([^"]*)"')


class Arrivals:
    """What came."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.by_subject: dict[str, float] = {}
        self.next_id = 1_000_000

    def stats(self) -> dict[str, float]:
        """How many, the first and the last in Unix seconds."""
        return {"count": len(self.at), "first": min(self.at, default=0.0), "last": max(self.at, default=0.0)}

    def forget(self) -> None:
        """Begin anew; the jobIds go on."""
        self.at.clear()
        self.by_subject.clear()


class Answering(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._data = b""
        self._began = 0.0
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._began = self._began or time.time()  # the first byte of this request
        self._data += data
        while (end := self._data.find(b"\r\n\r\n")) >= 0:
            found = _LENGTH.search(self._data, 0, end)
            whole = end + 4 + (int(found[1]) if found else 0)
            if len(self._data) < whole:
                return
            request, self._data = self._data[:whole], self._data[whole:]
            self._transport.write(self._answer(request))
            self._began = 0.0

    def _answer(self, request: bytes) -> bytes:
        arrivals = self._arrivals
        if request.startswith(b"POST"):
            arrivals.at.append(self._began)
            if found := _SUBJECT.search(request):
                arrivals.by_subject.setdefault(found[1].decode(), self._began)
            arrivals.next_id += 1
            body = b'{"status":1,"message":"Fax accepted","data":{"jobId":%d}}' % arrivals.next_id
        elif request.startswith(b"GET /arrivals"):
            body = json.dumps(arrivals.by_subject).encode()
        else:
            if request.startswith(b"DELETE"):
                arrivals.forget()
            body = json.dumps(arrivals.stats()).encode()
        head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
        return head + body


async def serve(port: int) -> None:
    """Answer for ever."""
    arrivals = Arrivals()
    server = await asyncio.get_running_loop().create_server(
        lambda: Answering(arrivals), "127.0.0.1", port, backlog=1024
    )
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
