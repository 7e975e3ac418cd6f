"""The entries of the intake stream (DESIGN section 3, Intake), read without trust.

A field of an entry has the name of its kind and a JSON object as its value. The first rule that an entry
breaks is told, with the member's path.
"""

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from faxline.contract.errors import EntryRejected, Rejection, SealBroken
from faxline.contract.phone_numbers import E164, check_number
from faxline.contract.sealing.seals import SEALED_KINDS, Seals
from faxline.contract.texts import clean_message

ENTRY_BYTES = 32 * 1024 * 1024
"""Bytes of an entry at the most: 20 MB of base64 and, sealed, a third more; ops/redis/redis.conf has it."""
LONGEST_URL = 8192
METADATA = 4096
"""Bytes of a job's metadata as compact JSON."""
DEPTH = 32
"""Levels of a job's metadata: whoever reads an event must be able to, with any JSON library."""
RECIPIENTS = 15
FILES = 20
SELECTIONS = 200
LONGEST_ID = 128
MOST_IN_GROUP = 1_000_000_000
"""Faxes; a larger number is none that a mailing has, and Lua would bend it."""
IDENTIFIER = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SELECTION = re.compile(r"[1-9][0-9]{0,3}(-[1-9][0-9]{0,3})?")
URL = re.compile(r"https?://[^\s/]+(/\S*)?")
URL_WITHOUT_USER = re.compile(r"https?://[^\s/@]+(/\S*)?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
UPLOAD = re.compile(r"[A-Za-z0-9_-]{16,128}")
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
"""Looser than base64 is, for the schema: some regular expressions' engines give up on groups in 20 MB."""
SEALED = re.compile(r"[A-Za-z0-9._-]{1,32}:[A-Za-z0-9+/]+={0,2}")
"""A key's id, a colon, and base64."""
_EPOCH = datetime.fromtimestamp(0, tz=UTC)
_MILLISECOND = timedelta(milliseconds=1)
ZONED = re.compile(r"[0-9]{4}.+(Z|[+-][0-9]{2}(:?[0-9]{2}.*)?)")
"""Looser than ISO 8601 is, for the schema: a year at the front, Z or an offset from UTC at the end."""


class Priority(StrEnum):
    """Which job goes first; among equals the oldest."""

    URGENT = "urgent"
    NORMAL = "normal"
    BULK = "bulk"


class InDoubtPolicy(StrEnum):
    """What happens to a job in doubt when the wait is over."""

    HOLD = "hold"
    RESEND = "resend"
    FAIL = "fail"


def _problem(reason: Rejection, message: str) -> PydanticCustomError:
    return PydanticCustomError(reason.value, message)


def _identifier(value: str) -> str:
    if not IDENTIFIER.fullmatch(value):
        raise _problem(Rejection.BAD_ID, "an id is 1 to 128 of A-Z a-z 0-9 . _ : -")
    return value


def _moment(value: str) -> datetime:
    """The moment of a text, in UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _problem(Rejection.BAD_DATE, "write an ISO 8601 time, such as 2030-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise _problem(Rejection.BAD_DATE, "the time needs Z or an offset from UTC, such as +01:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _problem(Rejection.BAD_DATE, "in UTC the time is not in the years 1 to 9999") from None


def milliseconds(moment: datetime) -> int:
    """Since 1970, begun ones left out."""
    return (moment - _EPOCH) // _MILLISECOND


def _iso(value: str) -> str:
    _moment(value)
    return value


def _number(value: str) -> str:
    try:
        check_number(value, "")
    except EntryRejected as error:
        raise _problem(error.reason, error.message) from None
    return value


def _selections(value: list[str]) -> list[str]:
    if len(value) > SELECTIONS:
        raise _problem(
            Rejection.BAD_VALUE, f"{SELECTIONS} page selections at most, for a fax has no more pages"
        )
    for item in value:
        ends = item.split("-")
        if not SELECTION.fullmatch(item) or int(ends[0]) > int(ends[-1]):
            raise _problem(Rejection.BAD_VALUE, 'a page selection is such as "2" or "1-5"')
    return value


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
    return depth - 1


def _metadata(value: dict[str, Any]) -> dict[str, Any]:
    if _depth(value) > DEPTH:
        raise _problem(Rejection.BAD_VALUE, f"metadata may be nested {DEPTH} levels deep")
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except ValueError:  # 1e400, or half of a surrogate pair: neither can be written again
        raise _problem(
            Rejection.BAD_VALUE, "metadata has a number or a text that cannot be written as JSON in UTF-8"
        ) from None
    if len(text) > METADATA:
        raise _problem(Rejection.METADATA_TOO_LARGE, f"metadata may have {METADATA} bytes as JSON")
    return value


def _url(value: str) -> str:
    if len(value) > LONGEST_URL:
        raise _problem(Rejection.BAD_VALUE, f"fileUrl may have {LONGEST_URL} characters")
    if not URL.fullmatch(value):
        raise _problem(Rejection.BAD_VALUE, "fileUrl is an http or https URL that iFax can reach")
    if "@" in value.split("/")[2]:  # it would stay in the job's record, for all who may read it
        raise _problem(
            Rejection.BAD_VALUE,
            "fileUrl has no user and no password: use a URL that is signed, or a document",
        )
    return value


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise _problem(Rejection.BAD_DOCUMENT, f"fileData is not base64: {_why_not_base64(value)}") from None
    return value


def _why_not_base64(value: str) -> str:
    if value.startswith("data:"):
        return "it is a data: URL; leave out all up to its comma"
    if space := re.search(r"\s", value):
        what = "a line break" if space[0] in "\r\n" else "a space"
        return f"it has {what}; write it in one piece"
    if re.search(r"[_-]", value) and not re.search(r"[^A-Za-z0-9_=-]", value):
        return "it has - or _ of the alphabet for URLs; write + and /"
    if strange := re.search(r"[^A-Za-z0-9+/=]", value):
        return f"its character {strange.start() + 1} is none of A-Z a-z 0-9 + / ="
    if "=" in value.rstrip("="):
        return "it goes on after an =; give one document a file"
    return "its end is missing; it has a multiple of 4 characters, the last of them = where the content ends"


def own_or_none(value: str | None) -> str | None:
    """None for a blank one, which would hide the account's own."""
    return value if value and value.strip() else None


def _sealed(value: str) -> str:
    if not SEALED.fullmatch(value):
        raise _problem(
            Rejection.BAD_VALUE, "sealed is the key's id, a colon and base64, as the library makes it"
        )
    return value


def _document(value: str) -> str:
    if not DIGEST.fullmatch(value):
        raise _problem(Rejection.BAD_VALUE, "document is sha256: and 64 hexadecimal digits, lower case")
    return value


def _upload(value: str) -> str:
    if not UPLOAD.fullmatch(value):
        raise _problem(
            Rejection.BAD_VALUE, "an upload's name is 16 to 128 of A-Z a-z 0-9 _ -, drawn at random"
        )
    return value


def _shape(pattern: re.Pattern[str], **more: Any) -> WithJsonSchema:
    """What a validator that is a function can say of its text in the JSON Schema."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$", **more})


Identifier = Annotated[str, AfterValidator(_identifier), _shape(IDENTIFIER)]
Number = Annotated[str, AfterValidator(_number), _shape(E164)]
Text = Annotated[str, StringConstraints(max_length=10_000)]
Who = Annotated[str, Field(min_length=1, max_length=128)]
Metadata = Annotated[
    dict[str, Any],
    AfterValidator(_metadata),
    Field(
        default_factory=dict, json_schema_extra={"default": {}}
    ),  # a default dict would be copied each time
]
Moment = Annotated[str, AfterValidator(_iso), _shape(ZONED, format="date-time")]
Url = Annotated[str, AfterValidator(_url), _shape(URL_WITHOUT_USER, maxLength=LONGEST_URL)]
Base64 = Annotated[str, AfterValidator(_base64), _shape(BASE64, contentEncoding="base64")]
Document = Annotated[str, AfterValidator(_document), _shape(DIGEST)]
Upload = Annotated[str, AfterValidator(_upload), _shape(UPLOAD)]
Sealed = Annotated[str, AfterValidator(_sealed), _shape(SEALED)]
Selections = Annotated[
    list[str],
    AfterValidator(_selections),
    WithJsonSchema(
        {
            "type": "array",
            "items": {"type": "string", "pattern": f"^{SELECTION.pattern}$"},
            "maxItems": SELECTIONS,
        }
    ),
]


_ONE, _MANY = "<one>", "<many>"  # no names of members: left out of paths


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FaxFile(_Part):
    """One item of faxData (ifax-api, Fax Data Array), with one of fileUrl, fileData and document.

    `upload` says where a document's bytes are, until the entry is read.
    """

    fileName: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    fileUrl: Url | None = None
    fileData: Base64 | None = None
    document: Document | None = None
    upload: Upload | None = None
    pages: Selections | None = None


class FaxRequest(_Part):
    """The parameters of fax-send (ifax-api, Request Parameters), word for word."""

    faxNumber: Annotated[
        Annotated[Number, Tag(_ONE)] | Annotated[list[Number], Field(min_length=1), Tag(_MANY)],
        Discriminator(lambda value: _MANY if isinstance(value, list) else _ONE),
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
    """`send`: one fax, or one a number where faxNumber is a list."""

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
        """The moment of expires_at, in UTC."""
        return _moment(self.expires_at) if self.expires_at else None

    @property
    def send_at(self) -> datetime | None:
        """The date of a scheduled fax, in UTC."""
        return _moment(self.fax.send_at) if self.fax.send_at else None


class CancelEntry(_Part):
    """`cancel`: a job is not wanted any more. `by` and `user` are who orders it, for the audit."""

    id: Identifier
    by: Who | None = None
    user: Who | None = None


class ResendEntry(_Part):
    """`resend`: a job of its own that repeats another, to the same or another number.

    `by` and `user` are who orders it, for the audit.
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


_SHOWN = re.compile(r"[A-Za-z_-]{1,40}")
"""A member's name as a path may show it, so that a typing error is seen and a phone number is not."""


OF_DOCUMENTS = {Rejection.DOCUMENT_MISSING, Rejection.DOCUMENT_ALTERED, Rejection.SEAL_BROKEN}
"""Why a fax may be rejected for what is stored now, though it was taken before."""


def names_in(raw: bytes) -> tuple[str, str | None]:
    """The id that a rejected entry gave, and its group.

    A text that is no id may be anything, so without phone numbers.
    """
    if len(raw) > ENTRY_BYTES:
        return "", None
    try:
        content = json.loads(raw)
        value, group = content["id"], content.get("group")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", None
    if not isinstance(value, str):
        return "", None
    named = group if isinstance(group, str) and IDENTIFIER.fullmatch(group) else None
    return value if IDENTIFIER.fullmatch(value) else clean_message(value)[:LONGEST_ID], named


ENTRY_TOO_LARGE = "an entry may have 32 MiB; give a document apart from it, or a fileUrl"


def parse_entry(kind: str, raw: bytes | str) -> Entry:
    """Read one entry; of a sealed one what is in clear.

    Args:
        kind: the name of the entry's only field: send, cancel or resend.
        raw: its value.

    Raises:
        EntryRejected: the entry breaks a rule; nothing else is raised.
    """
    if len(raw) > ENTRY_BYTES:
        raise EntryRejected("", Rejection.TOO_LARGE, ENTRY_TOO_LARGE)
    model: type[Entry] | None = KINDS.get(kind)
    if model is None:
        raise EntryRejected("", Rejection.UNKNOWN_KIND, "an entry has one field: send, cancel or resend")
    quick = _read_quickly(model, raw) if isinstance(raw, bytes) else None
    if quick is not None:
        return quick
    try:
        text = raw if isinstance(raw, str) else raw.decode(json.detect_encoding(raw), "surrogatepass")
        content = _DECODER.decode(text)
    except EntryRejected:
        raise
    except (ValueError, RecursionError):
        raise EntryRejected("", Rejection.NOT_JSON, f"the value of {kind} is not JSON") from None
    if not isinstance(content, dict):
        raise EntryRejected("", Rejection.NOT_JSON, f"the value of {kind} is no JSON object")
    if kind in SEALED_KINDS and "sealed" in content:
        model = SealedEntry
    try:
        return model.model_validate(content)
    except (ValidationError, RecursionError) as error:
        raise _rejection(error) from None


def _read_quickly(model: type[Entry], raw: bytes) -> Entry | None:
    """What keeps the rules, read and checked in one go; None where a closer look is needed.

    pydantic's own reader takes the last of two members with one name. There are none where no more names
    stand in the text than members were read: each name ends with a quote, and a colon follows, where no space
    is between them.
    """
    try:
        entry: Entry = model.__pydantic_validator__.validate_json(raw)
    except (ValidationError, RecursionError):
        return None
    spaced = b" :" in raw or b"\n" in raw or b"\t" in raw or b"\r" in raw
    return None if spaced or raw.count(b'":') != _members(entry) else entry


def _members(entry: Entry) -> int:
    """How many members the objects of an entry have, all together."""
    count = len(entry.model_fields_set)
    if isinstance(entry, SendEntry):
        count += len(entry.fax.model_fields_set)
        for file in entry.fax.faxData:
            count += len(file.model_fields_set)
    metadata = getattr(entry, "metadata", None)
    return count + _inner_members(metadata) if metadata else count


def _inner_members(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_inner_members, value.values()))
    return sum(map(_inner_members, value)) if isinstance(value, list) else 0


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise EntryRejected("", Rejection.NOT_JSON, "a member stands twice in one object")
    return members


