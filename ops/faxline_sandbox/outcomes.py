"""What becomes of a fax: the magic numbers, and outcomes given to other numbers.

A magic number ends in 555 and the four digits of a row, such as +1 202 555 0017. Everything else is
delivered. A row is added to `MAGIC_NUMBERS`, and to the table in docs/sandbox.md (a test compares them).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self

from faxline_sandbox.answers import ERROR_CODES
from faxline_sandbox.faults import Fault, FaultError, WebhookFault

Final = Literal["delivered", "failed"]

MAGIC_PREFIX = "555"


@dataclass(frozen=True)
class Outcome:
    """What becomes of a fax to a number.

    Args:
        status: the faxStatus of the webhook.
        message: its message.
        code: its code.
        transferred: the share of the pages that arrive, rounded down; None is all of a delivered fax and
            none of a failed one.
        refusal: an error code (-3001 … -3010) with which fax-send and fax-resend are answered.
        fault: what goes wrong with the answer to fax-send and fax-resend, always.
        webhook: what goes wrong with the webhook, always.

    Raises:
        FaultError: a member is wrong.
    """

    status: Final = "delivered"
    message: str = "NORMAL_CLEARING"
    code: int = 0
    transferred: float | None = None
    refusal: int | None = None
    fault: Fault | None = None
    webhook: WebhookFault | None = None

    def __post_init__(self) -> None:
        if self.status not in ("delivered", "failed"):
            raise FaultError("status: must be delivered or failed")
        if not isinstance(self.message, str):
            raise FaultError("message: must be a string")
        if not isinstance(self.code, int) or isinstance(self.code, bool):
            raise FaultError("code: must be an integer")
        share = self.transferred
        if share is not None and not (isinstance(share, int | float) and 0 <= share <= 1):
            raise FaultError("transferred: must be 0 to 1")
        if self.refusal not in (None, *ERROR_CODES):
            raise FaultError(f"refusal: must be one of {', '.join(map(str, ERROR_CODES))}")

    def transferred_pages(self, pages: int) -> int:
        """The faxTransferredPages of a fax with so many pages."""
        if self.transferred is None:
            return pages if self.status == "delivered" else 0
        return int(pages * self.transferred)

    @classmethod
    def read(cls, value: Any) -> Self:
        """The outcome of a JSON object, with `fault` and `webhook` as objects in it.

        Raises:
            FaultError: a member is wrong or unknown.
        """
        if not isinstance(value, dict):
            raise FaultError("an outcome must be a JSON object")
        known = {member.name for member in fields(cls)}
        for name in value:
            if name not in known:
                raise FaultError(f"{name}: is unknown; an outcome has {', '.join(sorted(known))}")
        fault, webhook = value.get("fault"), value.get("webhook")
        return cls(
            **{
                **value,
                "fault": None if fault is None else Fault.read(fault),
                "webhook": None if webhook is None else WebhookFault.read(webhook),
            }
        )


DELIVERED = Outcome()


def _failed(code: int, message: str, transferred: float | None = None) -> Outcome:
    return Outcome("failed", message, code, transferred)


MAGIC_NUMBERS: Mapping[str, Outcome] = {
    # The call fails (codes and names of Q.850, as NORMAL_CLEARING is one).
    "0001": _failed(1, "UNALLOCATED_NUMBER"),
    "0003": _failed(3, "NO_ROUTE_DESTINATION"),
    "0017": _failed(17, "USER_BUSY"),
    "0018": _failed(18, "NO_USER_RESPONSE"),
    "0019": _failed(19, "NO_ANSWER"),
    "0021": _failed(21, "CALL_REJECTED"),
    "0027": _failed(27, "DESTINATION_OUT_OF_ORDER"),
    "0034": _failed(34, "NORMAL_CIRCUIT_CONGESTION"),
    "0038": _failed(38, "NETWORK_OUT_OF_ORDER"),
    # A part of the pages arrives.
    "0041": _failed(41, "NORMAL_TEMPORARY_FAILURE", 0.5),
    "0206": Outcome(transferred=0.5),
    # The answer is lost, late or strange.
    "0202": Outcome(fault=Fault("status_zero")),
    "0204": Outcome(fault=Fault("no_job_id")),
    "0408": Outcome(fault=Fault("hang_before")),
    "0429": Outcome(fault=Fault("status", status=429, retry_after=1)),
    "0444": Outcome(fault=Fault("reset_before")),
    "0445": Outcome(fault=Fault("reset_after")),
    "0500": Outcome(fault=Fault("status", status=500)),
    "0501": Outcome(fault=Fault("status", status=500, accepted=True)),
    "0502": Outcome(fault=Fault("garbage", status=502)),
    "0503": Outcome(fault=Fault("status", status=503, retry_after=1)),
    "0504": Outcome(fault=Fault("hang_after")),
    # The webhook is lost, doubled, late or early.
    "0601": Outcome(webhook=WebhookFault("lose")),
    "0602": Outcome(webhook=WebhookFault("double")),
    "0603": Outcome(webhook=WebhookFault("late")),
    "0604": Outcome(webhook=WebhookFault("early")),
    # The submission is refused with the error code of the same digits.
    **{str(-code): Outcome(refusal=code) for code in ERROR_CODES},
}


@dataclass
class Numbers:
    """The outcome of every number: what it was given, its magic, or delivery."""

    _given: dict[str, Outcome] = field(default_factory=dict)

    def give(self, number: str, outcome: Outcome | None) -> None:
        """Decide what becomes of faxes to a number; None gives it back its own outcome."""
        if outcome is None:
            self._given.pop(number, None)
        else:
            self._given[number] = outcome

    def outcome(self, number: str) -> Outcome:
        """What becomes of a fax to a number."""
        given = self._given.get(number)
        if given is not None:
            return given
        if number[-7:-4] == MAGIC_PREFIX:
            return MAGIC_NUMBERS.get(number[-4:], DELIVERED)
        return DELIVERED
