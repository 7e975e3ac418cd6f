"""Checks a fax beyond its shape (docs/ifax.md, Limits). Producers and intake use the same code."""

import base64
import json
from collections.abc import Callable, Collection
from typing import Any

from faxline.contract.entries import SendEntry
from faxline.contract.entry_members import FILES, RECIPIENTS
from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.file_hosts import is_allowed
from faxline.contract.page_count import REQUEST_BYTES, TOO_LARGE, Opened, Pages, open_document, selected_pages

PAGES = 200
LONGEST_NUMBER = "+123456789012345"
_ADDED = 100
"""The bytes by which a request may be larger than its entry: the account's callerId."""


def check_send(  # noqa: C901 - one rule after the other
    entry: SendEntry,
    document: Callable[[str], bytes | Opened | None],
    hosts: Collection[str] = (),
    *,
    written: int = REQUEST_BYTES,
    opener: Callable[[bytes], Opened] = open_document,
) -> Pages:
    """Check a fax, and return how many pages it has.

    A fileUrl is not fetched and counts as no page. A file that is neither a PDF nor a TIFF, such as a text,
    counts as one. In both cases the upper bound is unknown.

    Args:
        entry: the parsed entry.
        document: returns a stored document by `sha256:<hex>`: its bytes, the result of opening it, or None.
        hosts: the hosts that a fileUrl may name, as `faxline.contract.file_hosts.host_pattern` takes them;
            empty allows any.
        written: the size of the entry as it was written (bytes). A small entry need not be serialised again.
        opener: opens a document.

    Raises:
        EntryRejected: the fax breaks a rule. The error has the member and the reason.
        PdfReaderUnavailable: the process that opens PDFs cannot be started.
        ValueError: one of the hosts is not a valid pattern.
    """
    files, numbers = entry.fax.faxData, entry.fax.faxNumber
    if isinstance(numbers, list) and len(numbers) > RECIPIENTS:
        raise EntryRejected(
            "fax.faxNumber", Rejection.TOO_MANY_RECIPIENTS, f"{RECIPIENTS} numbers at most; split the list"
        )
    if isinstance(numbers, list) and len(f"{entry.id}.{len(numbers)}") > 128:  # noqa: PLR2004 - an id's length
        raise EntryRejected("id", Rejection.BAD_ID, "too long for the ids of the group, ID.1 and so on")
    if isinstance(numbers, list) and entry.group is not None:
        raise EntryRejected(
            "group", Rejection.BAD_VALUE, "a list of numbers makes its own group, named by the id"
        )
    if not files:
        raise EntryRejected("fax.faxData", Rejection.NO_FILES, "at least one file is required")
    if len(files) > FILES:
        raise EntryRejected("fax.faxData", Rejection.TOO_MANY_FILES, f"{FILES} files at most")
    once = pages = size = 0
    certain = True
    for i, file in enumerate(files):
        member = f"fax.faxData[{i}]"
        absent = (file.fileUrl, file.fileData, file.document).count(None)
        stray = file.upload is not None and file.document is None
        if stray or absent != 2:  # noqa: PLR2004 - of three
            raise EntryRejected(
                member,
                Rejection.BAD_VALUE,
                "a file has exactly one of fileUrl, fileData and document; upload is for a document only",
            )
        if file.fileUrl is not None:
            if not is_allowed(file.fileUrl, hosts):
                raise EntryRejected(
                    f"{member}.fileUrl",
                    Rejection.HOST_NOT_ALLOWED,
                    "the URL's host is not among FAXLINE_FILE_HOSTS, or may be read in two ways",
                )
            certain = False
            continue
        data = base64.b64decode(file.fileData) if file.fileData is not None else document(file.document or "")
        if data is None:
            raise EntryRejected(
                f"{member}.document", Rejection.DOCUMENT_MISSING, "store the document before the push"
            )
        opened = data if isinstance(data, Opened) else opener(data)
        count = opened.count(f"{member}.{'document' if file.fileData is None else 'fileData'}", file.fileName)
        chosen = selected_pages(file.pages, count, f"{member}.pages")
        once, pages = once + chosen[0], pages + chosen[1]
        certain = certain and opened.known
        size += (opened.size + 2) // 3 * 4
    if pages > PAGES:
        raise EntryRejected(
            "fax.faxData", Rejection.TOO_MANY_PAGES, f"{PAGES} pages at most; this has {pages}"
        )
    if size + written + _ADDED > REQUEST_BYTES and size + _size_of_rest(entry) > REQUEST_BYTES:
        raise EntryRejected("fax.faxData", Rejection.TOO_LARGE, TOO_LARGE)
    return Pages(once, pages if certain else None)


def _size_of_rest(entry: SendEntry) -> int:
    return len(json.dumps(_rest(entry), ensure_ascii=False, separators=(",", ":")).encode())


def _rest(entry: SendEntry) -> Any:
    """The request as it is sent, without the documents' content.

    If it has no callerId, the worker may add the account's own, so there must be room for it.
    """
    rest = {"callerId": LONGEST_NUMBER} | entry.fax.model_dump(mode="json", exclude_none=True)
    for file in rest["faxData"]:
        file.pop("upload", None)
        if file.pop("document", None) or "fileData" in file:
            file["fileData"] = ""
    if isinstance(rest["faxNumber"], list):  # each number is one job
        rest["faxNumber"] = max(rest["faxNumber"], key=len)
    return rest
