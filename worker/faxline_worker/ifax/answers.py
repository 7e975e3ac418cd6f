"""An answer of iFax, read without trust."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from faxline_worker.ifax.codes import (
    BAD_ANSWER,
    CODES,
    NO_JOB_ID,
    SERVER_ERROR,
    STARTED,
    Decision,
    Row,
    status_row,
)

MESSAGE = 200
"""Characters of iFax's text that are kept."""
LARGEST = 64 * 1024
"""Bytes of an answer; a larger one is none of iFax's."""

_NUMBER = re.compile(r"\+?\d[\d\s().-]{5,}\d")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_DIGITS = re.compile(r"-?[0-9]{1,15}")
_OK, _OTHER, _SERVER = 200, 300, 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What a call came to.

    Attributes:
        decision: what it means for the job.
        http_status: None where no answer came.
        code: iFax's own number, or None.
        reason: the fixed name.
        message: iFax's text, cut, without phone numbers.
        job_id: the new fax's jobId, when accepted.
        retry_after: seconds that iFax asks to wait, or None.
        seconds: how long the call took.
    """

    decision: Decision
    http_status: int | None
    code: int | None
    reason: str
    message: str
    job_id: int | None
    retry_after: float | None
    seconds: float = 0.0


def clean_message(text: str) -> str:
    """A stranger's text, fit to be shown: one line, no phone number, 200 characters at most."""
    line = _CONTROL.sub(" ", text).encode("utf-8", "replace").decode()
    return _NUMBER.sub(lambda match: "…" + re.sub(r"\D", "", match[0])[-4:], line).strip()[:MESSAGE]


def read_answer(http_status: int, headers: Mapping[str, str], body: bytes, seconds: float = 0.0) -> Answer:
    """Read an answer by the table of codes. Raises nothing."""
    whole = _object(body)
    inner = whole.get("data")
    data: dict[str, Any] = inner if isinstance(inner, dict) else {}
    code, status = _code(whole, data), _number(whole.get("status"))
    job_id = _job_id(data.get("jobId", whole.get("jobId")))
    row = _row(http_status, code, status, job_id)
    message = whole.get("message")
    return Answer(
        decision=row.decision,
        http_status=http_status,
        code=code if code is not None else status if status in CODES or status in STARTED else None,
        reason=row.reason,
        message=clean_message(message) if isinstance(message, str) else "",
        job_id=job_id if row.decision is Decision.ACCEPTED else None,
        retry_after=_retry_after(headers),
        seconds=seconds,
    )


def _row(http_status: int, code: int | None, status: int | None, job_id: int | None) -> Row:
    if http_status >= _SERVER and http_status != 503:  # noqa: PLR2004 - the one 5xx that proves "not taken"
        return SERVER_ERROR
    known = CODES.get(code if code is not None else 1) or CODES.get(status if status is not None else 1)
    good = known is None and status in STARTED
    if _OK <= http_status < _OTHER and good:
        return Row("accepted", "Success", Decision.ACCEPTED) if job_id is not None else NO_JOB_ID
    if _OK <= http_status < _OTHER:
        return known if known is not None and job_id is None else BAD_ANSWER
    if good and job_id is not None:
        return BAD_ANSWER
    if http_status == 429 or http_status == 503:  # noqa: PLR1714, PLR2004 - these two say it whatever the body says
        return status_row(http_status)
    return known or status_row(http_status)


def _object(body: bytes) -> dict[str, Any]:
    try:
        whole = json.loads(body) if len(body) <= LARGEST else None
    except (ValueError, RecursionError):
        return {}
    return whole if isinstance(whole, dict) else {}


def _code(whole: Mapping[str, Any], data: Any) -> int | None:
    """The error code, as `code` or `errorCode`, above or in `data`, or in the place of the status."""
    for place in (whole, data):
        for name in ("code", "errorCode"):
            number = _number(place.get(name))
            if number in CODES:
                return number
    status = _number(whole.get("status"))
    return status if status in CODES else None


def _number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**15:
        return value
    return int(value) if isinstance(value, str) and _DIGITS.fullmatch(value) else None


def _job_id(value: Any) -> int | None:
    number = _number(value)
    return number if number is not None and number >= 0 else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit() and len(text) < 10:  # noqa: PLR2004 - seconds that fit
        return float(text)
    try:
        until = parsedate_to_datetime(text)
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None
