"""Receipts: the verified body of a postflight webhook (ifax-api, Fax Webhook Events), read with care.

The documented form has the members in `data`; a flat body with them at the top level is understood as well.
An unknown `faxStatus` is not guessed at: the body makes no sense to us and is kept for a look.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from faxline_worker.ifax.answers import clean_message

OUTCOMES = ("delivered", "failed", "canceled")
CAUSES: Mapping[str, str] = {
    "NORMAL_CLEARING": "normal_clearing",
    "USER_BUSY": "busy",
    "NO_ANSWER": "no_answer",
    "NO_USER_RESPONSE": "no_answer",
    "UNALLOCATED_NUMBER": "unallocated_number",
    "INVALID_NUMBER_FORMAT": "invalid_number",
    "CALL_REJECTED": "rejected",
    "NORMAL_TEMPORARY_FAILURE": "line_trouble",
    "NETWORK_OUT_OF_ORDER": "line_trouble",
    "RECOVERY_ON_TIMER_EXPIRE": "line_trouble",
    "ORIGINATOR_CANCEL": "canceled",
}
"""Names of call causes (Q.850, as FreeSWITCH writes them) to the fixed names of our reasons."""

_DIGITS = re.compile(r"-?[0-9]{1,18}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_CODES = range(-9999, 10_000)


def delivery_reasons() -> list[tuple[int | None, str]]:
    """The reasons of a failed delivery that are counted from the start, with no code."""
    return [(None, reason) for reason in sorted({*CAUSES.values(), "other"})]


@dataclass(frozen=True, slots=True)
class Receipt:
    """The final word on one iFax job.

    Attributes:
        job_id: iFax's jobId, as decimal digits.
        outcome: delivered, failed or canceled.
        code: iFax's numeric code, if it gave one.
        reason: our fixed name of the cause.
        message: iFax's text, without phone numbers.
        pages: faxTotalPages.
        transferred: faxTransferredPages.
        to, sender: toNumber and fromNumber, in E.164.
        started: faxCallStart, when the call to the API was made, seconds since 1970.
    """

    job_id: str
    outcome: str
    code: int | None
    reason: str
    message: str
    pages: int | None
    transferred: int | None
    to: str | None = None
    sender: str | None = None
    started: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its members, for the scripts."""
        return asdict(self)


def read_receipt(body: bytes) -> Receipt | None:
    """Read a webhook's body; None where it makes no sense. Raises nothing."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return None
    data = whole.get("data", whole) if isinstance(whole, dict) else None
    if not isinstance(data, dict):
        return None
    job_id, outcome = _number(data.get("jobId")), data.get("faxStatus")
    if job_id is None or job_id < 0 or outcome not in OUTCOMES:
        return None
    code = _number(data.get("code"))
    message = data.get("message")
    text = clean_message(message) if isinstance(message, str) else ""
    return Receipt(
        job_id=str(job_id),
        outcome=outcome,
        code=code if code in _CODES else None,
        reason=CAUSES.get(text, "other"),
        message=text,
        pages=_count(data.get("faxTotalPages")),
        transferred=_count(data.get("faxTransferredPages")),
        to=_e164(data.get("toNumber")),
        sender=_e164(data.get("fromNumber")),
        started=_number(data.get("faxCallStart")),
    )


def _number(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18:
        return value
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return int(value)
    return None


def _e164(value: Any) -> str | None:
    return value if isinstance(value, str) and _E164.fullmatch(value) else None


def _count(value: Any) -> int | None:
    number = _number(value)
    return number if number is not None and 0 <= number < 1_000_000 else None  # noqa: PLR2004 - beyond any fax
