"""The files of a fax, and the items of faxData that they become."""

import os
import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypedDict
from urllib.parse import unquote

from faxline.contract.errors import EntryRejected, Rejection
from faxline.sending.documents import Documents

Source: TypeAlias = str | Path | tuple[str, bytes | str | Path]
"""A path, a URL (http or https) that iFax can reach, or a pair: a name with a path, a URL or the content."""


class Selection(TypedDict):
    """Some pages of a file.

    Example:
        >>> Selection(file="a.pdf", pages=["1-5", "7"])
    """

    file: Source
    pages: Sequence[str]


File: TypeAlias = Source | Selection

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
_LONGEST_NAME = 255
_MEMBER = "fax.faxData"
_FORMS = "a file is a path, a URL, (name, content), (name, URL) or Selection(file=…, pages=[…])"


def items_of(files: File | Sequence[File] | None, documents: Documents) -> list[dict[str, Any]]:
    """Build faxData from files, and add their documents to `documents`.

    Raises:
        EntryRejected: one of them is not a file (bad_value).
        OSError: a file cannot be read.
    """
    if _is_one(files):
        return [_item(files, f"{_MEMBER}[0]", documents)]
    if isinstance(files, bytes | bytearray | memoryview) or not isinstance(files, Collection):
        raise EntryRejected(_MEMBER, Rejection.BAD_VALUE, f'files is a list, such as ["a.pdf"]; {_FORMS}')
    return [_item(file, f"{_MEMBER}[{i}]", documents) for i, file in enumerate(files)]


def is_url(text: str) -> bool:
    """Whether a text is a URL and not a path. The rules of entries check its scheme."""
    return _URL.match(text) is not None


def name_of_url(url: str) -> str:
    """The last part of a URL's path, or `document`."""
    path = re.split(r"[?#]", url, maxsplit=1)[0].partition("://")[2].partition("/")[2]
    last = unquote(path.rpartition("/")[2]).rpartition("/")[2]
    return last[-_LONGEST_NAME:] or "document"


def _is_one(files: Any) -> bool:
    named = isinstance(files, tuple) and len(files) == 2 and isinstance(files[1], bytes)  # noqa: PLR2004
    return named or isinstance(files, str | os.PathLike | Mapping)


def _item(file: Any, member: str, documents: Documents) -> dict[str, Any]:
    match file:
        case "":
            raise EntryRejected(member, Rejection.BAD_VALUE, f"the path is empty; {_FORMS}")
        case {"file": inner, "pages": str() as pages}:
            return _item(inner, member, documents) | {"pages": pages.replace(" ", "").split(",")}
        case {"file": inner, "pages": list() | tuple() as pages}:
            return _item(inner, member, documents) | {"pages": list(pages)}
        case (str() as name, (bytes() | str() | os.PathLike()) as source):
            pass
        case str() | os.PathLike():
            name, source = "", file
        case _:
            raise EntryRejected(member, Rejection.BAD_VALUE, _FORMS)
    if isinstance(source, str) and is_url(source):
        return {"fileName": name or name_of_url(source), "fileUrl": source}
    document = documents.add(source if isinstance(source, bytes) else os.fspath(source))
    if not name:
        name = "document" if isinstance(source, bytes) else Path(source).name
    return {"fileName": name, "document": document, "upload": documents.upload(document)}
