"""What an event's `data` holds, a model an event (docs/events.md).

`Event.data` is the plain mapping; these models are for whoever wants it typed, and for the JSON Schema:

    SubmittedData.model_validate(event.data).jobId

A member that is not there is None. A newer daemon may add members, which are kept, and reasons.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from faxline.contract.errors import Rejection
from faxline.contract.events import EventName

CANCEL_REFUSALS: Mapping[str, str] = {
    "unknown_job": "there is no such job",
    "submitting": "its request is under way",
    "submitted": "iFax took it, and it is no scheduled fax",
    "in_doubt": "nobody knows whether iFax took it",
    "final": "it has come to its end",
    "too_late": "a scheduled fax whose date had come",
    "not_canceled": "iFax was asked and refused",
    "unknown": "iFax was asked and no answer tells what became of it; its receipt will",
}
"""Every reason of `fax.cancel_refused`."""

State = Literal[
    "queued", "submitting", "submitted", "in_doubt", "delivered", "failed", "canceled", "unconfirmed"
]
Code = Annotated[
    int | None,
    Field(description="iFax's own number: a response or error code, or the code of the receipt."),
]
Reason = Annotated[
    str,
    Field(pattern=r"^[a-z0-9_]+$", description="The fixed name of the cause; new ones may be added."),
]
Message = Annotated[str | None, Field(description="For people: one line, without full phone numbers.")]
JobId = Annotated[int, Field(ge=0, description="iFax's number of the fax.")]
Pages = Annotated[int | None, Field(ge=0, description="Pages in total, as the receipt has it.")]
Transferred = Annotated[
    int | None, Field(ge=0, description="Pages that were transferred, as the receipt has it.")
]
Charged = Annotated[
    bool | None, Field(description="iFax charges for this failure (faxStatus failed_chargeable).")
]
Milliseconds = Annotated[int, Field(ge=0)]
SendAt = Annotated[
    Milliseconds | None, Field(description="The date of a scheduled fax, in milliseconds since 1970.")
]
Deliveries = Annotated[int | None, Field(ge=0, description="How many deliveries have failed.")]
Attempts = Annotated[
    int | None, Field(ge=1, description="Of a delivery: how many there may be, the first one included.")
]
Stage = Annotated[
    Literal["submission", "delivery"] | None,
    Field(description="Whether it is the call to iFax that came to nothing, or the call to the recipient."),
]


class EventData(BaseModel):
    """What most events share."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    metadata: Annotated[
        dict[str, Any] | None,
        Field(description="The entry's metadata, where it had some, as it was pushed."),
    ] = None


class JobData(EventData):
    """What the events of a job share."""

    attempt: Annotated[
        int, Field(ge=0, description="The number of the attempt; 0 before the first submission.")
    ]
    jobId: JobId | None = None


class QueuedData(JobData):
    """`fax.queued`: the entry was taken and the job waits for its turn."""

    state: Literal["queued"]
    send_at: SendAt = None


class RejectedData(EventData):
    """`fax.rejected`: the entry breaks a rule and nothing else has happened."""

    state: Literal["rejected"]
    member: Annotated[
        str, Field(description="The path of the member at fault; empty if it is the entry as a whole.")
    ]
    reason: Annotated[Reason, Field(examples=sorted(Rejection))]
    message: Annotated[str, Field(description="The rule and how to mend it, for people.")]
    entry: Annotated[
        str, Field(pattern=r"^[0-9]+-[0-9]+$", description="The entry's stream id, which XADD had returned.")
    ]
    group: Annotated[str | None, Field(description="The group that the entry named, where it did.")] = None


class SubmittedData(JobData):
    """`fax.submitted`: iFax took it; its receipt will tell the rest."""

    state: Literal["submitted"]
    jobId: JobId
    send_at: SendAt = None


