"""The recipients of a mailing: a CSV file, one fax a row."""

import csv
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faxline.cli.app import UsageError
from faxline.cli.inputs import file_of, readings_of
from faxline.errors import EntryRejected
from faxline.numbers import normalize_number

_DELIMITERS = (",", ";", "\t")
_PLAIN = ("id", "priority", "send_at", "expires_at", "subject", "to_name", "from_name", "message")
_KNOWN = ("to", *_PLAIN, "file")
_METADATA = "metadata."
_SHOWN = 3
"""Of rows that repeat a number, how many a note names."""


@dataclass(frozen=True, slots=True)
class Row:
    """One fax of the file.

    Attributes:
        place: its place among the rows, from 1.
        line: the line at which it ends, from 1.
        fax: what the row says, as keyword arguments of `FaxLine.send`.
        written: its number as it stands in the file; nothing where it is none.
        problem: why it cannot be read, or nothing.
    """

    place: int
    line: int
    fax: Mapping[str, Any]
    written: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Recipients:
    """The file.

    Attributes:
        name: a group's name that is of its content: the same file has the same one.
        rows: they, in their order.
        notes: what whoever sends it should know.
    """

    name: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()


def read_recipients(path: Path, region: str | None = None, *, unique: bool = False) -> Recipients:
    """Read it: UTF-8, or UTF-16 with a mark, with commas, semicolons or tabs.

    Args:
        path: the file.
        region: the country of numbers that name none.
        unique: leave out rows with the number of a row before.

    Raises:
        UsageError: it cannot be read, or has a column that is not known, none of numbers, or no row.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    text = _decoded(content, path)
    begin, delimiter = _delimiter(text)
    reader = csv.reader(io.StringIO(text[begin:], newline=""), delimiter=delimiter, strict=True)
    skipped = 1 if begin else 0
    rows: list[Row] = []
    try:
        columns = _columns(next(reader, []))
        for cells in reader:
            if any(map(str.strip, cells)):
                rows.append(_row(len(rows) + 1, reader.line_num + skipped, columns, cells, region))
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num + skipped}: {error}") from None
    if not rows:
        raise UsageError(f"{path} has no row below its header line")
    name = f"csv-{hashlib.sha256(content).hexdigest()[:16]}"
    return _noted(name, rows, unique=unique)


def _decoded(content: bytes, path: Path) -> str:
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path} is not in UTF-8: save it as CSV UTF-8")
    return text


def _delimiter(text: str) -> tuple[int, str]:
    """Where the header line begins, and the delimiter.

    It is the one that Excel's line `sep=;` names, or that the header has most of: names of columns have none.
    """
    if named := re.match(r'"?sep=([^"\r\n])"?(\r\n|\r|\n)', text, re.IGNORECASE):
        return named.end(), named[1]
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return 0, max(_DELIMITERS, key=header.count)


def _columns(header: list[str]) -> list[str]:
    """The names; of a column without one, an empty text."""
    names = [_column(cell.strip()) for cell in header]
    for name in filter(None, names):
        if name not in _KNOWN and not (name.startswith(_METADATA) and name != _METADATA):
            if len(re.findall(r"\d", name)) > 5:  # noqa: PLR2004 - a number, which is not to be repeated
                raise UsageError("the first line names the columns, such as `to`; here it has a number")
            raise UsageError(
                f"there is no column {name!r}; known are {', '.join(_KNOWN)} (or faxNumber) and metadata.NAME"
            )
        if names.count(name) > 1:
            raise UsageError(f"the column {name!r} stands twice")
    if "to" not in names:
        raise UsageError("the column `to` (or faxNumber) is missing; the first line names the columns")
    return names


def _column(cell: str) -> str:
    lowered = cell.lower()
    if lowered.startswith(_METADATA):
        return _METADATA + cell[len(_METADATA) :]
    return "to" if lowered == "faxnumber" else lowered if lowered in _KNOWN else cell


def _row(place: int, line: int, columns: Sequence[str], cells: Sequence[str], region: str | None) -> Row:
    named = dict(enumerate(columns))
    if stray := [i for i, cell in enumerate(cells) if cell.strip() and not named.get(i)]:
        problem = (
            f"value {stray[0] + 1} stands in no named column; quote a value that has the delimiter in it"
        )
        return Row(place, line, {}, problem=problem)
    if len(cells) > len(columns):
        problem = (
            f"{len(cells)} values for {len(columns)} columns; quote a value that has the delimiter in it"
        )
        return Row(place, line, {}, problem=problem)
    values = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if cell.strip()}
    fax: dict[str, Any] = {name: values[name] for name in ("to", *_PLAIN) if name in values}
    if "to" not in fax:
        return Row(place, line, {}, problem="the number is missing")
    if "file" in values:
        fax["files"] = [file_of(values["file"])]
    metadata = {
        name.removeprefix(_METADATA): value for name, value in values.items() if name.startswith(_METADATA)
    }
    written = fax["to"]
    try:
        fax["to"] = normalize_number(written, region)
    except EntryRejected:  # told with what else breaks a rule
        written = ""
    return Row(place, line, fax | ({"metadata": metadata} if metadata else {}), written)


def _noted(name: str, rows: Sequence[Row], *, unique: bool) -> Recipients:
    """The recipients with what was understood otherwise than written, and which numbers stand twice."""
    good = [row for row in rows if row.written]
    first: dict[str, int] = {}
    repeats = {
        row.line: line for row in good if (line := first.setdefault(row.fax["to"], row.line)) != row.line
    }
    notes = [readings_of(row.fax["to"] for row in good if row.fax["to"] != row.written)]
    if repeats:
        told = [f"line {line} that of line {before}" for line, before in list(repeats.items())[:_SHOWN]]
        rest = [f"and {len(repeats) - _SHOWN} more"] if len(repeats) > _SHOWN else []
        fate = "they are left out" if unique else "each is sent; --unique sends to a number once"
        notes.append(f"a number stands again ({', '.join([*told, *rest])}): {fate}")
    kept = [row for row in rows if not (unique and row.line in repeats)]
    return Recipients(name, tuple(kept), tuple(filter(None, notes)))
