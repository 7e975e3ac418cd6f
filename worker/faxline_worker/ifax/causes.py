"""One table of why a delivery failed: the reason that is counted, and whether the fax is worth another try.

A receipt tells the cause by its `message`, the name of a call's end as ITU-T Q.850 numbers it and FreeSWITCH
writes it (ifax-api, Fax Object: NORMAL_CLEARING is one), and by its `code`: the Q.850 number, or one of
iFax's own error codes (ifax-api, Error Codes & Messages). docs/causes.md shows this table.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from faxline_worker.ifax.codes import CODES, Decision


class Again(StrEnum):
    """How long a failed delivery waits for the next one: the name of a setting of RETRIES__DELIVERY."""

    BUSY = "busy"
    """The line is taken; it is free again soon."""
    NO_ANSWER = "no_answer"
    """Nobody takes the call: a machine that is off or out of paper, an office that is closed."""
    OTHER = "other"
    """Trouble on the way, which is often over at once."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One row.

    Attributes:
        number: of Q.850, or FreeSWITCH's own where it never changed; None where it did.
        reason: our fixed name, a metric's label.
        again: the delay after which it is sent again; None: final, another try would end the same.
    """

    number: int | None
    reason: str
    again: Again | None


def _final(reason: str, **causes: int | None) -> dict[str, Cause]:
    return {name: Cause(number, reason, None) for name, number in causes.items()}


def _again(reason: str, again: Again, **causes: int | None) -> dict[str, Cause]:
    return {name: Cause(number, reason, again) for name, number in causes.items()}


CAUSES: Mapping[str, Cause] = {
    # Bad numbers.
    **_final("unallocated_number", UNALLOCATED_NUMBER=1, DOES_NOT_EXIST_ANYWHERE=None),
    **_final("no_route", NO_ROUTE_DESTINATION=3),
    **_final("number_changed", NUMBER_CHANGED=22, REDIRECTION_TO_NEW_DESTINATION=23),
    **_final("invalid_number", INVALID_NUMBER_FORMAT=28, INVALID_URL=None),
    # Refused, or not permitted.
    **_final("rejected", CALL_REJECTED=21, DECLINE=None, UNWANTED=None, REJECT_ALL=None),
    **_final("not_permitted", FACILITY_REJECTED=29, FACILITY_NOT_SUBSCRIBED=50, OUTGOING_CALL_BARRED=52),
    **_final("not_permitted", INCOMING_CALL_BARRED=54, BEARERCAPABILITY_NOTAUTH=57, USER_CHALLENGE=None),
    **_final("not_permitted", NO_IDENTITY=None, BAD_IDENTITY_INFO=None, INVALID_IDENTITY=None),
    **_final("not_permitted", UNSUPPORTED_CERTIFICATE=None),
    # The other side cannot, and will not be able to.
    **_final(
        "incompatible", BEARERCAPABILITY_NOTIMPL=65, CHAN_NOT_IMPLEMENTED=66, FACILITY_NOT_IMPLEMENTED=69
    ),
    **_final("incompatible", SERVICE_NOT_IMPLEMENTED=79, INCOMPATIBLE_DESTINATION=88, NOT_ACCEPTABLE=None),
    # Somebody canceled it at iFax.
    **_final("canceled", ORIGINATOR_CANCEL=487),
    # Busy, and no answer.
    **_again("busy", Again.BUSY, USER_BUSY=17, BUSY_EVERYWHERE=None),
    **_again("no_answer", Again.NO_ANSWER, NO_USER_RESPONSE=18, NO_ANSWER=19, SUBSCRIBER_ABSENT=20),
    **_again("no_answer", Again.NO_ANSWER, PICKED_OFF=None, USER_NOT_REGISTERED=None, PROGRESS_TIMEOUT=None),
    **_again("no_answer", Again.NO_ANSWER, NO_PICKUP=None, ALLOTTED_TIMEOUT=None),
    # The call was made and ended in order, but the fax did not get through: noise, a voice, no paper.
    **_again("normal_clearing", Again.OTHER, NORMAL_CLEARING=16, SUCCESS=None),
    # Line trouble.
    **_again("congestion", Again.OTHER, NORMAL_CIRCUIT_CONGESTION=34, SWITCH_CONGESTION=42),
    **_again("congestion", Again.OTHER, REQUESTED_CHAN_UNAVAIL=44),
    **_again("out_of_order", Again.OTHER, DESTINATION_OUT_OF_ORDER=27),
    **_again("line_trouble", Again.OTHER, NO_ROUTE_TRANSIT_NET=2, CHANNEL_UNACCEPTABLE=6),
    **_again("line_trouble", Again.OTHER, CALL_AWARDED_DELIVERED=7, EXCHANGE_ROUTING_ERROR=25),
    **_again("line_trouble", Again.OTHER, RESPONSE_TO_STATUS_ENQUIRY=30, NETWORK_OUT_OF_ORDER=38),
    **_again(
        "line_trouble", Again.OTHER, NORMAL_TEMPORARY_FAILURE=41, ACCESS_INFO_DISCARDED=43, PRE_EMPTED=45
    ),
    **_again("line_trouble", Again.OTHER, BEARERCAPABILITY_NOTAVAIL=58, SERVICE_UNAVAILABLE=63),
    **_again("line_trouble", Again.OTHER, INVALID_CALL_REFERENCE=81, INVALID_MSG_UNSPECIFIED=95),
    **_again(
        "line_trouble", Again.OTHER, MANDATORY_IE_MISSING=96, MESSAGE_TYPE_NONEXIST=97, WRONG_MESSAGE=98
    ),
    **_again("line_trouble", Again.OTHER, IE_NONEXIST=99, INVALID_IE_CONTENTS=100, WRONG_CALL_STATE=101),
    **_again("line_trouble", Again.OTHER, RECOVERY_ON_TIMER_EXPIRE=102, MANDATORY_IE_LENGTH_ERROR=103),
    **_again("line_trouble", Again.OTHER, PROTOCOL_ERROR=111, INTERWORKING=127, CRASH=None),
    **_again("line_trouble", Again.OTHER, SYSTEM_SHUTDOWN=None, LOSE_RACE=None, MANAGER_REQUEST=None),
    **_again("line_trouble", Again.OTHER, BLIND_TRANSFER=None, ATTENDED_TRANSFER=None, MEDIA_TIMEOUT=None),
    **_again("line_trouble", Again.OTHER, INVALID_GATEWAY=None, GATEWAY_DOWN=None, INVALID_PROFILE=None),
    **_again("line_trouble", Again.OTHER, SRTP_READ_ERROR=None, BOWOUT=None, STALE_DATE=None),
    **_again("other", Again.OTHER, UNSPECIFIED=None, NONE=None, NORMAL_UNSPECIFIED=31),
}
"""Names of call causes to what follows."""

OTHER = Cause(None, "other", Again.OTHER)
"""A cause that nobody knows is taken for trouble: the attempts bound it."""

_NUMBERS: Mapping[int, Cause] = {row.number: row for row in CAUSES.values() if row.number is not None}
_NAME = re.compile(r"[A-Z][A-Z_]+")


def cause_of(message: str, code: int | None) -> Cause:
    """The cause that a receipt's message and code tell: the name, else iFax's code, else Q.850's number.

    Args:
        message: iFax's text, in which the name may stand among others.
        code: its number, or None.
    """
    for name in _NAME.findall(message):
        if name in CAUSES:
            return CAUSES[name]
    if code in CODES and code is not None and code < 0:
        row = CODES[code]
        worth = row.decision in {Decision.RETRY, Decision.DEFER}
        return Cause(None, row.reason, Again.OTHER if worth else None)
    return _NUMBERS.get(code or 0, OTHER)


def delivery_reasons() -> list[tuple[int | None, str]]:
    """Every (code, reason) of a failed delivery counted from the start, with its number and without."""
    causes = [(number, row.reason) for row in CAUSES.values() for number in {None, row.number}]
    codes = [(code, cause_of("", code).reason) for code in CODES if code < 0]
    return [*causes, *codes, (None, OTHER.reason)]


def cause_table() -> str:
    """The table as Markdown, for docs/causes.md."""
    lines = ["| message | Q.850 | reason | again after |", "| --- | --- | --- | --- |"]
    ordered = sorted(CAUSES.items(), key=lambda item: (item[1].number is None, item[1].number or 0, item[0]))
    for name, row in ordered:
        delay = f"`{row.again.upper()}`" if row.again else "final"
        lines.append(f"| {name} | {row.number if row.number is not None else ''} | {row.reason} | {delay} |")
    for code, told in CODES.items():
        if code < 0:
            row = cause_of("", code)
            delay = f"`{row.again.upper()}`" if row.again else "final"
            lines.append(f"| (iFax's code {code}, {told.message}) | | {row.reason} | {delay} |")
    lines.append(f"| anything else | | {OTHER.reason} | `{Again.OTHER.upper()}` |")
    return "\n".join(lines) + "\n"
