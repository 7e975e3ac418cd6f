"""The errors of a call: Faxline's own error tree, and the table of every exception that ends a call.

IfaxError
  x BaseUrlError        the base URL cannot be used; raised by IfaxClient()
  x CallError           ends a call; the table turns it into an Answer, no caller sees it
    - UnusableKeyError  the API key cannot be sent in a header
    - NoTimeLeftError   the call's time was over before the first byte
    - SlowAnswerError   the answer began but did not end in time
    - DocumentLostError, DocumentUnreadError, DocumentAlteredError
                        the body could not be sent to its end
    - ProxyRefusedError, ProxyTimeoutError, ProxyFailedError
                        the proxy made no tunnel to iFax
    - UntrustedError    iFax's certificate is not trusted

  x httpx.ConnectError  no connection; the transport distinguishes these kinds
    - UnknownNameError, RefusedError, NoRouteError, NoDescriptorsError, TlsError

Before the first byte is sent, every failure proves that iFax did not take the request, and nearly all say
nothing about the fax: any other fax would have failed alike. After the first byte, no failure proves anything
(ARCHITECTURE.md, rule 2): not a timeout, a broken connection or an unreadable answer. A body that Faxline
itself broke off proves nothing either. By HTTP's rules such a request is incomplete, and its JSON is not
closed, so iFax should not take it. But that depends on every proxy and parser on the way, and a fax sent
twice is worse than a doubt that proves unfounded.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import httpx

from faxline_worker.ifax.codes import Decision


class IfaxError(Exception):
    """The base class of the client's own errors."""


class BaseUrlError(IfaxError, ValueError):
    """The base URL is not an http or https URL with a host, or has a user, query or fragment."""


class CallError(IfaxError):
    """A call was ended by one of Faxline's own rules.

    Attributes:
        detail: an addition to the table's message; never a text of a request or an answer.
    """

    detail = ""


class UnusableKeyError(CallError):
    """The API key is empty or holds a character that an HTTP header may not hold."""


class NoTimeLeftError(CallError):
    """The call's time was over before its first byte was sent."""


class UnknownNameError(httpx.ConnectError):
    """The name of iFax's host has no address, or the resolver does not answer."""


class RefusedError(httpx.ConnectError):
    """The connection was refused: nothing listens on the port."""


class NoRouteError(httpx.ConnectError):
    """The network has no route to the host."""


class NoDescriptorsError(httpx.ConnectError):
    """The process, or its machine, can open no more files, so no connection either."""


class TlsError(httpx.ConnectError):
    """The TLS handshake failed, or the certificate is not trusted."""


class SlowAnswerError(CallError):
    """The answer had begun but was incomplete when the call's time was over."""


class DocumentLostError(CallError):
    """A document was deleted while it was being sent."""


class DocumentUnreadError(CallError):
    """A document could not be read further while it was being sent."""


class ProxyFailedError(CallError):
    """The proxy cannot be reached, closed the connection, or did not answer in HTTP."""


class ProxyTimeoutError(CallError):
    """The proxy was not reached in time, or did not answer in time."""


class ProxyRefusedError(CallError):
    """The proxy refused a tunnel.

    Args:
        status: the HTTP status of its answer to CONNECT.
    """

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status
        self.detail = f"HTTP {status}"


