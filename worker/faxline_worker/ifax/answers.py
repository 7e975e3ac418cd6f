"""Reads iFax's answers without trusting them: any body whatever gives an Answer."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from faxline.contract.texts import SHOWN, clean_message
from faxline_worker.ifax.codes import (
    BAD_ANSWER,
    CLEAR,
    CODES,
    GENERAL_ERROR,
    NO_JOB_ID,
    NOT_NOW,
    RESPONSE_CODES,
    SERVER_ERROR,
    UNAVAILABLE,
    UNKNOWN_REFUSAL,
    Decision,
    Row,
    code_named_in,
    row_of,
    status_row,
)
from faxline_worker.ifax.errors import OUR_OWN, SILENCES
from faxline_worker.ifax.fax_object import FaxObject, Status, holds_fax, integer, read_body, read_fax
from faxline_worker.ifax.fax_object import job_id as read_job_id

LARGEST = 64 * 1024
"""The most bytes of an answer. A larger one does not come from iFax."""
KEY_REASONS = frozenset({"authentication_failed", "invalid_key", "unusable_key", "key_missing"})
"""Reasons of a pause that may come from this process's own key."""
LARGEST_CODE = 1_000_000
"""A number of this size or more is not a code; it may be a phone number."""
LONGEST_WAIT = 86_400.0
"""The longest Retry-After in seconds; a longer one is cut to this."""

_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)
_GOOD = frozenset({1, 0})


class Endpoint(StrEnum):
    """The API's endpoints, with what a good answer must hold besides a 2xx and status 1 or 0."""

    SEND = "fax-send"
    """The new fax's jobId."""
    CANCEL = "fax-cancel"
    """Status 1 (0 means started, not canceled) and, if there is a faxStatus, "canceled"."""
    RESEND = "fax-resend"
    """The new fax's jobId, which must not be the originalJobId."""
    STATUS = "fax-status"
    """The jobId that was asked about. This endpoint is not documented, but iFax's clients use it."""
    LISTS = "fax-lists"
    """Status 1. Like the next it is not documented; both check a key at no cost (docs/ifax.md, fact 8)."""
    NUMBERS = "inbound/number-list"
    """Status 1."""


LISTING = frozenset({Endpoint.LISTS, Endpoint.NUMBERS})
"""Endpoints that are not about one fax."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a call.

    Attributes:
        decision: what the answer means for the job. ACCEPTED from fax-cancel means canceled.
        http_status: the HTTP status; None if no answer came.
        code: iFax's own number, if it decided or refused; else None.
        reason: the fixed name from the tables of codes and errors.
        message: one line of iFax's text without phone numbers, or the table's text. If the refusal is not
            iFax's, the HTTP status comes first.
        job_id: the accepted fax's jobId, or the canceled fax's if iFax named it; else None.
        retry_after: seconds to wait as iFax asks, from 0 to a day; None if it does not ask.
        seconds: the duration of the call.
        body: the whole body of an answer from fax-status; else empty.
        named: the new fax's jobId in an answer that is in doubt, so that iFax can be asked about it.
    """

    decision: Decision
    http_status: int | None
    code: int | None
    reason: str
    message: str
    job_id: int | None
    retry_after: float | None
    seconds: float = 0.0
    body: bytes = field(default=b"", repr=False)
    named: int | None = None

    @property
    def silent(self) -> bool:
        """Whether iFax did not answer in time: it may hang."""
        return self.http_status is None and self.reason in SILENCES

    @property
    def meaning(self) -> str | None:
        """The key by which the breaker groups answers of unknown meaning; None if the meaning is known."""
        odd = self.decision is Decision.IN_DOUBT and self.reason not in OUR_OWN
        if not odd and self.decision is not Decision.UNKNOWN:
            return None
        number = self.code if self.code is not None else self.http_status
        return self.reason if number is None else f"{self.reason} {number}"

    @property
    def perhaps_ours(self) -> bool:
        """Whether the cause may lie in this process alone: its network, or its key."""
        return self.decision is Decision.UNREACHABLE or self.reason in KEY_REASONS

    @property
    def counted_code(self) -> int | None:
        """The code as a metric's label; None if unknown, because an unknown code could be any number."""
        return None if self.decision is Decision.UNKNOWN else self.code


