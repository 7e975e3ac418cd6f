"""The restrictions of each request: parameters, files, pages, recipients (docs/ifax.md, Limits)."""

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from faxline_sandbox.answers import Refusal
from faxline_sandbox.bodies import Fields
from faxline_sandbox.config import E164
from faxline_sandbox.documents import EXTENSIONS, NotThisFormat, extension, page_count

MAX_PAGES = 200
MAX_FILES = 20
MAX_RECIPIENTS = 15
QUALITIES = ("Low", "Standard", "HD")

_TEXTS = ("templateId", "smartDocumentId", "subject", "from_name", "to_name", "message")
_SELECTION = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


@dataclass(frozen=True)
class FaxRequest:
    """A fax-send request that meets every restriction.

    Args:
        number: the recipient, E.164.
        caller_id: the sender, E.164 or None.
        subject: the subject or None; tests recognise a fax by it.
        files: the number of files.
        pages: the number of pages, after the selection.
        quality: Low, Standard or HD.
        send_at: Unix seconds or None.
        digest: lower-case hexadecimal SHA-256 of the parameters as JSON with sorted keys and no spaces.
    """

    number: str
    caller_id: str | None
    subject: str | None
    files: int
    pages: int
    quality: str
    send_at: float | None
    digest: str


@dataclass(frozen=True)
class ResendRequest:
    """A valid fax-resend request.

    Args:
        job_id: the original's jobId.
        number: the new recipient, E.164, or None for the same.
        digest: as in `FaxRequest`.
    """

    job_id: int
    number: str | None
    digest: str


class PageCounter:
    """Counts the pages of files, each content once.

    Args:
        pages_per_url: the pages of a file that is named only by its URL.
    """

    def __init__(self, pages_per_url: int) -> None:
        self.pages_per_url = pages_per_url
        self._known: dict[tuple[str, bytes], int] = {}

    def count(self, name: str, data: bytes) -> int:
        """The pages of a file.

        Raises:
            NotThisFormat: see `page_count`.
        """
        key = (extension(name), hashlib.sha256(data).digest())
        if key not in self._known:
            self._known[key] = page_count(name, data)
        return self._known[key]


def check_send(fields: Fields, counter: PageCounter) -> FaxRequest:
    """The request of fax-send.

    Raises:
        Refusal: -2 or the error code of the first restriction it breaks.
    """
    number = _number(fields.get("faxNumber"), "faxNumber")
    caller_id = fields.get("callerId")
    if caller_id is not None and not (isinstance(caller_id, str) and E164.fullmatch(caller_id)):
        raise Refusal("callerId: must be E.164, such as +1234567890")
    for name in _TEXTS:
        if not isinstance(fields.get(name), str | None):
            raise Refusal(f"{name}: must be a string")
    if fields.get("faxQuality", "Standard") not in QUALITIES:
        raise Refusal(f"faxQuality: must be one of {', '.join(QUALITIES)}")
    send_at = _send_at(fields.get("send_at"))
    files = fields.get("faxData")
    if files is None or files == []:
        raise Refusal("faxData: at least one file is required", code=-3003)
    if not isinstance(files, list):
        raise Refusal("faxData: must be an array")
    if len(files) > MAX_FILES:
        raise Refusal(f"faxData: {len(files)} files, {MAX_FILES} are allowed")
    pages = sum(_file_pages(file, f"faxData[{index}]", counter) for index, file in enumerate(files))
    if pages > MAX_PAGES:
        raise Refusal(f"faxData: {pages} pages, {MAX_PAGES} are allowed")
    return FaxRequest(
        number=number,
        caller_id=caller_id,
        subject=fields.get("subject"),
        files=len(files),
        pages=pages,
        quality=fields.get("faxQuality", "Standard"),
        send_at=send_at,
        digest=digest(fields),
    )


def check_resend(fields: Fields) -> ResendRequest:
    """The request of fax-resend.

    Raises:
        Refusal: -2 for the jobId, -3001 for the number.
    """
    number = fields.get("faxNumber")
    return ResendRequest(
        job_id=check_job_id(fields),
        number=None if number is None else _number(number, "faxNumber"),
        digest=digest(fields),
    )


