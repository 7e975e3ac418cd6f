"""Typed models of the events' `data`, one for each event (docs/events.md).

`Event.data` is a plain mapping. These models give it types, and make the JSON Schema:

    SubmittedData.model_validate(event.data).jobId

A missing member is None. A newer daemon may add members, which are kept, and reasons.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from faxline.contract.errors import Rejection
from faxline.contract.event_members import (
    Attempts,
    By,
    Charged,
    Code,
    Deliveries,
    Digest,
    JobId,
    MaybeJobId,
    Message,
    Milliseconds,
    Pages,
    Reason,
    SendAt,
    Stage,
    State,
    Transferred,
)
from faxline.contract.events import EventName

CANCEL_REFUSALS: Mapping[str, str] = {
    "unknown_job": "there is no such job",
    "submitting": "its request is under way",
    "submitted": "iFax took it, and it is not a scheduled fax",
    "in_doubt": "nobody knows whether iFax took it",
    "final": "it has ended",
    "too_late": "the date of the scheduled fax had come",
    "not_canceled": "iFax was asked and refused",
    "unknown": "iFax was asked, and gave no clear answer; the receipt will show what happened",
}
"""Every reason of `fax.cancel_refused`."""


class EventData(BaseModel):
    """What all events share."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)


class EchoData(EventData):
    """What the events share that echo a job's metadata."""

    metadata: Annotated[
        dict[str, Any] | None,
        Field(description="The entry's metadata as it was pushed, if any."),
    ] = None


class OrderedData(EchoData):
    """What the events share that an order may have led to."""

    by: By = None


class CallData(EventData):
    """What the events share that a call to iFax may have led to."""

    started_at: Annotated[
        Milliseconds | None,
        Field(description="When the call to iFax that led to it began, in milliseconds since 1970."),
    ] = None
    ended_at: Annotated[
        Milliseconds | None, Field(description="When that call ended; missing if unknown.")
    ] = None


class ReceiptData(EventData):
    """What the events share that a receipt may have led to."""

    receipt: Annotated[
        Digest | None,
        Field(description="The SHA-256 digest of the receipt as it was verified, in hexadecimal digits."),
    ] = None
    call_started_at: Annotated[
        Milliseconds | None,
        Field(description="When iFax began (the receipt's faxCallStart), in milliseconds since 1970."),
    ] = None
    call_ended_at: Annotated[
        Milliseconds | None, Field(description="When the call to the recipient ended (faxCallEnd), likewise.")
    ] = None


class JobData(OrderedData):
    """What the events of a job share."""

    attempt: Annotated[
        int, Field(ge=0, description="The number of the attempt; 0 before the first submission.")
    ]
    state: State


class CausedData(JobData, CallData):
    """What the events share that have a cause."""

    jobId: MaybeJobId = None
    reason: Reason
    code: Code = None
    message: Message = None


class FailureData(CausedData, ReceiptData):
    """What the events of a failed attempt or delivery share."""

    stage: Stage = None
    delivery: Deliveries = None
    attempts: Attempts = None
    pages: Pages = None
    transferred: Transferred = None
    charged: Charged = None


class QueuedData(JobData):
    """`fax.queued`: the entry was taken and the job waits for its turn."""

    state: Literal["queued"]
    send_at: SendAt = None
    documents: Annotated[
        list[Digest] | None,
        Field(
            description="The SHA-256 digests of its documents; not of files that iFax fetches by a fileUrl."
        ),
    ] = None


class RejectedData(EchoData):
    """`fax.rejected`: the entry breaks a rule. Nothing else happened."""

    state: Literal["rejected"]
    member: Annotated[
        str, Field(description="The path of the invalid member; empty if it is the entry as a whole.")
    ]
    reason: Annotated[Reason, Field(examples=sorted(Rejection))]
    message: Annotated[str, Field(description="For people: the rule, and how to fix the entry.")]
    entry: Annotated[
        str, Field(pattern=r"^[0-9]+-[0-9]+$", description="The entry's stream id, as XADD returned it.")
    ]
    group: Annotated[str | None, Field(description="The group that the entry named, if any.")] = None


class SubmittedData(JobData, CallData):
    """`fax.submitted`: iFax took the fax. The receipt decides the rest."""

    state: Literal["submitted"]
    jobId: JobId
    send_at: SendAt = None


