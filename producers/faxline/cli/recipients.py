"""Reads the recipients of a mailing from a CSV file: one fax for each row."""

import csv
import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from faxline.cli.app import UsageError
from faxline.cli.inputs import file_of, readings_of
from faxline.contract.errors import EntryRejected
from faxline.contract.phone_numbers import normalize_number

_DELIMITERS = (",", ";", "\t")
_PLAIN = ("id", "priority", "send_at", "expires_at", "subject", "to_name", "from_name", "message")
_KNOWN = ("to", *_PLAIN, "file")
_METADATA = "metadata."
_SHOWN = 3
"""The most rows with a repeated number that a note names."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the file, which is one fax.

    Attributes:
        place: its place among the rows, from 1.
        line: the line of the file at which the row ends, from 1.
        fax: its values, as keyword arguments of `FaxLine.send`.
        written: its number as the file has it; empty if that is not a number.
        problem: why the row cannot be read; empty if it can.
    """

    place: int
    line: int
    fax: Mapping[str, Any]
    written: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a file. Each iteration parses the file again, so a hundred thousand rows need no memory.

    Args:
        text: the text of the file, from the header line on.
        delimiter: the character between two values.
        skipped: the number of lines before the header line.
        region: the country of numbers without a country code.
        left_out: the lines of rows to skip.
        most: how many rows there may be.
    """

    text: str = field(repr=False)
    delimiter: str
    skipped: int
    region: str | None
    left_out: frozenset[int] = frozenset()
    most: int | None = None

    @property
    def name_files(self) -> bool:
        """Whether there is a column for the file of each row. Ask it of rows that were read."""
        header = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.delimiter, strict=True)
        return "file" in _columns(next(header))

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows in order.

        Raises:
            UsageError: the file is not valid CSV, a column is unknown, or there are too many rows.
        """
        reader = csv.reader(io.StringIO(self.text, newline=""), delimiter=self.delimiter, strict=True)
        place = 0
        try:
            columns = _columns(next(reader, []))
            for cells in reader:
                if not any(map(str.strip, cells)):
                    continue
                place += 1
                line = reader.line_num + self.skipped
                if self.most is not None and place > self.most:
                    raise UsageError(f"line {line}: only {self.most:,} rows are taken at once")
                if line not in self.left_out:
                    yield _row(place, line, columns, cells, self.region)
        except csv.Error as error:
            raise UsageError(f"line {reader.line_num + self.skipped}: {error}") from None


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients in a file.

    Attributes:
        name: the name of a group, made from the content: the same file always gets the same name.
        rows: the rows, in order.
        total: the number of rows.
        problems: why some rows cannot be read, by their lines.
        notes: what the sender should know.
    """

    name: str
    rows: Rows
    total: int
    problems: Mapping[int, str]
    notes: tuple[str, ...] = ()


def read_recipients(path: Path, region: str | None = None, *, unique: bool = False) -> Recipients:
    """Read a CSV file in UTF-8, or in UTF-16 with a byte order mark, with commas, semicolons or tabs.

    Args:
        path: the file.
        region: the country of numbers without a country code.
        unique: leave out a row if an earlier row has the same number.

    Raises:
        UsageError: the file cannot be read, has an unknown column, no column of numbers, or no row.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from None
    return recipients_in(content, str(path), region, unique=unique)


def recipients_in(
    content: bytes,
    path: str,
    region: str | None = None,
    *,
    unique: bool = False,
    most: int | None = None,
    once: str = "--unique sends to a number once",
) -> Recipients:
    """Read the content of a CSV file, as `read_recipients` does.

    Args:
        content: of the file.
        path: how errors name it.
        region: the country of numbers without a country code.
        unique: leave out a row if an earlier row has the same number.
        most: how many rows it may have. What is behind them is not looked at.
        once: how to send to a number once, for the note on repeated ones.

    Raises:
        UsageError: the file is in another encoding, has an unknown column, no column of numbers, no row or
            too many.
    """
    text = _decoded(content, path)
    begin, delimiter = _delimiter(text)
    rows = Rows(text[begin:], delimiter, 1 if begin else 0, region, most=most)
    name = f"csv-{hashlib.sha256(content).hexdigest()[:16]}"
    return _noted(name, rows, path, unique=unique, once=once)