def read_answer(
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    seconds: float = 0.0,
    *,
    endpoint: Endpoint = Endpoint.SEND,
    about: int | None = None,
    secret: str = "",
) -> Answer:
    """Read an answer by the table of codes. Never raises.

    If the body holds a fax object, only the top level judges the call: the `code` and `message` of a fax are
    about the fax, and a failed fax is not a failed call.

    Args:
        http_status: the answer's HTTP status.
        headers: the answer's headers, names in any case. Retry-After and Date are read.
        body: the answer's body; one of more than 64 KiB is ignored.
        seconds: the duration of the call.
        endpoint: the endpoint that was called.
        about: the jobId that the call was about, if any.
        secret: a text that is removed from the message.
    """
    whole = (read_body(body) if len(body) <= LARGEST else None) or {}
    inner = whole.get("data")
    data: dict[str, Any] = inner if isinstance(inner, dict) else {}
    fax = read_fax(whole)
    call, beside = _judges(whole, data, endpoint)
    numbers = _numbers(call, beside, http_status)
    if not numbers and endpoint is Endpoint.STATUS and fax.status is not None:
        numbers = [1]  # the fax alone
    new_fax = fax.job_id if endpoint in {Endpoint.SEND, Endpoint.RESEND} else None
    code = _error_code(numbers)
    if code is None and (refusal := _refusal(http_status, call, new_fax)) is not None:
        code, row, named = _refused(refusal, call)
    elif code is None and numbers and numbers[0] in _GOOD and min(numbers) >= 0:
        code, named = numbers[0], ""
        row = _good_row(http_status, code, fax, data, endpoint, about)
    else:
        row, named = _bad_row(http_status, code, new_fax), ""
    if new_fax is not None and row.decision in {Decision.UNREACHABLE, Decision.UNKNOWN}:
        row = BAD_ANSWER
    accepted = row.decision is Decision.ACCEPTED
    texts = [text for text in (call.get("message"), beside.get("message")) if isinstance(text, str)]
    text = clean_message((texts[0] if texts else "").replace(secret or "\0", "[secret]")) + named
    if row.decision is Decision.UNREACHABLE:
        text = f"HTTP {http_status} {_phrase(http_status)}".strip() + (text and f": {text}")
    return Answer(
        decision=row.decision,
        http_status=http_status,
        code=code if code is not None and row in (row_of(code), UNKNOWN_REFUSAL) else None,
        reason=row.reason,
        message=text[:SHOWN] or row.message,
        job_id=fax.job_id if accepted else None,
        retry_after=_retry_after({name.lower(): value for name, value in headers.items()}),
        seconds=seconds,
        named=_named(new_fax, data, about) if row.decision is Decision.IN_DOUBT else None,
    )


def _named(new_fax: int | None, data: Mapping[str, Any], about: int | None) -> int | None:
    """The new fax's jobId; None if it is the jobId of the fax that was sent again."""
    return None if new_fax in {about, read_job_id(data.get("originalJobId"))} else new_fax


def _phrase(http_status: int) -> str:
    return HTTPStatus(http_status).phrase if http_status in {*HTTPStatus} else ""


def _judges(
    whole: Mapping[str, Any], data: Mapping[str, Any], endpoint: Endpoint
) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """The parts of an answer that judge the call: the top level, and `data` if that is not a fax."""
    if holds_fax(whole):  # a flat fax object: code and message are the fax's
        return {name: value for name, value in whole.items() if name not in {"code", "message"}}, {}
    return whole, {} if endpoint in {Endpoint.STATUS, *LISTING} or holds_fax(data) else data


