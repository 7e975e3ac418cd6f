"""The doctor's checks of the way to iFax, the one that the worker's calls take, and of iFax's clock.

The call has no key, so no account's limits count it.
"""

import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx

from faxline.contract.check import Check, Result
from faxline.doctor.server_checks import clock_check
from faxline_worker.config.settings import Settings
from faxline_worker.ifax.errors import CallError, ProxyRefusedError, UntrustedError, failure_of
from faxline_worker.ifax.transport import DeadlineTransport

_DATE_SLACK = 2.0
"""Seconds: a Date header has no fractions, and is written some time before it is read."""
_TAKEN = {"read_timeout", "answer_too_slow", "connection_lost", "protocol_error"}
"""Failures after the connection was made: the name, the network and the firewall are well."""


def check_route(settings: Settings, clock: Callable[[], float]) -> Iterator[Check]:
    """Check the way to iFax, its proxy, its certificate and its clock.

    Args:
        settings: the URL, the proxy and the authorities.
        clock: ours, Unix seconds.
    """
    transport = DeadlineTransport(idle=0, ssl_context=settings.trust, proxy=settings.proxy)
    before = clock()
    try:
        with httpx.Client(transport=transport, trust_env=False) as client:
            deadline = time.monotonic() + settings.http_timeout.total_seconds()
            answer = client.head(settings.ifax_url, extensions={"deadline": deadline})
    except (httpx.HTTPError, CallError) as error:
        yield Check("ifax", Result.FAIL, _unreachable(error, settings))
        return
    after = clock()
    yield Check("ifax", Result.OK, f"reached through {settings.proxy}" if settings.proxy else "reached")
    yield _clock(answer, before, after, settings)


def _clock(answer: httpx.Response, before: float, after: float, settings: Settings) -> Check:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
    except ValueError:
        return Check("ifax clock", Result.SKIP, "its answer has no Date")
    found = clock_check("ifax clock", theirs, before, after, _DATE_SLACK)
    if found.result is Result.WARN and abs(theirs - after) > settings.in_doubt.clock_slack.total_seconds():
        text = (
            f"{found.text}; beyond FAXLINE_IN_DOUBT__CLOCK_SLACK no receipt without a jobId settles a doubt"
        )
        return Check(found.name, Result.FAIL, text)
    return found


def _unreachable(error: Exception, settings: Settings) -> str:
    """Say who is at fault, and what to do."""
    failure = failure_of(error, sent=False)
    if failure is None:  # not in the table
        return f"not reached ({type(error).__name__}): check FAXLINE_IFAX_URL"
    return f"not reached ({failure.reason}): {failure.message}; {_fix(failure.reason, error, settings)}"


def _fix(reason: str, error: Exception, settings: Settings) -> str:
    if isinstance(error, ProxyRefusedError):
        return _fix_the_proxy(error.status)
    if isinstance(error, UntrustedError):
        return _fix_the_trust(error.detail, own=settings.trust is not None)
    if settings.proxy is None:
        if reason in _TAKEN:
            return "it took the connection: if FAXLINE_IFAX_URL is right, iFax itself is in trouble"
        return "check FAXLINE_IFAX_URL, DNS and the firewall; FAXLINE_IFAX_PROXY names a proxy"
    if reason in {"proxy_failed", "proxy_timeout"}:
        return f"is it at {settings.proxy}, and does it run?"
    return f"the tunnel of {settings.proxy} is up: check FAXLINE_IFAX_URL"


def _fix_the_trust(why: str, *, own: bool) -> str:
    if any(words in why for words in ("mismatch", "expired", "not yet valid")):
        return "another server answers there, its certificate was not renewed, or our clock is wrong"
    if own:
        return "add the authority that signed it to FAXLINE_IFAX_CA_FILE: only its authorities are trusted"
    return "if your network has its own authority, put its certificate into FAXLINE_IFAX_CA_FILE"


def _fix_the_proxy(status: int) -> str:
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        return "write its user and password into FAXLINE_IFAX_PROXY"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return "it does not reach iFax itself: ask whoever runs it"
    return "have it allow CONNECT to the host and port of FAXLINE_IFAX_URL"
