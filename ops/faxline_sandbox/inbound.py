"""Received faxes, and their webhooks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from faxline_sandbox.config import E164
from faxline_sandbox.faults import FaultError
from faxline_sandbox.ledger import WebhookAttempt

LARGEST_FILE = 20_000_000
_MEMBERS = {"from", "to", "pages", "multipart", "bytes", "direction"}
DIRECTIONS = ("inbound", "received")
"""The words of an inbound fax's `direction`; the second one is documented."""


@dataclass
class InboundFax:
    """A received fax.

    Args:
        job_id: iFax's jobId.
        from_number: the sender, E.164.
        to_number: the receiving number, E.164.
        pages: the number of pages.
        at: when it was received, Unix seconds.
        multipart: whether its webhook is a form with the fax's PDF instead of JSON.
        size: the size of that PDF in bytes.
        direction: one of `DIRECTIONS`.
    """

    job_id: int
    from_number: str
    to_number: str
    pages: int = 1
    at: float = 0.0
    multipart: bool = False
    size: int = 1000
    direction: str = "inbound"
    webhooks: list[WebhookAttempt] = field(default_factory=list)

    @classmethod
    def read(cls, value: Any, job_id: int, at: float) -> Self:
        """Read a fax from JSON: `from`, `to`, `pages` (1), `multipart` (false), `bytes` (1000) and so on.

        Raises:
            FaultError: a member is wrong or unknown.
        """
        if not isinstance(value, Mapping) or not set(value) <= _MEMBERS:
            raise FaultError(f"an inbound fax is an object with some of {', '.join(sorted(_MEMBERS))}")
        numbers = [value.get("from", "+441224515014"), value.get("to", "+12025550100")]
        if not all(isinstance(number, str) and E164.fullmatch(number) for number in numbers):
            raise FaultError("from, to: must be E.164, such as +1234567890")
        pages, size = value.get("pages", 1), value.get("bytes", 1000)
        if type(pages) is not int or pages < 1:
            raise FaultError("pages: must be 1 or more")
        if type(size) is not int or not 0 <= size <= LARGEST_FILE:
            raise FaultError(f"bytes: must be 0 to {LARGEST_FILE}")
        direction = value.get("direction", "inbound")
        if direction not in DIRECTIONS:
            raise FaultError(f"direction: must be one of {', '.join(DIRECTIONS)}")
        return cls(job_id, numbers[0], numbers[1], pages, at, bool(value.get("multipart")), size, direction)

    def pdf(self) -> bytes:
        """The fax's file: it begins like a PDF and has `size` bytes, but cannot be opened."""
        return b"%PDF-1.4\n" + b"x" * self.size

    def fax_object(self) -> dict[str, Any]:
        """The fax object of its webhook."""
        at = int(self.at)
        return {
            "jobId": self.job_id,
            "transactionId": transaction_id(self.job_id),
            "fromNumber": self.from_number,
            "toNumber": self.to_number,
            "faxCallLength": 30,
            "faxCallStart": at - 30,
            "faxCallEnd": at,
            "faxReceivedPages": self.pages,
            "faxStatus": "received",
            "message": "NORMAL_CLEARING",
            "code": 0,
            "direction": self.direction,
        }


def transaction_id(job_id: int) -> int:
    """The transactionId of a fax, iFax's second id."""
    return 900_000 + job_id