def _refusal(http_status: int, call: Mapping[str, Any], job_id: int | None) -> int | None:
    """The code of a refusal in iFax's form whose code is not documented; else None.

    With HTTP 200 this is `status` 0, a code and no jobId. With a 4xx it is any number but the HTTP status.
    `data` is ignored, because a code there may be a fax's.
    """
    status, *codes = (integer(call.get(name)) for name in ("status", "code", "errorCode"))
    numbers = [code for code in codes if code is not None and abs(code) < LARGEST_CODE]
    own = [code for code in numbers if code not in {*_GOOD, http_status}]
    if http_status // 100 == 2:  # noqa: PLR2004 - HTTP's class of success
        noes = [code for code in own if code // 100 != 2]  # noqa: PLR2004 - 202 with `started` is not a refusal
        return noes[0] if status == 0 and job_id is None and noes else None
    if http_status // 100 != 4 or http_status in CLEAR:  # noqa: PLR2004 - refusals
        return None
    by_status = (
        [status] if status is not None and status != http_status and abs(status) < LARGEST_CODE else []
    )
    return next(iter([*own, *by_status]), None)


def _refused(code: int, call: Mapping[str, Any]) -> tuple[int, Row, str]:
    """The code that counts, its row, and an addition to the message if only a text explained the code."""
    row = row_of(code) if code not in _GOOD else None
    if row is not None:
        return code, row, ""
    text = call.get("message")
    known = code_named_in(text) if isinstance(text, str) and code not in _GOOD else None
    by_name = row_of(known)
    if known is None or by_name is None:
        return code, UNKNOWN_REFUSAL, ""
    return known, by_name, f" (code {code})"


def _good_row(  # noqa: PLR0917 - all of it judges the call
    http_status: int, code: int, fax: FaxObject, data: Mapping[str, Any], to: Endpoint, about: int | None
) -> Row:
    """The row of a body that says success."""
    job_id = fax.job_id
    if http_status // 100 != 2:  # noqa: PLR2004 - HTTP's class of success
        row = status_row(http_status)
        return BAD_ANSWER if job_id is not None and row is not SERVER_ERROR else row
    if to is Endpoint.CANCEL:
        same = about is None or job_id is None or job_id == about
        return CODES[code] if code == 1 and same and fax.status in {None, Status.CANCELED} else BAD_ANSWER
    if to in LISTING:
        return CODES[code] if code == 1 else BAD_ANSWER
    if to is Endpoint.STATUS:
        return CODES[code] if job_id is not None and about in {None, job_id} else NO_JOB_ID
    original = read_job_id(data.get("originalJobId")) if to is Endpoint.RESEND else None
    return CODES[code] if job_id is not None and job_id not in {original, about} else NO_JOB_ID


def _bad_row(http_status: int, code: int | None, job_id: int | None) -> Row:
    """The row of a body that does not say success."""
    kind, by_status = http_status // 100, status_row(http_status)
    if kind == 2:  # noqa: PLR2004 - HTTP's class of success
        proved = code is not None and code != GENERAL_ERROR and job_id is None
        return CODES[code] if code is not None and proved else BAD_ANSWER
    if code is None or (kind != 4 and http_status != UNAVAILABLE):  # noqa: PLR2004 - refusals
        return by_status
    by_code = CODES[code]
    if by_code.decision is Decision.DEFER:
        return by_code
    # A 429 spends no attempt and a 503 is worth another, whatever the body says. -1 says nothing, so it must
    # not turn a bad key or an empty balance into spent attempts.
    says_nothing = code == GENERAL_ERROR and by_status.decision is Decision.PAUSE
    return by_status if http_status in NOT_NOW or says_nothing else by_code


def _numbers(whole: Mapping[str, Any], data: Mapping[str, Any], http_status: int) -> list[int]:
    """The codes in a body, the top-level status first. A number that repeats the HTTP status is left out."""
    names = [(whole, "status")]
    names += [(place, name) for name in ("code", "errorCode") for place in (whole, data)]
    found = [integer(place.get(name)) for place, name in [*names, (data, "status")]]
    return [number for number in found if number is not None and number != http_status]


def _error_code(numbers: list[int]) -> int | None:
    """The documented error code; the precise codes -30xx come before -1 to -5."""
    known = [number for number in numbers if number < 0 and number in CODES]
    return next((number for number in known if number < RESPONSE_CODES), next(iter(known), None))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds until Retry-After, which is a number of seconds or an HTTP-date (RFC 9110, 10.2.3)."""
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    until, now = _moment(text), _moment(headers.get("date", "")) or datetime.now(UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT) if until is not None else None


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