def _constant(name: str) -> Any:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_constant)
"""json.loads would make one for each entry."""


def open_entry(kind: str, entry: SealedEntry, seals: Seals) -> SendEntry | ResendEntry:
    """Read the content of a sealed entry.

    Raises:
        EntryRejected: it breaks a rule, or does not open.
        KeyMissing: it is sealed by a key that is not on the keyring.
    """
    try:
        opened = parse_entry(kind, seals.open_entry(kind, entry.id, entry.sealed))
    except SealBroken as error:
        raise EntryRejected("sealed", Rejection.SEAL_BROKEN, str(error)) from None
    if opened.id != entry.id or not isinstance(opened, SendEntry | ResendEntry):
        raise EntryRejected("sealed", Rejection.BAD_VALUE, "what is sealed is a whole entry with the same id")
    return opened


_REASONS = {
    "extra_forbidden": (Rejection.UNKNOWN_MEMBER, "there is no such member"),
    "missing": (Rejection.MISSING_MEMBER, "this member is required"),
}


def _rejection(error: ValidationError | RecursionError) -> EntryRejected:
    if isinstance(error, RecursionError):
        return EntryRejected("", Rejection.NOT_JSON, "the entry is nested too deeply")
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ""
    for part in problem["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _SHOWN.fullmatch(part):
            path += f".{part}" if path else part
        elif part not in {_ONE, _MANY}:
            path += ".?" if path else "?"  # a stranger's text is not repeated
    if problem["type"] in set(Rejection):
        return EntryRejected(path, Rejection(problem["type"]), problem["msg"])
    reason, message = _REASONS.get(problem["type"], (Rejection.BAD_VALUE, problem["msg"]))
    return EntryRejected(path, reason, message)
