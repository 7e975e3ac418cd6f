"""The fax object (ifax-api, Fax Object), read with care: the one parser of it.

Webhooks, the answer to fax-status and answers that echo a fax carry it, in `data` or flat at the top level.
iFax's documentation and its practice differ in small things, so names of members are read in any case and
with underscores, texts without the blanks around them, numbers also as texts of digits.
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
    """What a faxStatus means."""

    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELED = "canceled"
    RECEIVED = "received"
    """Of an inbound fax."""
    UNKNOWN = "unknown"
    """A word that nobody knows; it is not guessed at."""


STATUSES: Mapping[str, Status] = {
    "sending": Status.SENDING,
    "delivered": Status.DELIVERED,
    "failed": Status.FAILED,
    "canceled": Status.CANCELED,
    # Not documented, seen in public clients.
    "cancelled": Status.CANCELED,
    "partially_cancelled": Status.CANCELED,
    "partially_canceled": Status.CANCELED,
    "failed_chargeable": Status.FAILED,
    "blocked": Status.FAILED,
    "received": Status.RECEIVED,
}
"""The words of faxStatus, folded by `fold`."""


@dataclass(frozen=True, slots=True)
class FaxObject:
    """A fax as iFax shows it; None is what it does not tell, or not in a form that can be read.

    Attributes:
        job_id: iFax's jobId, more than 0.
        transaction_id: iFax's other name of a fax, at most 64 plain characters.
        word: faxStatus, folded.
        status: what that word means; None without one.
        inbound: it came to us.
        message: iFax's text as it is; it may hold a phone number.
        code: the fax's number, which says nothing about the call that showed it.
        pages: faxTotalPages.
        transferred: faxTransferredPages.
        received: faxReceivedPages.
        to: toNumber, digits with a + in front where it had one.
        sender: fromNumber, as `to`.
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
    """The JSON object of a body; None where it is none. Raises nothing."""
    try:
        whole = json.loads(body)
    except (ValueError, RecursionError):  # no JSON, no Unicode, an endless number; nested too deep
        return None
    return whole if isinstance(whole, dict) else None


def read_fax(whole: Mapping[str, Any]) -> FaxObject:
    """Read the fax object of a body: that in `data` where there is one, else the top level. Raises nothing.

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
        message=text if isinstance(text := fax.get("message"), str) else "",
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
    """Whether an object itself is a fax object: it has a faxStatus."""
    return "faxStatus" in _members(found)


def fold(word: Any) -> str:
    """A word without blanks around it, in lower case, with one underscore between its parts."""
    return re.sub(r"[\s_-]+", "_", word.strip().lower()) if isinstance(word, str) else ""


def status_of(word: str) -> Status:
    """What a folded faxStatus means; a word that nobody knows is a failure where it begins like one."""
    known = STATUSES.get(word)
    return known or (Status.FAILED if word.startswith(_FAILING) else Status.UNKNOWN)


def integer(value: Any) -> int | None:
    """An integer, also as a text of up to 18 digits with blanks around it."""
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    whole = isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**18
    return value if whole else None


def job_id(value: Any) -> int | None:
    """A jobId; a text with a sign is none: a phone number begins so."""
    number = integer(value) if not isinstance(value, str) or value.strip().isdigit() else None
    return number if number is not None and number > 0 else None


def phone_number(value: Any) -> str | None:
    """A phone number, its digits and a + in front where it had one; it may lack its country."""
    plain = value.translate(_BETWEEN_DIGITS) if isinstance(value, str) else ""
    return plain if _NUMBER.fullmatch(plain) else None


def _members(found: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of an object by the documented names; one that is written so itself comes first."""
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
