"""The causes that end a telephone call: those of ITU-T Q.850 by FreeSWITCH's names, and FreeSWITCH's own.

iFax's documentation shows one of these names (docs/ifax.md, The fax object and the webhook: NORMAL_CLEARING).
"""

from collections.abc import Mapping

from faxline_worker.ifax.cause import Again, Cause


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
    # Rejected, or not permitted.
    **_final("rejected", CALL_REJECTED=21, DECLINE=None, UNWANTED=None, REJECT_ALL=None),
    **_final("not_permitted", FACILITY_REJECTED=29, FACILITY_NOT_SUBSCRIBED=50, OUTGOING_CALL_BARRED=52),
    **_final("not_permitted", INCOMING_CALL_BARRED=54, BEARERCAPABILITY_NOTAUTH=57, USER_CHALLENGE=None),
    **_final("not_permitted", NO_IDENTITY=None, BAD_IDENTITY_INFO=None, INVALID_IDENTITY=None),
    **_final("not_permitted", UNSUPPORTED_CERTIFICATE=None),
    # The other side is incompatible, and will stay so.
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
    # The call ended normally, but the fax did not get through: noise, a voice, no paper.
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
"""The causes by name."""
