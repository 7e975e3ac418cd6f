"""The parser of the fax object (docs/ifax.md, The fax object and the webhook).

Webhooks, answers of fax-status and answers that echo a fax hold it, in `data` or at the top level. iFax
deviates from its documentation in small things. So names of members may be in any case and with underscores,
texts may have blanks around them, and numbers may be texts of digits.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"\+?[0-9]{7,15}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_BETWEEN_DIGITS = str.maketrans("", "", " ()-.\u00a0")
_MEMBERS = (
    *("jobId", "transactionId", "faxStatus", "direction", "message", "code", "faxTotalPages"),
    *("faxTransferredPages", "faxReceivedPages", "toNumber", "fromNumber", "faxCallStart", "faxCallEnd"),
    "retryAttempt",
)
_KNOWN = {name.lower(): name for name in _MEMBERS}
_INBOUND = frozenset({"received", "inbound"})
_FAILING = ("fail", "reject", "block")


class Status(StrEnum):
    """The meaning of a faxStatus."""

    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELED = "canceled"
    RECEIVED = "received"
    """The fax is inbound."""
    UNKNOWN = "unknown"
    """An unknown word. Its meaning is not guessed."""


STATUSES: Mapping[str, Status] = {
    "sending": Status.SENDING,
    "delivered": Status.DELIVERED,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
    # Not documented, but seen in public clients of iFax.
    "cancelled": Status.CANCELED,
    "partially_cancelled": Status.CANCELED,
    "partially_canceled": Status.CANCELED,
    "failed_chargeable": Status.FAILED,
    "blocked": Status.FAILED,
    "received": Status.RECEIVED,
}
"""The words of faxStatus, as `fold` returns them."""


@dataclass(frozen=True, slots=True)
class FaxObject:
    """A fax as iFax describes it. A member that is missing or unreadable is None.

    Attributes:
        job_id: iFax's jobId, greater than 0.
        transaction_id: iFax's transactionId, at most 64 plain characters.
        word: faxStatus, as `fold` returns it.
        status: the meaning of that word; None without a faxStatus.
        inbound: whether this is a received fax.
        message: iFax's text, unchanged; it may hold a phone number.
        code: the fax's number, which says nothing about the call that returned it.
        pages: faxTotalPages.
        transferred: faxTransferredPages.
        received: faxReceivedPages.
        to: toNumber, its digits, with a + in front if it had one.
        sender: fromNumber, likewise.
        started: faxCallStart, seconds since 1970.
        ended: faxCallEnd, seconds since 1970.
        redial: retryAttempt.
    """

    job_id: int | None
    transaction_id: str | None
    word: str
    status: Status | None
    inbound: bool
    message: str
    code: int | None
    pages: int | None
    transferred: int | None
    received: int | None
    to: str | None
    sender: str | None
    started: int | None
    ended: int | None
    redial: int | None


def read_body(body: bytes) -> dict[str, Any] | None:
    """Parse a body; None if it is not a JSON object. Never raises."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):  # invalid JSON or Unicode, a number too long; nested too deep
        return None
    return whole if isinstance(whole, dict) else None


def _message(value: Any) -> str:
    """The text of a `message`. One that is no text is not empty: a number beside it decides nothing."""
    if value is None or isinstance(value, str):
        return value or ""
    return "(not a text)"


def read_fax(whole: Mapping[str, Any]) -> FaxObject:
    """Read the fax object in `data`, or else at the top level. Never raises.

    Example:
        >>> read_fax({"data": {"jobId": " 12345", "faxStatus": "Delivered "}}).status
        <Status.DELIVERED: 'delivered'>
    """
    top, inner = _members(whole), whole.get("data")
    found = _members(inner) if isinstance(inner, dict) else {}
    fax = found if {"faxStatus", "direction"} & found.keys() else {**top, **found}
    word = fold(fax.get("faxStatus"))
    status = status_of(word) if word else None
    direction = fold(fax.get("direction"))
    if status is Status.RECEIVED and direction not in {"", *_INBOUND}:
        status = Status.UNKNOWN
    return FaxObject(
        job_id=job_id(fax.get("jobId", top.get("jobId"))),
        transaction_id=_transaction(fax.get("transactionId", top.get("transactionId"))),
        word=word,
        status=status,
        inbound=direction in _INBOUND or status is Status.RECEIVED,
        message=_message(fax.get("message")),
        code=integer(fax.get("code")),
        pages=_count(fax.get("faxTotalPages")),
        transferred=_count(fax.get("faxTransferredPages")),
        received=_count(fax.get("faxReceivedPages")),
        to=phone_number(fax.get("toNumber")),
        sender=phone_number(fax.get("fromNumber")),
        started=integer(fax.get("faxCallStart")),
        ended=integer(fax.get("faxCallEnd")),
        redial=_count(fax.get("retryAttempt")),
    )


def holds_fax(found: Mapping[str, Any]) -> bool:
    """Whether an object is itself a fax object, which has a faxStatus."""
    return "faxStatus" in _members(found)


def fold(word: Any) -> str:
    """Normalise a word: no blanks around it, lower case, one underscore between its parts."""
    return re.sub(r"[\s_-]+", "_", word.strip().lower()) if isinstance(word, str) else ""


def status_of(word: str) -> Status:
    """The meaning of a folded faxStatus. An unknown word that begins like a failure counts as one."""
    known = STATUSES.get(word)
    return known or (Status.FAILED if word.startswith(_FAILING) else Status.UNKNOWN)


def integer(value: Any) -> int | None:
    """Read an integer, or a text of up to 18 digits with blanks around it; None for anything else."""
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18
    return value if whole else None


def job_id(value: Any) -> int | None:
    """Read a jobId; None for anything else. A text with a sign is not a jobId but may be a phone number."""
    number = integer(value) if not isinstance(value, str) or value.strip().isdigit() else None
    return number if number is not None and number > 0 else None


def phone_number(value: Any) -> str | None:
    """Read a phone number: its digits, and a + in front if it had one. It may lack the country code."""
    plain = value.translate(_BETWEEN_DIGITS) if isinstance(value, str) else ""
    return plain if _NUMBER.fullmatch(plain) else None


def _members(found: Mapping[str, Any]) -> dict[str, Any]:
    """The known members of an object by their documented names. An exact spelling counts before others."""
    read = {}
    for name, value in found.items():
        known = _KNOWN.get(name.strip().replace("_", "").lower())
        if known is not None and (name == known or known not in found):
            read[known] = value
    return read


def _transaction(value: Any) -> str | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18:
        return str(value)
    text = value.strip() if isinstance(value, str) else ""
    return text if _NAME.fullmatch(text) else None


def _count(value: Any) -> int | None:
    number = integer(value)
    return number if number is not None and 0 <= number < 1_000_000 else None  # noqa: PLR2004 - beyond any fax