class RetryingData(JobData):
    """`fax.retrying`: it did not come through, and will be tried again."""

    state: Literal["queued"]
    retry_at: Annotated[Milliseconds, Field(description="When it is due again, in milliseconds since 1970.")]
    reason: Reason
    code: Code = None
    message: Message = None
    stage: Stage = None
    delivery: Deliveries = None
    attempts: Attempts = None
    again: Annotated[
        str | None,
        Field(
            examples=["busy", "no_answer", "other"],
            description="Of a delivery: the setting that it waits by.",
        ),
    ] = None
    wait: Annotated[
        Milliseconds | None, Field(description="Of a delivery: how long it waits, in milliseconds.")
    ] = None
    quality: Annotated[
        str | None,
        Field(description="The faxQuality of the next try, where the far end cannot receive the one before."),
    ] = None
    pages: Pages = None
    transferred: Transferred = None
    charged: Charged = None


class InDoubtData(JobData):
    """`fax.in_doubt`: the request may have reached iFax, and the answer is not known."""

    state: Literal["in_doubt"]
    reason: Reason
    code: Code = None
    message: Message = None


class DeliveredData(JobData):
    """`fax.delivered`: the recipient's machine took it."""

    state: Literal["delivered"]
    jobId: JobId
    reason: Reason
    code: Code = None
    message: Message = None
    pages: Pages = None
    transferred: Transferred = None
    partial: Annotated[bool | None, Field(description="Whether not all of its pages were transferred.")] = (
        None
    )


class FailedData(JobData):
    """`fax.failed`: it will not be sent, or could not be delivered."""

    state: Literal["failed"]
    reason: Reason
    code: Code = None
    message: Message = None
    stage: Stage = None
    delivery: Deliveries = None
    attempts: Attempts = None
    stopped_by: Annotated[
        str | None,
        Field(
            examples=["cause", "attempts", "expires_at"],
            description="Of a delivery: why there is no further one.",
        ),
    ] = None
    pages: Pages = None
    transferred: Transferred = None
    charged: Charged = None


class CanceledData(JobData):
    """`fax.canceled`: as ordered, before it was sent, or at iFax."""

    state: Literal["canceled"]
    reason: Reason
    code: Code = None
    message: Message = None
    pages: Pages = None
    transferred: Transferred = None


class CancelRefusedData(EventData):
    """`fax.cancel_refused`: the job goes on, or has ended already."""

    state: Annotated[
        State | None, Field(description="The job's state; not there where there is no such job.")
    ] = None
    reason: Annotated[Reason, Field(examples=list(CANCEL_REFUSALS))]
    attempt: Annotated[int | None, Field(ge=0)] = None
    jobId: JobId | None = None
    code: Code = None
    message: Message = None


class UnconfirmedData(JobData):
    """`fax.unconfirmed`: iFax took it, and no receipt came in time; a late one still amends it."""

    state: Literal["unconfirmed"]
    jobId: JobId
    reason: Reason


class DuplicateData(JobData):
    """`fax.duplicate`: iFax accepted another attempt of the same job too."""

    state: Annotated[State, Field(description="The job's state, which it stays in.")]
    jobId: Annotated[JobId, Field(description="iFax's number of the other fax.")]


class ReceivedData(EventData):
    """`fax.received`: a fax came in to the account. It is no job, so the event's `job` is empty.

    Fetch the fax itself from iFax, by its jobId and transactionId.
    """

    state: Literal["received"]
    sender: Annotated[
        str | None, Field(alias="from", description="The last four digits of the number it came from.")
    ] = None
    to: Annotated[str | None, Field(description="The last four digits of the number it came to.")] = None
    pages: Pages = None
    jobId: JobId | None = None
    transactionId: Annotated[str | None, Field(description="iFax's other name of the fax.")] = None
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


def read_data(name: EventName, data: Mapping[str, Any]) -> EventData:
    """An event's data, typed.

    Raises:
        pydantic.ValidationError: no daemon of this version writes such data.
    """
    return DATA[name].model_validate(dict(data))
