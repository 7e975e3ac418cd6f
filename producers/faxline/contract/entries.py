"""The entries of the intake stream (docs/events.md), read without trust.

An entry has one field: its name is the kind, its value a JSON object. An error names the first rule that an
entry breaks, and the member's path.
"""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
)

from faxline.contract.choices import InDoubtPolicy, Priority
from faxline.contract.entry_members import (
    MOST_IN_GROUP,
    Base64,
    Document,
    Identifier,
    Metadata,
    Moment,
    Number,
    Sealed,
    Selections,
    Text,
    Upload,
    Url,
    Who,
    moment_of,
    own_or_none,
)
from faxline.contract.errors import Rejection

ONE_NUMBER, MANY_NUMBERS = "<one>", "<many>"  # not names of members, so paths leave them out


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FaxFile(_Part):
    """One item of faxData (docs/ifax.md, Calls), with one of fileUrl, fileData and document.

    `upload` names the key with the document's bytes, until intake reads the entry.
    """

    fileName: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    fileUrl: Url | None = None
    fileData: Base64 | None = None
    document: Document | None = None
    upload: Upload | None = None
    pages: Selections | None = None


class FaxRequest(_Part):
    """The parameters of fax-send (docs/ifax.md, Calls), word for word."""

    faxNumber: Annotated[
        Annotated[Number, Tag(ONE_NUMBER)] | Annotated[list[Number], Field(min_length=1), Tag(MANY_NUMBERS)],
        Discriminator(lambda value: MANY_NUMBERS if isinstance(value, list) else ONE_NUMBER),
    ]
    callerId: Annotated[Text | None, AfterValidator(own_or_none)] = None
    templateId: Text | None = None
    smartDocumentId: Text | None = None
    subject: Text | None = None
    from_name: Text | None = None
    to_name: Text | None = None
    message: Text | None = None
    send_at: Moment | None = None
    faxQuality: Literal["Low", "Standard", "HD"] | None = None
    faxData: list[FaxFile]


class SendEntry(_Part):
    """`send`: one fax, or one for each number of a list."""

    id: Identifier
    fax: FaxRequest
    priority: Annotated[Priority, Field(strict=False)] = Priority.NORMAL
    expires_at: Moment | None = None
    in_doubt: Annotated[InDoubtPolicy, Field(strict=False)] | None = None
    attempts: Annotated[int, Field(ge=1, le=100)] | None = None
    group: Identifier | None = None
    group_size: Annotated[int, Field(ge=1, le=MOST_IN_GROUP)] | None = None
    metadata: Metadata = Field(default_factory=dict)  # a dict would be copied for each entry

    @property
    def jobs(self) -> list[str]:
        """The ids of its jobs."""
        numbers = self.fax.faxNumber
        if not isinstance(numbers, list):
            return [self.id]
        return [f"{self.id}.{i}" for i in range(1, len(numbers) + 1)]

    @property
    def expires(self) -> datetime | None:
        """The time of expires_at, in UTC."""
        return moment_of(self.expires_at) if self.expires_at else None

    @property
    def send_at(self) -> datetime | None:
        """The date of a scheduled fax, in UTC."""
        return moment_of(self.fax.send_at) if self.fax.send_at else None


class CancelEntry(_Part):
    """`cancel`: do not send a job. `by` and `user` say who asks, for the audit."""

    id: Identifier
    by: Who | None = None
    user: Who | None = None


class ResendEntry(_Part):
    """`resend`: a new job that repeats another one, to the same or another number.

    `by` and `user` say who asks, for the audit.
    """

    id: Identifier
    of: Identifier
    faxNumber: Number | None = None
    priority: Annotated[Priority, Field(strict=False)] = Priority.NORMAL
    metadata: Metadata = Field(default_factory=dict)  # a dict would be copied for each entry
    by: Who | None = None
    user: Who | None = None


class SealedEntry(_Part):
    """`send` or `resend`, sealed by the library (docs/data-protection.md); its id stays in clear."""

    id: Identifier
    sealed: Sealed


Entry: TypeAlias = SendEntry | CancelEntry | ResendEntry | SealedEntry

KINDS: dict[str, type[SendEntry | CancelEntry | ResendEntry]] = {
    "send": SendEntry,
    "cancel": CancelEntry,
    "resend": ResendEntry,
}


OF_DOCUMENTS = {Rejection.DOCUMENT_MISSING, Rejection.DOCUMENT_ALTERED, Rejection.SEAL_BROKEN}
"""Rejections that depend on what is stored now. A repeat of the entry may be accepted."""
