"""Calls that iFax does not document and that change nothing: lists of faxes and numbers, and a received fax.

They are only in the profile `field`. Their forms are those that public clients of iFax read.
"""

import base64
import re
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any

from faxline_sandbox import answers
from faxline_sandbox.accounts import Customer
from faxline_sandbox.answers import Refusal
from faxline_sandbox.bodies import Fields
from faxline_sandbox.inbound import InboundFax, transaction_id
from faxline_sandbox.sandbox import Sandbox
from faxline_sandbox.webhooks import fax_object

PAGE = 50
"""The most faxes in one answer of `fax-list-all` and of `fax-lists`."""

_DATE = re.compile(r"(0[1-9]|1[0-2])/(0[1-9]|[12][0-9]|3[01])/[0-9]{4}", re.ASCII)


class Listing:
    """Answers these calls.

    Args:
        sandbox: the sandbox.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox

    async def faxes(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """Carry out fax-lists: the account's newest faxes."""
        del fields
        sent = [entry for entry in self._sandbox.ledger if entry.account == customer.label]
        data = [fax_object(entry, field=True) for entry in sent[: -PAGE - 1 : -1]]
        return {"status": 1, "message": "Fax list", "data": data}

    async def numbers(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """Carry out inbound/number-list: the account's own numbers."""
        del fields
        return {"status": 1, "message": "Number list", "data": [{"number": customer.account.caller_id}]}

    async def received(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """Carry out fax-list-all: the received faxes, a page after `lastFaxId`, oldest first.

        Raises:
            Refusal: -2, `startDate` or `endDate` is not MM/DD/YYYY, or `lastFaxId` is not an integer.
        """
        first, last = (_date(fields, name) for name in ("startDate", "endDate"))
        after = fields.get("lastFaxId", 0)
        if type(after) is not int:
            raise Refusal("lastFaxId: must be an integer")
        rows = [
            _row(fax)
            for fax in self._of(customer)
            if fax.job_id > after and (first or _DAWN) <= _day(fax) <= (last or _DUSK)
        ]
        return {"status": 1, "message": "Fax list", "data": rows[:PAGE]}

    async def download(self, customer: Customer, fields: Fields) -> dict[str, Any]:
        """Carry out fax-download: a received fax, as a PDF in base64.

        Raises:
            Refusal: -5, no fax of the account has both the jobId and the transactionId.
        """
        job_id, transaction = fields.get("jobId"), fields.get("transactionId")
        for fax in self._of(customer):
            if fax.job_id == job_id and transaction in {
                transaction_id(fax.job_id),
                str(transaction_id(fax.job_id)),
            }:
                return {"status": 1, "message": "Fax", "data": base64.b64encode(fax.pdf()).decode()}
        raise answers.not_found(job_id if isinstance(job_id, int) else 0)

    def _of(self, customer: Customer) -> Sequence[InboundFax]:
        return self._sandbox.received.get(customer.label, ())


_DAWN, _DUSK = date.min, date.max


def _date(fields: Fields, name: str) -> date | None:
    """A day of UTC written MM/DD/YYYY; None without one."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise Refusal(f"{name}: must be MM/DD/YYYY")
    try:
        return datetime.strptime(value, "%m/%d/%Y").replace(tzinfo=UTC).date()
    except ValueError:
        raise Refusal(f"{name}: there is no such day") from None


def _day(fax: InboundFax) -> date:
    return datetime.fromtimestamp(fax.at, UTC).date()


def _row(fax: InboundFax) -> dict[str, Any]:
    found = fax.fax_object()
    names = ("jobId", "transactionId", "fromNumber", "toNumber", "faxReceivedPages", "faxStatus")
    return {name: found[name] for name in names} | {"receivedTime": found["faxCallEnd"]}
