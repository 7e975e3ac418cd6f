"""Calls iFax within a time limit, and writes the mark just before the first byte."""

import math
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from types import TracebackType
from typing import Any, Self

import httpx

from faxline_worker.ifax.answers import LARGEST, Answer, Endpoint, read_answer
from faxline_worker.ifax.errors import (
    BaseUrlError,
    CallError,
    NoTimeLeftError,
    UnusableKeyError,
    failure_of,
)
from faxline_worker.ifax.requests import Body
from faxline_worker.ifax.route import Proxy
from faxline_worker.ifax.transport import DeadlineTransport

IDLE = 0.9
"""Seconds to keep an unused connection. A request on a connection that iFax closed would be a doubt."""

_TOKEN = re.compile(r"[\x21-\x7e]+")


class _MarkFailedError(CallError):
    """`mark` raised. This ends the request inside httpx; the mark's own exception is raised to the caller."""


class _Start:
    """Calls the mark once, just before the first byte, and lets nothing be sent without it.

    httpcore's trace event says that the headers are about to be written. The body checks as well, so that no
    complete request leaves without a mark over a transport that lacks this event.
    """

    def __init__(self, mark: Callable[[], None], deadline: float, upload: float) -> None:
        self._mark = mark
        self.deadline = deadline
        """The latest moment for the connection to be made and the mark written."""
        self.ends = deadline + upload
        """The latest end of the call."""
        self.sent = False
        self.spoiled: BaseException | None = None

    def trace(self, event: str, _info: Mapping[str, Any]) -> None:
        if event.endswith(".send_request_headers.started"):
            self.begin()

    def begin(self) -> None:
        if self.sent:
            return
        self._check_time()
        try:
            self._mark()
        except BaseException as error:
            self.spoiled = error
            raise _MarkFailedError from error
        self._check_time()  # the mark may have taken long; nothing was sent yet
        self.sent = True

    def _check_time(self) -> None:
        if time.monotonic() >= self.deadline:
            raise NoTimeLeftError


class _Pieces(httpx.SyncByteStream):
    """The body as it is sent."""

    def __init__(self, body: bytes | Body, begin: Callable[[], None]) -> None:
        self._body = body
        self._begin = begin

    def __iter__(self) -> Iterator[bytes]:
        self._begin()
        yield from [self._body] if isinstance(self._body, bytes) else self._body


class IfaxClient:
    """The API at one base URL. Thread-safe; serves any number of accounts.

    Args:
        base_url: the API's address, such as https://api.ifaxapp.com/v1.
        timeout: seconds for a whole call, from the connection to the answer's last byte. The time to send the
            body at `rate` is added. Every connect, handshake, write and read ends by then, so no request
            lives longer after its mark. The system's name resolution and the mark itself are not limited; if
            they take too long, the first byte is not sent.
        rate: bytes a second at which a body is assumed to be sent.
        proxy: the HTTP proxy to iFax, if any.
        trust: the trusted certificates; by default those of certifi.

    Raises:
        BaseUrlError: the base URL is not a plain http or https URL.
    """

    def __init__(
        self,
        base_url: str,
        timeout: float,
        *,
        rate: float = math.inf,
        proxy: Proxy | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self._base = _check_url(base_url)
        self.timeout = timeout
        self.rate = rate
        # Not httpx.Client: it keeps cookies, reads the environment and follows redirects. All of that would
        # have to be turned off, and would cost time in each call.
        self._transport = DeadlineTransport(idle=IDLE, ssl_context=trust, proxy=proxy)
        self._urls = {endpoint: httpx.URL(f"{self._base}/customer/{endpoint}") for endpoint in Endpoint}
        self._headers = [
            (b"Host", httpx.URL(self._base).netloc),
            (b"Accept", b"application/json"),
            (b"Accept-Encoding", b"identity"),  # the size of a compressed answer is not limited
            (b"User-Agent", f"faxline/{version('faxline')}".encode()),
            (b"Content-Type", b"application/json"),
        ]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"IfaxClient({self._base!r})"

    def close(self) -> None:
        """Close every connection."""
        self._transport.close()

    def call(
        self,
        endpoint: Endpoint,
        token: str,
        body: bytes | Body,
        mark: Callable[[], None],
        *,
        about: int | None = None,
    ) -> Answer:
        """Make one call.

        Args:
            endpoint: the endpoint to call.
            token: the account's API key, sent as accessToken.
            body: the JSON body.
            mark: called at most once, after the connection is made and just before the first byte is sent.
                Not called if no connection was made or no time is left.
            about: the jobId that the call is about, if any. An answer about another fax does not count.

        Returns:
            The answer. If none came, what that means by the table errors.CAUSES: mostly UNREACHABLE before
            the first byte, IN_DOUBT after it.

        Raises:
            BaseException: whatever `mark` raised. No byte was sent, and the connection is closed.
        """
        started = time.monotonic()
        start = _Start(mark, started + self.timeout, len(body) / self.rate)
        try:
            status, headers, text = self._exchange(endpoint, token, body, start)
        except _MarkFailedError:
            pass  # raised below, without httpx's exception context
        except Exception as error:
            failure = failure_of(error, sent=start.sent)
            if failure is None:
                raise
            seconds = time.monotonic() - started
            return Answer(failure.decision, None, None, failure.reason, failure.message, None, None, seconds)
        if start.spoiled is not None:
            raise start.spoiled
        seconds = time.monotonic() - started
        answer = read_answer(status, headers, text, seconds, endpoint=endpoint, about=about, secret=token)
        return replace(answer, body=text) if endpoint is Endpoint.STATUS else answer

    def _exchange(
        self, endpoint: Endpoint, token: str, body: bytes | Body, start: _Start
    ) -> tuple[int, httpx.Headers, bytes]:
        if not _TOKEN.fullmatch(token):
            raise UnusableKeyError
        request = httpx.Request(
            "POST",
            self._urls[endpoint],
            stream=_Pieces(body, start.begin),
            headers=[
                *self._headers,
                (b"accessToken", token.encode()),
                (b"Content-Length", b"%d" % len(body)),
            ],
            extensions={"trace": start.trace, "deadline": start.ends, "connect_deadline": start.deadline},
        )
        response = self._transport.handle_request(request)
        try:
            return response.status_code, response.headers, _read(response)
        finally:
            response.close()


def _read(response: httpx.Response) -> bytes:
    """Read the body, and stop once it is larger than `LARGEST`."""
    text = bytearray()
    for piece in response.iter_raw():
        text += piece
        if len(text) > LARGEST:
            break
    return bytes(text)


def _check_url(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL:
        url = httpx.URL("")
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise BaseUrlError(
            "the base URL must be http:// or https:// with a host, without user, query and fragment: "
            "check FAXLINE_IFAX_URL"
        )
    return base_url.rstrip("/")
