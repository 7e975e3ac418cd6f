"""The outcomes of faxes by their number: magic numbers, and outcomes that a test sets.

A magic number ends in 555 and the four digits of a row, such as +1 202 555 0017. Everything else is
delivered. A row is added to `MAGIC_NUMBERS`, and to the table in docs/sandbox.md (a test compares them).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from faxline_sandbox.answers import ERROR_CODES, field_body
from faxline_sandbox.causes import CAUSES, magic_digits
from faxline_sandbox.faults import Fault, WebhookFault
from faxline_sandbox.outcomes import Outcome, words_of

MAGIC_PREFIX = "555"
DELIVERED = Outcome()


def _failed(code: int, transferred: float | None = None, times: int | None = None) -> Outcome:
    return Outcome("failed", words_of(code) or "", code, transferred, times=times)


def _told(message: str, code: int = 0, times: int | None = None, receives: str | None = None) -> Outcome:
    return Outcome("failed", message, code, times=times, receives=receives)


def _worded(word: str) -> Outcome:
    return Outcome("failed", CAUSES[31], 31, word=word)


MAGIC_NUMBERS: Mapping[str, Outcome] = {
    # The call fails, with the cause of the same digits.
    **{magic_digits(code): _failed(code) for code in CAUSES},
    # A part of the pages arrives.
    "0041": _failed(41, 0.5),
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
    # What iFax does beyond its documentation: refusals by HTTP 200, other forms and words of a webhook.
    "0711": Outcome(fault=Fault("status", status=200, body=field_body(12001))),
    "0714": Outcome(fault=Fault("status", status=200, body=field_body(12004))),
    "0719": Outcome(fault=Fault("status", status=200, body=field_body(12099, "Destination not served"))),
    "0721": Outcome(forms=("flat",)),
    "0722": Outcome(forms=("text_job_id",)),
    "0723": Outcome(forms=("no_country",)),
    "0724": Outcome(forms=("multipart",)),
    "0720": Outcome(fault=Fault("status", status=422, body=field_body(12099, "Destination not served"))),
    "0725": Outcome(forms=("job_id",)),
    "0728": Outcome(fault=Fault("slow", seconds=45.0)),
    "0729": Outcome(fault=Fault("status", status=429, body="")),
    "0731": _worded("cancelled"),
    "0732": _worded("partially_cancelled"),
    "0733": _worded("failed_chargeable"),
    "0734": _worded(" Blocked "),
    "0735": _worded("rejected_by_carrier"),
    "0736": Outcome(word="on_hold"),
    "0741": Outcome(redials=2),
    # The texts of other fax engines, with the numbers that they have there.
    "0751": _told("Timed out waiting for initial communication", 2),
    "0752": _told("Far end is not able to receive", 9, times=2),
    "0753": _told("Far end cannot receive at the resolution of the image", 11, receives="Low"),
    "0754": _told("Far end cannot receive at the size of image", 12),
    "0755": _told("The call dropped prematurely", 49),
    "0756": _told("TIFF/F format is not compatible", 43),
    "0761": _told("486 Busy Here", 486),
    "0762": _told("480 Temporarily Unavailable", 480),
    "0763": _told("404 Not Found", 404),
    "0766": _told("603 Decline", 603),
    "0767": _told("503 Service Unavailable", 503),
    "0768": _told("NOANSWER"),
    "0769": _told("CONGESTION"),
    "0771": _told("No carrier detected {E002}"),
    "0772": _told("Busy signal detected {E001}"),
    "0781": _told("user busy", 1),
    "0782": _told("Human/voice answered"),
    "0783": _told("Not a fax machine"),
    "0784": _told("Do not call"),
    "0789": _told("A text that nobody knows", 1),
    # The first call fails, the later ones do not.
    "0917": _failed(17, times=1),
    "0919": _failed(19, times=1),
    "0941": _failed(41, 0.5, times=1),
    # The call is slow.
    "0990": Outcome(factor=10.0),
    # The submission is refused with the error code of the same digits.
    **{str(-code): Outcome(refusal=code) for code in ERROR_CODES},
    # The submission is accepted, and the receipt has the error code: 4001 is -3001.
    **{str(1000 - code): _failed(code) for code in ERROR_CODES},
}


class Numbers:
    """The outcome of every number: the one that was set, then its magic, then delivery."""

    def __init__(self) -> None:
        # Only for numbers whose outcomes were set or change by themselves: the calls left, None for no limit.
        self._next: dict[str, list[tuple[Outcome, int | None]]] = {}

    def give(self, number: str, outcomes: Sequence[Outcome]) -> None:
        """Set the outcomes of faxes to a number, one after the other and then its own.

        Args:
            number: E.164.
            outcomes: in the form of `check_order`; an empty list restores the number's own from the start.
        """
        self._next.pop(number, None)
        if outcomes:
            own = self._coming(number)
            self._next[number] = [*((outcome, outcome.times) for outcome in outcomes), *own]

    def outcome(self, number: str) -> Outcome:
        """The outcome of the next fax to a number."""
        coming = self._coming(number)
        return coming[0][0] if coming else DELIVERED

    def take(self, number: str) -> Outcome:
        """Take the outcome of the next fax, which uses it once."""
        coming = self._coming(number)
        if not coming:
            return DELIVERED
        outcome, left = coming[0]
        if left is not None:
            # An empty list stays: a magic number whose outcomes are used up is an ordinary number.
            self._next[number] = [(outcome, left - 1), *coming[1:]] if left > 1 else coming[1:]
        return outcome

    def as_json(self, number: str) -> list[dict[str, Any]]:
        """The coming outcomes of a number before delivery. `times` is what is left of each."""
        return [asdict(outcome) | {"times": left} for outcome, left in self._coming(number)]

    def _coming(self, number: str) -> list[tuple[Outcome, int | None]]:
        coming = self._next.get(number)
        if coming is not None:
            return coming
        magic = MAGIC_NUMBERS.get(number[-4:]) if number[-7:-4] == MAGIC_PREFIX else None
        return [] if magic is None else [(magic, magic.times)]
