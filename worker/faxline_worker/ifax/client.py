"""One call to iFax, bounded in time, with the mark just before its first byte."""

import time
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from importlib.metadata import version
from typing import Any

import httpx

from faxline_worker.ifax.answers import LARGEST, Answer, read_answer
from faxline_worker.ifax.errors import CallTooLongError, failure_row
from faxline_worker.ifax.requests import Body

IDLE = 0.9
"""Seconds that an idle connection is kept: one that iFax closed looks like doubt (DESIGN section 5)."""


class Endpoint(StrEnum):
    """The calls of the API."""

    SEND = "fax-send"
    CANCEL = "fax-cancel"
    RESEND = "fax-resend"


class IfaxClient:
    """The API of one base URL, for any number of threads.

    Args:
        base_url: such as https://api.ifaxapp.com/v1.
        timeout: seconds for a whole call. A call ends at the latest one socket operation after it, and each
            operation is given what was left when the call began: twice the timeout in the worst case.
        connections: how many calls may run at once.
        transport: another transport, for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float,
        connections: int = 20,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._timeout = timeout
        limits = httpx.Limits(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=IDLE
        )
        self._http = httpx.Client(
            limits=limits,
            timeout=timeout,
            follow_redirects=False,
            trust_env=False,
            transport=transport,
            headers={"Accept": "application/json", "User-Agent": f"faxline/{version('faxline')}"},
        )

    def call(self, endpoint: Endpoint, token: str, body: Body, mark: Callable[[], None]) -> Answer:
        """Make one call. `mark` is called once, after the connection stands and before the first byte.

        Raises:
            Exception: whatever `mark` raised; no byte was sent then.
        """
        started = time.monotonic()
        deadline = started + self._timeout
        marked, spoiled = False, None

        def trace(event: str, _info: Mapping[str, Any]) -> None:
            nonlocal marked, spoiled
            if marked or not event.endswith(".send_request_headers.started"):
                return
            if time.monotonic() >= deadline:
                raise CallTooLongError("no time was left when the connection stood")
            try:
                mark()
            except Exception as error:
                spoiled = error
                raise
            marked = True

        def content() -> Iterator[bytes]:
            for piece in body:
                if time.monotonic() >= deadline:
                    raise CallTooLongError("the request was not sent in time")
                yield piece

        request = self._http.build_request(
            "POST",
            f"{self._base}/customer/{endpoint}",
            content=content(),
            headers={
                "accessToken": token,
                "Content-Type": "application/json",
                "Content-Length": str(body.length),
            },
            extensions={"trace": trace, "timeout": httpx.Timeout(self._timeout).as_dict()},
        )
        try:
            response = self._http.send(request, stream=True)
            try:
                text = _read(response, deadline)
            finally:
                response.close()
        except Exception as error:
            if error is spoiled or not isinstance(
                error, (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError)
            ):
                raise
            row = failure_row(error, marked=marked)
            took = time.monotonic() - started
            return Answer(row.decision, None, None, row.reason, row.meaning, None, None, took)
        return read_answer(response.status_code, response.headers, text, time.monotonic() - started)

    def close(self) -> None:
        """Close every connection."""
        self._http.close()


def _read(response: httpx.Response, deadline: float) -> bytes:
    """The body, up to a byte more than the largest that is believed."""
    text = b""
    for piece in response.iter_bytes():
        text += piece
        if len(text) > LARGEST:
            break
        if time.monotonic() >= deadline:
            raise CallTooLongError("the answer did not end in time")
    return text
