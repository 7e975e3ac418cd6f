"""Receipts: the verified body of a postflight webhook (ifax-api, Fax Webhook Events), read with care.

The documented form has the members in `data`; a flat body with them at the top level is understood as well.
An unknown `faxStatus` is not guessed at: the body makes no sense to us and is kept for a look.
"""

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from faxline.texts import clean_message
from faxline_worker.ifax.causes import cause_of

OUTCOMES = ("delivered", "failed", "canceled")
_DIGITS = re.compile(r"-?[0-9]{1,18}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)
_CODES = range(-9999, 10_000)


class Nonsense(StrEnum):
    """Why a body is no receipt."""

    MALFORMED = "malformed"
    """No JSON object, or one without a jobId and a faxStatus."""
    UNKNOWN_STATUS = "unknown_status"
    """Its faxStatus is no final one that we know."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The final word on one iFax job.

    Attributes:
        job_id: iFax's jobId, as decimal digits.
        outcome: delivered, failed or canceled.
        code: iFax's numeric code, if it gave one.
        reason: our fixed name of the cause (causes.CAUSES).
        message: iFax's text, without phone numbers.
        pages: faxTotalPages.
        transferred: faxTransferredPages.
        to, sender: toNumber and fromNumber, in E.164.
        started: faxCallStart, when the call to the API was made, seconds since 1970.
        again: of a failure, after which delay it is worth another try (causes.Again); None: final.
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
    again: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Its members, for the scripts."""
        return {name: getattr(self, name) for name in self.__slots__}  # asdict copies each member deeply


def _fax(body: bytes) -> dict[str, Any] | None:
    """The fax object of a body, in `data` or at the top level; None where there is none."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(whole, dict):
        return None
    return whole["data"] if isinstance(whole.get("data"), dict) else whole


def is_sending(body: bytes) -> bool:
    """Whether the answer to a status call says that the fax is still on its way."""
    return (_fax(body) or {}).get("faxStatus") == "sending"


def read_receipt(body: bytes) -> Receipt | Nonsense:
    """Read a webhook's body, or say why it is no receipt. Raises nothing."""
    data = _fax(body)
    if data is None:
        return Nonsense.MALFORMED
    job_id, outcome = _number(data.get("jobId")), data.get("faxStatus")
    if job_id is None or job_id < 0 or not isinstance(outcome, str):
        return Nonsense.MALFORMED
    if outcome not in OUTCOMES:
        return Nonsense.UNKNOWN_STATUS
    code = _number(data.get("code"))
    message = data.get("message")
    text = clean_message(message) if isinstance(message, str) else ""
    cause = cause_of(text, code)
    return Receipt(
        job_id=str(job_id),
        outcome=outcome,
        code=code if code in _CODES else None,
        reason=cause.reason,
        message=text,
        pages=_count(data.get("faxTotalPages")),
        transferred=_count(data.get("faxTransferredPages")),
        to=_e164(data.get("toNumber")),
        sender=_e164(data.get("fromNumber")),
        started=_number(data.get("faxCallStart")),
        again=str(cause.again) if cause.again is not None and outcome == "failed" else None,
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
