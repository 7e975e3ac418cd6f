"""One table from every exception of httpx to a decision: what is known when a call ended without an answer.

Before the mark no byte of the request has left: proved not taken. After it, the answer is unknown.
"""

from collections.abc import Mapping

import httpx

from faxline_worker.ifax.codes import Decision, Row


class CallTooLongError(httpx.TimeoutException):
    """The whole call took longer than its time, however lively the connection."""


REASONS: Mapping[type[Exception], str] = {
    CallTooLongError: "answer_too_slow",
    httpx.ConnectTimeout: "connect_timeout",
    httpx.ReadTimeout: "read_timeout",
    httpx.WriteTimeout: "write_timeout",
    httpx.PoolTimeout: "pool_timeout",
    httpx.ConnectError: "connect_failed",
    httpx.ReadError: "connection_lost",
    httpx.WriteError: "connection_lost",
    httpx.CloseError: "connection_lost",
    httpx.ProxyError: "connect_failed",
    httpx.UnsupportedProtocol: "bad_url",
    httpx.LocalProtocolError: "protocol_error",
    httpx.RemoteProtocolError: "connection_lost",
    httpx.DecodingError: "bad_answer",
    httpx.TooManyRedirects: "redirected",
    httpx.TimeoutException: "read_timeout",
    httpx.NetworkError: "connection_lost",
    httpx.ProtocolError: "protocol_error",
    httpx.TransportError: "connection_lost",
    httpx.RequestError: "connection_lost",
    httpx.HTTPStatusError: "bad_answer",
    httpx.HTTPError: "connection_lost",
    httpx.InvalidURL: "bad_url",
    httpx.CookieConflict: "bad_answer",
    httpx.StreamConsumed: "bad_answer",
    httpx.StreamClosed: "connection_lost",
    httpx.ResponseNotRead: "bad_answer",
    httpx.RequestNotRead: "bad_answer",
    httpx.StreamError: "bad_answer",
}


def failure_row(error: Exception, *, marked: bool) -> Row:
    """What is decided when a call raised.

    Raises:
        KeyError: the exception is not httpx's.
    """
    known = next(kind for kind in type(error).__mro__ if kind in REASONS)
    return Row(REASONS[known], type(error).__name__, Decision.IN_DOUBT if marked else Decision.RETRY)
