"""The types of an entry's members, and the errors for values that are not allowed."""

import base64
import binascii
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.phone_numbers import E164, check_number

ENTRY_BYTES = 32 * 1024 * 1024
"""The most bytes of an entry: 20 MB of base64, and a third more if sealed. ops/redis/redis.conf has it."""
LONGEST_URL = 8192
METADATA = 4096
"""The most bytes of a job's metadata as compact JSON."""
DEPTH = 32
"""The most levels of a job's metadata, so that any JSON library can read the events."""
RECIPIENTS = 15
FILES = 20
SELECTIONS = 200
LONGEST_ID = 128
MOST_IN_GROUP = 1_000_000_000
"""The most faxes of a group. Lua would not represent much larger numbers exactly."""
IDENTIFIER = re.compile(r"[A-Za-z0-9._:-]{1,128}")
SELECTION = re.compile(r"[1-9][0-9]{0,3}(-[1-9][0-9]{0,3})?")
URL = re.compile(r"https?://[^\s/]+(/\S*)?")
URL_WITHOUT_USER = re.compile(r"https?://[^\s/@]+(/\S*)?")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
UPLOAD = re.compile(r"[A-Za-z0-9_-]{16,128}")
BASE64 = re.compile(r"[A-Za-z0-9+/]*={0,2}")
"""The schema's pattern, looser than base64: some regex engines fail on groups in 20 MB of text."""
SEALED = re.compile(r"[A-Za-z0-9._-]{1,32}:[A-Za-z0-9+/]+={0,2}")
"""A key's id, a colon, and base64."""
_EPOCH = datetime.fromtimestamp(0, tz=UTC)
_MILLISECOND = timedelta(milliseconds=1)
ZONED = re.compile(r"[0-9]{4}.+(Z|[+-][0-9]{2}(:?[0-9]{2}.*)?)")
"""The schema's pattern, looser than ISO 8601: a year first, Z or an offset from UTC last."""


def _problem(reason: Rejection, message: str) -> PydanticCustomError:
    return PydanticCustomError(reason.value, message)


def _identifier(value: str) -> str:
    if not IDENTIFIER.fullmatch(value):
        raise _problem(Rejection.BAD_ID, "an id is 1 to 128 of A-Z a-z 0-9 . _ : -")
    return value


def moment_of(value: str) -> datetime:
    """Parse an ISO 8601 time, and convert it to UTC."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise _problem(Rejection.BAD_DATE, "write an ISO 8601 time, such as 2030-01-31T12:00:00Z") from None
    if moment.tzinfo is None:
        raise _problem(Rejection.BAD_DATE, "the time needs Z or an offset from UTC, such as +01:00")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _problem(Rejection.BAD_DATE, "the time in UTC is outside the years 1 to 9999") from None


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970."""
    return (moment - _EPOCH) // _MILLISECOND


def _iso(value: str) -> str:
    moment_of(value)
    return value


def _number(value: str) -> str:
    try:
        check_number(value, "")
    except EntryRejected as error:
        raise _problem(error.reason, error.message) from None
    return value


def _selections(value: list[str]) -> list[str]:
    if len(value) > SELECTIONS:
        raise _problem(Rejection.BAD_VALUE, f"{SELECTIONS} page selections at most: a fax has no more pages")
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
    except ValueError:  # 1e400, or half of a surrogate pair: JSON cannot hold either
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
    if "@" in value.split("/")[2]:  # anyone who may read the job's record would see it
        raise _problem(
            Rejection.BAD_VALUE,
            "fileUrl must not contain a user or password: use a signed URL, or a document",
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
        return "it uses the URL alphabet (- and _); write + and /"
    if strange := re.search(r"[^A-Za-z0-9+/=]", value):
        return f"its character {strange.start() + 1} is none of A-Z a-z 0-9 + / ="
    if "=" in value.rstrip("="):
        return "there is text after an =; use one file for each document"
    return "its end is missing: the length must be a multiple of 4, padded with = if necessary"


def own_or_none(value: str | None) -> str | None:
    """Return None for a blank value, so that the account's own is used."""
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
            Rejection.BAD_VALUE, "an upload's name is 16 to 128 random characters of A-Z a-z 0-9 _ -"
        )
    return value


def _shape(pattern: re.Pattern[str], **more: Any) -> WithJsonSchema:
    """The JSON Schema of a text that a function validates."""
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
    ),  # pydantic would copy a default dict each time
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
