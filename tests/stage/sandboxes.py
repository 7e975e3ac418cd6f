"""Requests to a sandbox, what it answers, and who takes its webhooks."""

import base64
import json
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from faxline_sandbox import (
    Account,
    Limits,
    SandboxConfig,
    SandboxServer,
)

LIMITS = Limits(requests=100_000, window=1, concurrency=1000, burst=100_000)
NUMBER = "+12025550123"
URL = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(8)


def config(**members: Any) -> SandboxConfig:
    accounts = {
        "t": Account(),
        "poor": Account(label="poor", balance=3),
        "guest": Account(label="guest", primary=False),
    }
    quick: dict[str, Any] = {
        "limits": LIMITS,
        "call_seconds": 0.01,
        "page_seconds": 0.0,
        "accounts": accounts,
    }
    return SandboxConfig(**(quick | members))


def tiff(pages: int, order: str = "<") -> bytes:
    """Image file directories without entries, one behind the other."""
    magic = b"II*\0" if order == "<" else b"MM\0*"
    offsets = [8 + 6 * i for i in range(pages)] + [0]
    body = b"".join(struct.pack(order + "HI", 0, following) for following in offsets[1:])
    return magic + struct.pack(order + "I", offsets[0]) + body


def attached(name: str, data: bytes, **members: Any) -> dict[str, Any]:
    return {"fileName": name, "fileData": base64.b64encode(data).decode(), **members}


def fax(*files: Any, **members: Any) -> dict[str, Any]:
    return {"faxNumber": NUMBER, "faxData": list(files) or [URL], **members}


def refused(answer: httpx.Response, http: int, status: int, code: int | None, *words: str) -> None:
    """The answer is an error of the one form, and says these words."""
    body = answer.json()
    assert (answer.status_code, body["status"], body.get("code")) == (http, status, code), body
    assert set(body) == ({"status", "message"} if code is None else {"status", "code", "message"})
    for word in words:
        assert word in body["message"]


def entry(sandbox: SandboxServer, job_id: int) -> dict[str, Any]:
    return next(fax for fax in sandbox.ledger() if fax["jobId"] == job_id)


class Receiver:
    """Takes webhooks, with the answers it is told; afterwards 204."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes, float]] = []
        self.answers: list[int] = []
        self.proceed = threading.Event()
        self.proceed.set()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append((headers | {":path": self.path}, body, time.time()))
                receiver.proceed.wait(30)
                self.send_response(receiver.answers.pop(0) if receiver.answers else 204)
                self.send_header("Content-Length", "0")
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
                del format, args

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/webhooks/ifax/default"

    def payloads(self) -> list[dict[str, Any]]:
        """The bodies that came, parsed."""
        return [json.loads(body) for _, body, _ in self.received]

    def close(self) -> None:
        """End the server."""
        self.proceed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
