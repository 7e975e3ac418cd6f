"""The documents of one call of `send`. Each is read and opened once."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

from faxline.contract.errors import EntryRejected, Rejection
from faxline.contract.page_count import REQUEST_BYTES, Opened, digest, open_document

_KEPT = 64_000_000
"""How many bytes of documents one call keeps in memory between check and push. Others are read twice."""


class Documents:
    """The documents of one call, by `sha256:<hex>`."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._opened: dict[str, Opened] = {}
        self._data: dict[str, bytes] = {}
        self._paths: dict[str, str] = {}
        self._uploads: dict[str, str] = {}
        self._kept = 0

    def add(self, file: str | Path | bytes) -> str:
        """Add a document and return its name.

        Raises:
            OSError: the file cannot be read.
            PdfReaderUnavailable: the process that opens PDFs cannot be started.
        """
        if isinstance(file, bytes):
            return self._take(file, None)
        path = os.fspath(file)
        if "\0" in path:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
        if path not in self._names:
            with Path(path).open("rb") as opened:  # one byte more than allowed shows that it is too large
                self._names[path] = self._take(opened.read(REQUEST_BYTES + 1), path)
        return self._names[path]

    def _take(self, data: bytes, path: str | None) -> str:
        name = digest(data)
        if name not in self._opened:
            self._opened[name] = open_document(data)
            if path is None or self._kept + len(data) <= _KEPT:
                self._data[name] = data
                self._kept += len(data) if path is not None else 0
            else:
                self._paths[name] = path
        return name

    def opened(self, name: str) -> Opened | None:
        """What was found in the document; None if it is not one of this call."""
        return self._opened.get(name)

    def upload(self, name: str) -> str:
        """The random name under which the document is uploaded."""
        return self._uploads.setdefault(name, uuid4().hex)

    def size(self, name: str) -> int:
        """The size of the document, in bytes."""
        return self._opened[name].size

    def contents(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of these documents.

        Raises:
            EntryRejected: a file changed after the check, or is gone.
        """
        return {name: self._content(name) for name in names}

    def _content(self, name: str) -> bytes:
        if name in self._data:
            return self._data[name]
        path = Path(self._paths[name])
        data = path.read_bytes() if path.is_file() else b""
        if digest(data) != name:
            raise EntryRejected(
                "fax.faxData",
                Rejection.BAD_DOCUMENT,
                f"the file {path.name} was changed between the check and the push; push again",
            )
        return data
