"""The types of the members that several events have."""

from typing import Annotated, Literal

from pydantic import Field

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
MaybeJobId = Annotated[int | None, Field(ge=0, description="iFax's number of the fax, if it gave one.")]
Pages = Annotated[int | None, Field(ge=0, description="Pages in total, according to the receipt.")]
Transferred = Annotated[
    int | None, Field(ge=0, description="Pages that were transferred, according to the receipt.")
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
    int | None, Field(ge=1, description="The most deliveries, the first one included, if a delivery failed.")
]
Stage = Annotated[
    Literal["submission", "delivery"] | None,
    Field(description="What failed: the call to iFax, or the call to the recipient."),
]


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
By = Annotated[
    str | None,
    Field(
        max_length=200,
        description="Who ordered it: the Redis user, or the name that was given; missing if nobody did.",
    ),
]
