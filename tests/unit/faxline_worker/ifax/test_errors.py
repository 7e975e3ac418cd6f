"""The table of exceptions, proved complete against the installed httpx and httpcore."""

import httpcore
import httpx
import pytest

from faxline_worker.ifax import Decision, IfaxError
from faxline_worker.ifax.errors import (
    CAUSES,
    UNEXPECTED,
    BaseUrlError,
    CallError,
    DocumentLostError,
    DocumentUnreadError,
    NoDescriptorsError,
    NoRouteError,
    NoTimeLeftError,
    RefusedError,
    SlowAnswerError,
    TlsError,
    UnknownNameError,
    UnusableKeyError,
    cause_reasons,
    failure_of,
)
from faxline_worker.ifax.transport import ERRORS


def subclasses(kind: type[Exception]) -> set[type[Exception]]:
    return {kind}.union(*(subclasses(child) for child in kind.__subclasses__()))


def exceptions_of(module: object, names: list[str]) -> set[type[Exception]]:
    found = {getattr(module, name) for name in names}
    return {kind for kind in found if isinstance(kind, type) and issubclass(kind, Exception)}


HTTPX = exceptions_of(httpx, list(httpx.__all__))
HTTPX |= {
    kind
    for kind in subclasses(httpx.HTTPError) | subclasses(httpx.StreamError)
    if kind.__module__.startswith("httpx")
}


def raised(kind: type[Exception]) -> Exception:
    """An exception of that class, made without its constructor's arguments."""
    return kind.__new__(kind)


def test_httpx_has_exceptions_to_walk() -> None:
    assert {httpx.ReadTimeout, httpx.InvalidURL, httpx.CookieConflict, httpx.StreamClosed} < HTTPX


def test_every_exception_of_httpx_is_in_the_table() -> None:
    assert HTTPX - set(CAUSES) == set()


def test_every_exception_of_httpcore_becomes_the_one_of_httpx_with_its_name() -> None:
    kinds = exceptions_of(httpcore, list(httpcore.__all__)) - {httpcore.ConnectionNotAvailable}
    assert kinds == set(ERRORS)
    assert {kind.__name__: kind.__name__ for kind in kinds} == {
        kind.__name__: mapped.__name__ for kind, mapped in ERRORS.items()
    }


@pytest.mark.parametrize("kind", sorted(HTTPX, key=str))
def test_before_the_first_byte_an_exception_says_nothing_about_the_fax(kind: type[Exception]) -> None:
    failure = failure_of(raised(kind), sent=False)
    assert failure is not None
    assert failure.decision is Decision.UNREACHABLE
    assert failure.reason in cause_reasons()


@pytest.mark.parametrize("kind", sorted(CAUSES, key=str))
def test_after_the_first_byte_every_exception_is_in_doubt(kind: type[Exception]) -> None:
    failure = failure_of(raised(kind), sent=True)
    assert failure is not None
    assert failure.decision is Decision.IN_DOUBT


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (httpx.ConnectError, "connect_failed"),
        (UnknownNameError, "name_unknown"),
        (RefusedError, "connection_refused"),
        (NoRouteError, "no_route"),
        (NoDescriptorsError, "no_descriptors"),
        (TlsError, "tls_failed"),
        (httpx.ConnectTimeout, "connect_timeout"),
        (httpx.PoolTimeout, "pool_timeout"),
        (httpx.WriteTimeout, "write_timeout"),
        (httpx.ReadTimeout, "read_timeout"),
        (httpx.ReadError, "connection_lost"),
        (httpx.WriteError, "connection_lost"),
        (httpx.RemoteProtocolError, "protocol_error"),
        (httpx.LocalProtocolError, "protocol_error"),
        (httpx.DecodingError, "bad_answer"),
        (SlowAnswerError, "answer_too_slow"),
        (DocumentLostError, "document_lost"),
        (DocumentUnreadError, "document_unread"),
        (NoTimeLeftError, "no_time_left"),
        (UnusableKeyError, "unusable_key"),
    ],
)
def test_a_reason_has_its_fixed_name(kind: type[Exception], reason: str) -> None:
    failure = failure_of(raised(kind), sent=True)
    assert failure is not None
    assert failure.reason == reason


def test_a_subclass_follows_the_nearest_class_in_the_table() -> None:
    class LaterError(httpx.ConnectTimeout):
        pass

    failure = failure_of(LaterError("new"), sent=False)
    assert failure is not None
    assert failure.reason == "connect_timeout"


@pytest.mark.parametrize("kind", [DocumentLostError, DocumentUnreadError])
def test_a_document_that_cannot_be_read_says_something_about_its_fax(kind: type[Exception]) -> None:
    failure = failure_of(raised(kind), sent=False)
    assert failure is not None
    assert failure.decision is Decision.RETRY


def test_a_key_that_no_header_can_hold_pauses_the_account() -> None:
    failure = failure_of(UnusableKeyError(), sent=False)
    assert failure is not None
    assert failure.decision is Decision.PAUSE


def test_a_fault_of_ours_is_raised_on_before_the_first_byte_and_a_doubt_after_it() -> None:
    assert failure_of(ZeroDivisionError("+12345678901"), sent=False) is None
    failure = failure_of(ZeroDivisionError("+12345678901"), sent=True)
    assert failure is not None
    assert (failure.decision, failure.reason) == (Decision.IN_DOUBT, UNEXPECTED)
    assert "12345678901" not in failure.message


def test_no_exceptions_own_text_is_shown() -> None:
    failure = failure_of(httpx.LocalProtocolError("Illegal header value b'the-key'"), sent=True)
    assert failure is not None
    assert "the-key" not in failure.message


def test_all_of_our_errors_have_one_root() -> None:
    assert {BaseUrlError, CallError, UnusableKeyError, NoTimeLeftError, SlowAnswerError} < subclasses(
        IfaxError
    )