def _decoded(content: bytes, path: str) -> str:
    marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if marked else "utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path} is not in UTF-8: save it as CSV UTF-8")
    return text


def _delimiter(text: str) -> tuple[int, str]:
    """Find where the header line begins, and the delimiter.

    The delimiter is the one in Excel's line `sep=;`, or else the most frequent one in the header, because the
    names of columns contain none.
    """
    if named := re.match(r'"?sep=([^"\r\n])"?(\r\n|\r|\n)', text, re.IGNORECASE):
        return named.end(), named[1]
    header = re.split(r"[\r\n]", text, maxsplit=1)[0]
    return 0, max(_DELIMITERS, key=header.count)


def _columns(header: list[str]) -> list[str]:
    """Read the names of the columns; "" for a column without a name."""
    names = [_column(cell.strip()) for cell in header]
    for name in filter(None, names):
        if name not in _KNOWN and not (name.startswith(_METADATA) and name != _METADATA):
            if len(re.findall(r"\d", name)) > 5:  # noqa: PLR2004 - a phone number, which must not be shown
                raise UsageError("the first line names the columns, such as `to`; here it has a number")
            raise UsageError(
                f"there is no column {name!r}; known are {', '.join(_KNOWN)} (or faxNumber) and metadata.NAME"
            )
        if names.count(name) > 1:
            raise UsageError(f"the column {name!r} is there twice")
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
            f"value {stray[0] + 1} is in a column without a name; quote a value that contains the delimiter"
        )
        return Row(place, line, {}, problem=problem)
    if len(cells) > len(columns):
        problem = f"{len(cells)} values for {len(columns)} columns; quote a value that contains the delimiter"
        return Row(place, line, {}, problem=problem)
    values = {name: cell.strip() for name, cell in zip(columns, cells, strict=False) if cell.strip()}
    fax: dict[str, Any] = {name: values[name] for name in ("to", *_PLAIN) if name in values}
    if "to" not in fax:
        return Row(place, line, {}, problem="the number is missing")
    if "file" in values:
        fax["files"] = [file_of(values["file"])]
    elif "file" in columns:  # not those of the other rows: they may be letters to other people
        return Row(
            place, line, {}, problem="the file is missing: where there is a column `file`, each row has one"
        )
    metadata = {
        name.removeprefix(_METADATA): value for name, value in values.items() if name.startswith(_METADATA)
    }
    written = fax["to"]
    try:
        fax["to"] = normalize_number(written, region)
    except EntryRejected:  # the check before the push reports it
        written = ""
    return Row(place, line, fax | ({"metadata": metadata} if metadata else {}), written)


def _noted(name: str, rows: Rows, path: str, *, unique: bool, once: str) -> Recipients:
    """Note the numbers that are read otherwise than written, and those that are repeated."""
    first, repeats, understood, total = dict[str, int](), dict[int, int](), list[str](), 0
    problems = dict[int, str]()
    try:
        for row in rows:
            total += 1
            if row.problem:
                problems[row.line] = row.problem
            if not row.written:
                continue
            number = row.fax["to"]
            if number != row.written:
                understood.append(number)
            if (line := first.setdefault(number, row.line)) != row.line:
                repeats[row.line] = line
    except UsageError as error:
        raise UsageError(f"{path}, {error}" if str(error).startswith("line ") else str(error)) from None
    if not total:
        raise UsageError(f"{path} has no row below its header line")
    notes = [readings_of(understood)]
    if repeats:
        shown = [f"line {line} has that of line {before}" for line, before in list(repeats.items())[:_SHOWN]]
        rest = [f"and {len(repeats) - _SHOWN} more"] if len(repeats) > _SHOWN else []
        fate = "the repeats are left out" if unique else f"each row is sent; {once}"
        notes.append(f"a number is repeated ({', '.join([*shown, *rest])}): {fate}")
    if unique:
        rows, total = replace(rows, left_out=frozenset(repeats)), total - len(repeats)
    return Recipients(name, rows, total, problems, tuple(filter(None, notes)))
