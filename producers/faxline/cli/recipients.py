"""The recipients of a mailing: a CSV file, one fax a row."""

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faxline.cli.app import UsageError

_DELIMITERS = (",", ";", "\t")
_PLAIN = ("id", "priority", "send_at", "expires_at", "subject", "to_name", "from_name", "message")
_KNOWN = ("to", *_PLAIN, "file")
_METADATA = "metadata."


@dataclass(frozen=True, slots=True)
class Row:
    """One fax of the file.

    Attributes:
        line: the line at which it ends, from 1.
        fax: what the row says, as keyword arguments of `FaxLine.send`.
        problem: why it cannot be read, or nothing.
    """

    line: int
    fax: Mapping[str, Any]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Recipients:
    """The file.

    Attributes:
        name: a group's name that is of its content: the same file has the same one.
        rows: they, in their order.
    """

    name: str
    rows: tuple[Row, ...]


def read_recipients(path: Path) -> Recipients:
    """Read it: UTF-8 with or without a mark, with commas, semicolons or tabs as its header line has them.

    Raises:
        UsageError: it cannot be read, or has a column that is not known, none of numbers, or no row.
    """
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not in UTF-8: save it as CSV UTF-8") from None
    lines = text.splitlines(keepends=True)
    reader = csv.reader(lines, delimiter=_delimiter(lines[0] if lines else ""), strict=True)
    rows: list[Row] = []
    try:
        columns = _columns(next(reader, []))
        rows.extend(_row(reader.line_num, columns, cells) for cells in reader if any(map(str.strip, cells)))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: {error}") from None
    if not rows:
        raise UsageError(f"{path} has no row below its header line")
    return Recipients(f"csv-{hashlib.sha256(content).hexdigest()[:16]}", tuple(rows))


def _delimiter(header: str) -> str:
    """The one that the header line has most of: names of columns have none of them."""
    return max(_DELIMITERS, key=header.count)


def _columns(header: list[str]) -> list[str]:
    names = ["to" if name.strip() == "faxNumber" else name.strip() for name in header]
    for name in names:
        if name not in _KNOWN and not (name.startswith(_METADATA) and name != _METADATA):
            raise UsageError(
                f"there is no column {name!r}; known are {', '.join(_KNOWN)} (or faxNumber) and metadata.NAME"
            )
        if names.count(name) > 1:
            raise UsageError(f"the column {name!r} stands twice")
    if "to" not in names:
        raise UsageError("the column `to` (or faxNumber) is missing; the first line names the columns")
    return names


def _row(line: int, columns: list[str], cells: list[str]) -> Row:
    if len(cells) > len(columns):
        return Row(
            line, {}, f"{len(cells)} values for {len(columns)} columns; quote a value with a delimiter"
        )
    values = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if cell.strip()}
    fax: dict[str, Any] = {name: values[name] for name in ("to", *_PLAIN) if name in values}
    if "to" not in fax:
        return Row(line, {}, "the number is missing")
    if "file" in values:
        fax["files"] = [values["file"]]
    metadata = {
        name.removeprefix(_METADATA): value for name, value in values.items() if name.startswith(_METADATA)
    }
    return Row(line, fax | ({"metadata": metadata} if metadata else {}))