class UntrustedError(CallError):
    """The server's certificate is not signed by a trusted authority, has expired, or is another host's.

    Args:
        why: OpenSSL's message.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.detail = why


class DocumentAlteredError(CallError):
    """A document did not match its digest while it was being sent. Its last piece was not sent."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One row of the table.

    Attributes:
        reason: Faxline's fixed name, a metric's label.
        message: a fixed text, which a `detail` may follow. The exception's own text is never shown: it may
            quote a header.
        unsent: the decision before the first byte: UNREACHABLE, unless the fax or the key is at fault.
    """

    reason: str
    message: str
    unsent: Decision = Decision.UNREACHABLE


@dataclass(frozen=True, slots=True)
class Failure:
    """The result of a call without an answer."""

    decision: Decision
    reason: str
    message: str


_LOST = Cause("connection_lost", "the connection broke")
_NO_CONNECTION = Cause("connect_failed", "no connection to iFax could be made")
_BAD_ANSWER = Cause("bad_answer", "the answer could not be read")
_BAD_URL = Cause("bad_url", "the URL cannot be called: check FAXLINE_IFAX_URL")

CAUSES: Mapping[type[Exception], Cause] = {
    UnusableKeyError: Cause(
        "unusable_key", "the account's TOKEN is empty or holds a character no header may", Decision.PAUSE
    ),
    NoTimeLeftError: Cause("no_time_left", "the time was over before the first byte left"),
    SlowAnswerError: Cause("answer_too_slow", "the answer did not end in time"),
    DocumentLostError: Cause(
        "document_lost", "a document was gone before all of it was sent", Decision.RETRY
    ),
    DocumentUnreadError: Cause(
        "document_unread", "a document could not be read to its end while it was sent", Decision.RETRY
    ),
    ProxyFailedError: Cause("proxy_failed", "the proxy of FAXLINE_IFAX_PROXY was not reached or hung up"),
    ProxyTimeoutError: Cause("proxy_timeout", "the proxy of FAXLINE_IFAX_PROXY made no tunnel in time"),
    ProxyRefusedError: Cause("proxy_refused", "the proxy of FAXLINE_IFAX_PROXY refused a tunnel to iFax"),
    UntrustedError: Cause("certificate_untrusted", "iFax's certificate is not trusted"),
    DocumentAlteredError: Cause(
        "document_altered",
        "a document was altered, and its end was not sent: its digest is another one",
        Decision.REFUSE,
    ),
    httpx.PoolTimeout: Cause(
        "pool_timeout", "no connection became free in time: more calls than connections"
    ),
    httpx.ConnectTimeout: Cause("connect_timeout", "no connection to iFax in time"),
    httpx.WriteTimeout: Cause("write_timeout", "iFax did not take the request in time"),
    httpx.ReadTimeout: Cause("read_timeout", "iFax did not answer in time"),
    httpx.TimeoutException: Cause("read_timeout", "iFax did not answer in time"),
    httpx.ConnectError: _NO_CONNECTION,
    UnknownNameError: Cause("name_unknown", "the name of iFax's host has no address, or no resolver answers"),
    RefusedError: Cause("connection_refused", "connection refused"),
    NoRouteError: Cause("no_route", "no route to iFax"),
    NoDescriptorsError: Cause("no_descriptors", "the process can open no more files: raise ulimit -n"),
    TlsError: Cause("tls_failed", "the TLS handshake failed, or the certificate is not trusted"),
    httpx.ProxyError: _NO_CONNECTION,
    httpx.WriteError: _LOST,
    httpx.ReadError: _LOST,
    httpx.CloseError: _LOST,
    httpx.NetworkError: _LOST,
    httpx.TransportError: _LOST,
    httpx.LocalProtocolError: Cause("protocol_error", "our request broke HTTP's rules"),
    httpx.RemoteProtocolError: Cause("protocol_error", "the connection ended or the answer was no HTTP"),
    httpx.ProtocolError: Cause("protocol_error", "HTTP's rules were broken"),
    httpx.UnsupportedProtocol: _BAD_URL,
    httpx.InvalidURL: _BAD_URL,
    httpx.TooManyRedirects: Cause("redirected", "too many redirects"),
    httpx.DecodingError: _BAD_ANSWER,
    httpx.HTTPStatusError: _BAD_ANSWER,
    httpx.CookieConflict: _BAD_ANSWER,
    httpx.ResponseNotRead: _BAD_ANSWER,
    httpx.RequestNotRead: Cause("unexpected_error", "the request was not read"),
    httpx.StreamConsumed: Cause("unexpected_error", "the request or the answer was read twice"),
    httpx.StreamClosed: _LOST,
    httpx.StreamError: _BAD_ANSWER,
    httpx.RequestError: _LOST,
    httpx.HTTPError: _LOST,
}
SILENCES = frozenset({"connect_timeout", "proxy_timeout", "write_timeout", "read_timeout", "answer_too_slow"})
"""Reasons for which iFax, or the proxy before it, did not finish in time."""
OUR_OWN = frozenset({"document_altered", "document_lost", "document_unread"})
"""Reasons of a doubt that Faxline itself caused. They say nothing about iFax."""
UNEXPECTED = "unexpected_error"
"""The reason of an exception that is not in the table, after the first byte may have been sent."""


def failure_of(error: Exception, *, sent: bool) -> Failure | None:
    """Decide what an exception of a call means.

    Args:
        error: the exception. The nearest of its classes in the table counts.
        sent: whether the first byte of the request may have been sent.

    Returns:
        The failure. None if the exception is not in the table and nothing was sent: this is a defect, so
        raise it again.
    """
    cause = next((CAUSES[kind] for kind in type(error).__mro__ if kind in CAUSES), None)
    if cause is None and not sent:
        return None
    if cause is None:
        return Failure(Decision.IN_DOUBT, UNEXPECTED, f"the call broke off: {type(error).__name__}")
    detail = error.detail if isinstance(error, CallError) else ""
    message = f"{cause.message}: {detail}" if detail else cause.message
    return Failure(Decision.IN_DOUBT if sent else cause.unsent, cause.reason, message)


def cause_reasons() -> list[str]:
    """Every reason of a call without an answer."""
    return sorted({cause.reason for cause in CAUSES.values()} | {UNEXPECTED})