def check_job_id(fields: Fields) -> int:
    """The jobId of fax-cancel or fax-resend.

    Raises:
        Refusal: -2, it is missing or not an integer.
    """
    job_id = fields.get("jobId")
    if not isinstance(job_id, int) or isinstance(job_id, bool):
        raise Refusal("jobId: must be an integer")
    return job_id


def digest(fields: Fields) -> str:
    """The digest by which equal requests are recognised; see `FaxRequest`."""
    return hashlib.sha256(json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def _number(value: Any, name: str) -> str:
    if value is None:
        raise Refusal(f"{name}: is required")
    if isinstance(value, list):
        if len(value) > MAX_RECIPIENTS:
            raise Refusal(f"{name}: {len(value)} recipients, {MAX_RECIPIENTS} are allowed", code=-3008)
        raise Refusal(f"{name}: must be one string; send a request for each recipient")
    if not isinstance(value, str):
        raise Refusal(f"{name}: must be a string")
    if not E164.fullmatch(value):
        raise Refusal(f"{name}: must be E.164, such as +1234567890", code=-3001)
    return value


def _send_at(value: Any) -> float | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise Refusal("send_at: must be ISO 8601 in UTC, such as 2019-11-14T00:55:31.820Z") from None


def _file_pages(file: Any, where: str, counter: PageCounter) -> int:
    """The pages that a file adds to its fax."""
    if not isinstance(file, dict):
        raise Refusal(f"{where}: must be an object")
    name, url, encoded = _source(file, where)
    selection = _selection(file.get("pages"), f"{where}.pages")
    if url is not None:
        if not _is_url(url):
            raise Refusal(f"{where}.fileUrl: must be an HTTP or HTTPS URL")
        # The file is not fetched, so the selection is not checked.
        return len(selection) if selection else counter.pages_per_url
    try:
        pages = counter.count(name, _decoded(encoded, f"{where}.fileData"))
    except NotThisFormat:
        raise Refusal(f"{where}: is damaged, or not what fileName says", code=-3006) from None
    if pages == 0:
        raise Refusal(f"{where}: is empty", code=-3004)
    if not selection:
        return pages
    selected = sum(page <= pages for page in selection)
    if selected == 0:
        raise Refusal(f"{where}.pages: the file has only {pages}")
    return selected


def _source(file: Fields, where: str) -> tuple[str, Any, Any]:
    """A file's name, and its URL or its data; the other one is None."""
    name, url, encoded = file.get("fileName"), file.get("fileUrl"), file.get("fileData")
    if not isinstance(name, str) or not name:
        raise Refusal(f"{where}.fileName: must be a string")
    if url is None and encoded is None:
        raise Refusal(f"{where}: needs fileUrl or fileData", code=-3003)
    if url is not None and encoded is not None:
        raise Refusal(f"{where}: has both fileUrl and fileData; give one")
    if extension(name) not in EXTENSIONS:
        raise Refusal(f"{where}.fileName: must end in one of {', '.join(sorted(EXTENSIONS))}", code=-3006)
    return name, url, encoded


def _selection(value: Any, where: str) -> set[int]:
    """The selected page numbers, each once; empty for all pages."""
    if value is None:
        return set()
    if not isinstance(value, list):
        raise Refusal(f'{where}: must be an array such as ["1-5", "2"]')
    return {page for item in value for page in _pages_of(item, where)}


def _pages_of(item: Any, where: str) -> Iterable[int]:
    match = _SELECTION.fullmatch(item) if isinstance(item, str) else None
    first = int(match[1]) if match else 0
    last = int(match[2] or first) if match else 0
    if not 1 <= first <= last:
        raise Refusal(f'{where}: must hold strings such as "1-5" or "2", counted from 1')
    return range(first, last + 1)


def _is_url(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parts = urlsplit(value)
        return parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        return False


def _decoded(value: Any, where: str) -> bytes:
    """Base64, with or without line breaks."""
    try:
        text = value.encode("ascii") if isinstance(value, str) else None
        if text is not None:
            return base64.b64decode(text.translate(None, b"\r\n\t "), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        pass
    raise Refusal(f"{where}: must be base64")