class RetryingData(FailureData):
    """`fax.retrying`: an attempt or a delivery failed, and will be repeated."""

    state: Literal["queued"]
    retry_at: Annotated[Milliseconds, Field(description="When it is due again, in milliseconds since 1970.")]
    again: Annotated[
        str | None,
        Field(
            examples=["busy", "no_answer", "other"],
            description="The setting that defines the wait, if a delivery failed.",
        ),
    ] = None
    wait: Annotated[
        Milliseconds | None, Field(description="The wait in milliseconds, if a delivery failed.")
    ] = None
    quality: Annotated[
        str | None,
        Field(description="The faxQuality of the next try, if the far end cannot receive the former one."),
    ] = None


class InDoubtData(CausedData):
    """`fax.in_doubt`: the request may have reached iFax, and the answer is unknown."""

    state: Literal["in_doubt"]


class DeliveredData(CausedData, ReceiptData):
    """`fax.delivered`: the recipient's machine received the fax."""

    state: Literal["delivered"]
    jobId: JobId
    pages: Pages = None
    transferred: Transferred = None
    partial: Annotated[bool | None, Field(description="True if not all pages were transferred.")] = None


class FailedData(FailureData):
    """`fax.failed`: the fax will not be sent, or could not be delivered."""

    state: Literal["failed"]
    stopped_by: Annotated[
        str | None,
        Field(
            examples=["cause", "attempts", "expires_at"],
            description="Why no further delivery follows, if a delivery failed.",
        ),
    ] = None


class CanceledData(CausedData, ReceiptData):
    """`fax.canceled`: the fax was canceled on request, before it was sent, or at iFax."""

    state: Literal["canceled"]
    pages: Pages = None
    transferred: Transferred = None


class CancelRefusedData(OrderedData, CallData):
    """`fax.cancel_refused`: the job goes on, or has already ended."""

    state: Annotated[State | None, Field(description="The job's state; missing if there is no such job.")] = (
        None
    )
    reason: Annotated[Reason, Field(examples=list(CANCEL_REFUSALS))]
    attempt: Annotated[
        int | None,
        Field(ge=0, description="The number of the job's attempt; missing if there is no such job."),
    ] = None
    jobId: MaybeJobId = None
    code: Code = None
    message: Message = None


class UnconfirmedData(JobData, CallData):
    """`fax.unconfirmed`: iFax took the fax, and no receipt came in time. A late one still amends it."""

    state: Literal["unconfirmed"]
    jobId: JobId
    reason: Reason


class DuplicateData(JobData, CallData, ReceiptData):
    """`fax.duplicate`: iFax also accepted another attempt of the same job, or delivered a job after its end.

    If `outcome` is `delivered` and `state` is `failed` or `canceled`, the recipient has the fax after all.
    There may be two for one `jobId`: one of its acceptance, and one of its delivery.
    """

    state: Annotated[State, Field(description="The job's state, which does not change.")]
    jobId: Annotated[JobId, Field(description="iFax's number of that fax; it may be the job's own.")]
    outcome: Annotated[
        Literal["delivered", "failed", "canceled"] | None,
        Field(description="How that fax ended, according to its receipt."),
    ] = None
    reason: Annotated[Reason | None, Field(description="The fixed name of the cause, likewise.")] = None
    code: Code = None
    pages: Pages = None
    transferred: Transferred = None
    charged: Charged = None


class ReceivedData(EventData):
    """`fax.received`: the account received a fax. It is not a job, so the event's `job` is empty.

    Fetch the fax itself from iFax, by its jobId and transactionId.
    """

    state: Literal["received"]
    sender: Annotated[
        str | None, Field(alias="from", description="The last four digits of the sender's number.")
    ] = None
    to: Annotated[str | None, Field(description="The last four digits of the number that received it.")] = (
        None
    )
    pages: Pages = None
    jobId: MaybeJobId = None
    transactionId: Annotated[str | None, Field(description="iFax's second id of the fax.")] = None
    at: Annotated[
        Milliseconds | None, Field(description="When its call ended, in milliseconds since 1970.")
    ] = None


DATA: Mapping[EventName, type[EventData]] = {
    EventName.QUEUED: QueuedData,
    EventName.REJECTED: RejectedData,
    EventName.SUBMITTED: SubmittedData,
    EventName.RETRYING: RetryingData,
    EventName.IN_DOUBT: InDoubtData,
    EventName.DELIVERED: DeliveredData,
    EventName.FAILED: FailedData,
    EventName.CANCELED: CanceledData,
    EventName.CANCEL_REFUSED: CancelRefusedData,
    EventName.UNCONFIRMED: UnconfirmedData,
    EventName.DUPLICATE: DuplicateData,
    EventName.RECEIVED: ReceivedData,
}
"""The model of each event's data."""
