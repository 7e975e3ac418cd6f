"""Reads receipts: what a verified webhook, or an answer of fax-status, says about a fax.

The webhook, the reconciler and the status call share this parser, so they agree on what a receipt is. The
meaning of an unknown `faxStatus` is not guessed: the body is set aside for an operator.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from faxline.contract.texts import clean_message, mask_number
from faxline_worker.ifax.causes import CAUSES, OTHER, Cause, cause_of
from faxline_worker.ifax.fax_object import STATUSES, FaxObject, Status, read_body, read_fax

_CODES = range(-9999, 10_000)
_OUTCOMES = {Status.DELIVERED, Status.FAILED, Status.CANCELED}
_CHARGED = "failed_chargeable"
_BY_WORD: Mapping[str, Cause] = {"blocked": CAUSES["CALL_REJECTED"]}
"""Words of faxStatus that name the cause: iFax or the recipient blocks the fax."""


class Nonsense(StrEnum):
    """Why a body is not a receipt."""

    MALFORMED = "malformed"
    """It is not a JSON object, or lacks a jobId or a faxStatus."""
    UNKNOWN_STATUS = "unknown_status"
    """Its faxStatus is unknown or not final."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The final result of a fax.

    Attributes:
        job_id: iFax's jobId, as decimal digits.
        outcome: delivered, failed or canceled.
        code: iFax's numeric code, if any.
        reason: Faxline's fixed name of the cause (causes.CAUSES).
        message: iFax's text, without phone numbers.
        pages: faxTotalPages.
        transferred: faxTransferredPages.
        to, sender: toNumber and fromNumber, their digits, with a + in front if they had one.
        started: faxCallStart, when the call to the API was made, seconds since 1970.
        again: which wait precedes the next delivery of a failed fax (causes.Again); None means final.
        lower: True if the next delivery must use a lower quality; else None.
        ended: faxCallEnd, seconds since 1970.
        charged: True if iFax charges for this failure; else None.
        redial: retryAttempt, how often iFax has redialed by itself; it may do so again if the fax failed.
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
    lower: bool | None = None
    charged: bool | None = None
    redial: int | None = None
    ended: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The members, for the scripts."""
        return {name: getattr(self, name) for name in self.__slots__}  # asdict would copy each member deeply


@dataclass(frozen=True, slots=True)
class Inbound:
    """A received fax.

    Attributes:
        known_by: an id that is the same in every webhook about this fax.
        sender, to: fromNumber and toNumber, masked but for the last four digits.
        pages: faxReceivedPages, or else faxTotalPages.
        job_id: iFax's jobId, as decimal digits.
        transaction_id: iFax's transactionId.
        received_at: faxCallEnd or faxCallStart, seconds since 1970.
    """

    known_by: str
    sender: str | None
    to: str | None
    pages: int | None
    job_id: str | None
    transaction_id: str | None
    received_at: int | None

    def to_dict(self) -> dict[str, Any]:
        """The members for the script: the fax's id, and the data of its event."""
        data = {
            "state": "received",
            "from": self.sender,
            "to": self.to,
            "pages": self.pages,
            "transactionId": self.transaction_id,
            "at": None if self.received_at is None else self.received_at * 1000,
        }
        known = {name: value for name, value in data.items() if value is not None}
        return {"outcome": "received", "job_id": self.known_by, "about": self.job_id, "data": known}


def is_sending(body: bytes) -> bool:
    """Whether the answer of a status call says that the fax is still being sent."""
    whole = read_body(body)
    return whole is not None and read_fax(whole).status is Status.SENDING


def recipient(body: bytes) -> str | None:
    """The toNumber in the answer of a status call; None if there is none."""
    whole = read_body(body)
    return read_fax(whole).to if whole is not None else None


def read_receipt(body: bytes) -> Receipt | Inbound | Nonsense:
    """Read a webhook's body, or say why it is not a receipt. Never raises."""
    whole = read_body(body)
    if whole is None:
        return Nonsense.MALFORMED
    fax = read_fax(whole)
    return _inbound(fax, whole) if fax.inbound else receipt_of(fax)


def receipt_of(fax: FaxObject) -> Receipt | Nonsense:
    """Read the final result of a sent fax from a fax object, or say why there is none. Never raises."""
    if fax.job_id is None or fax.status is None:
        return Nonsense.MALFORMED
    if fax.status not in _OUTCOMES:
        return Nonsense.UNKNOWN_STATUS
    text, failed = clean_message(fax.message), fax.status is Status.FAILED
    cause = _BY_WORD.get(fax.word) or (OTHER if fax.word not in STATUSES else cause_of(text, fax.code))
    return Receipt(
        job_id=str(fax.job_id),
        outcome=str(fax.status),
        code=fax.code if fax.code in _CODES else None,
        reason=cause.reason,
        message=text,
        pages=fax.pages,
        transferred=fax.transferred,
        to=fax.to,
        sender=fax.sender,
        started=fax.started,
        again=str(cause.again) if cause.again is not None and failed else None,
        lower=True if cause.lower and failed else None,
        charged=True if fax.word == _CHARGED else None,
        redial=fax.redial,
        ended=fax.ended,
    )


def _inbound(fax: FaxObject, whole: Mapping[str, Any]) -> Inbound:
    name = fax.job_id or fax.transaction_id
    if name is None:
        name = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:32]
    return Inbound(
        known_by=str(name),
        sender=_masked(fax.sender),
        to=_masked(fax.to),
        pages=fax.pages if fax.received is None else fax.received,
        job_id=None if fax.job_id is None else str(fax.job_id),
        transaction_id=fax.transaction_id,
        received_at=fax.ended or fax.started,
    )


def _masked(number: str | None) -> str | None:
    """Mask a number, because no event may hold a full one (ARCHITECTURE.md, rule 7)."""
    return None if number is None else mask_number(number)
