"""The outcome of a fax: how its call ends, and what goes wrong with its answer and its webhook."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, Self

from faxline_sandbox.answers import ERROR_CODES
from faxline_sandbox.causes import CAUSES
from faxline_sandbox.faults import Fault, FaultError, WebhookFault

Final = Literal["delivered", "failed"]
QUALITIES = ("Low", "Standard", "HD")
"""The values of faxQuality, from low to high."""
FORMS = ("flat", "text_job_id", "job_id", "no_country", "multipart")
"""Forms of a webhook that differ from the documentation: the fax at the top level; jobId as a text, or named
job_id; fromNumber without the country code 1; a form with the fax's PDF."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a fax to a number.

    Args:
        status: the faxStatus of the webhook.
        message: its message.
        code: its code.
        transferred: the share of the pages that arrive, rounded down; None means all of a delivered fax,
            and none of a failed one.
        refusal: an error code (-3001 … -3010) with which fax-send and fax-resend are answered.
        fault: what goes wrong with the answer to fax-send and fax-resend, always.
        webhook: what goes wrong with the webhook, always.
        word: the faxStatus that the webhook and fax-status show instead of `status`, if any.
        forms: how the webhook is written, some of `FORMS`.
        redials: how many of iFax's own calls fail before, each reported by a webhook with faxStatus failed.
        receives: the best faxQuality that the machine can receive: a fax in a better one has this outcome,
            any other is delivered. None: any quality.
        seconds: how much longer the call takes.
        factor: how many times as long the call takes, before the seconds are added.
        times: the number of calls with this outcome, before the next one; None means all. A request that a
            fault or the refusal stops counts as a call.

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
    word: str | None = None
    forms: Sequence[str] = ()
    redials: int = 0
    receives: str | None = None
    seconds: float = 0.0
    factor: float = 1.0
    times: int | None = None

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
        self._check_webhook()
        for name in ("seconds", "factor"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 <= value < math.inf:
                raise FaultError(f"{name}: must be 0 or more")
        if self.times is not None and not (type(self.times) is int and self.times >= 1):
            raise FaultError("times: must be 1 or more, or null for always")

    def _check_webhook(self) -> None:
        if not isinstance(self.word, str | None):
            raise FaultError("word: must be a string, or null")
        if not isinstance(self.forms, list | tuple) or not set(self.forms) <= set(FORMS):
            raise FaultError(f"forms: must be a list of some of {', '.join(FORMS)}")
        if self.receives not in (None, *QUALITIES):
            raise FaultError(f"receives: must be one of {', '.join(QUALITIES)}, or null")
        if type(self.redials) is not int or not 0 <= self.redials <= 10:  # noqa: PLR2004 - enough
            raise FaultError("redials: must be 0 to 10")

    @property
    def early(self) -> bool:
        """Whether the fax ends before the request is answered."""
        return self.webhook is not None and self.webhook.action == "early"

    def of_quality(self, quality: str) -> "Outcome":
        """The outcome of a fax in a quality."""
        if self.receives is None or QUALITIES.index(quality) > QUALITIES.index(self.receives):
            return self
        return replace(self, status="delivered", message="NORMAL_CLEARING", code=0)

    def transferred_pages(self, pages: int) -> int:
        """The faxTransferredPages of a fax with this many pages."""
        if self.transferred is None:
            return pages if self.status == "delivered" else 0
        return int(pages * self.transferred)

    @classmethod
    def read(cls, value: Any) -> Self:
        """Read an outcome from a JSON object, with `fault` and `webhook` as objects in it.

        If it has a cause's code and no message, the message is the cause's name.

        Raises:
            FaultError: a member is wrong or unknown.
        """
        if not isinstance(value, dict):
            raise FaultError("an outcome must be a JSON object")
        known = {member.name for member in fields(cls)}
        for name in value:
            if name not in known:
                raise FaultError(f"{name}: is unknown; an outcome has {', '.join(sorted(known))}")
        fault, webhook, code = value.get("fault"), value.get("webhook"), value.get("code")
        if "message" not in value and type(code) is int and (words := words_of(code)) is not None:
            value = {"message": words, **value}
        return cls(
            **{
                **value,
                "fault": None if fault is None else Fault.read(fault),
                "webhook": None if webhook is None else WebhookFault.read(webhook),
            }
        )


def check_order(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """Check outcomes that a number is to have one after the other.

    Raises:
        FaultError: there are none, or one has no end although others follow.
    """
    if not outcomes:
        raise FaultError("outcomes: at least one is needed")
    if any(outcome.times is None for outcome in outcomes[:-1]):
        raise FaultError("times: all outcomes but the last need them, or the next never comes")
    return outcomes


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def words_of(code: int) -> str | None:
    """The message of a cause's number or an error code; None for any other number."""
    return ERROR_CODES[code].message if code in ERROR_CODES else CAUSES.get(code)
