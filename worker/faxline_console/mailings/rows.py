"""Turns the rows of an uploaded CSV file into faxes, and says what is wrong with each bad row."""

import csv
import io
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from faxline import EntryRejected
from faxline.cli.recipients import Recipients, Row, Rows, recipients_in
from faxline.contract.errors import Rejection
from faxline.contract.page_count import digest
from faxline.contract.phone_numbers import number_in
from faxline.sending.documents import Documents
from faxline.sending.fax import Fax, prepare
from faxline_console.showing.countries import country_of

MOST_ROWS = 10_000
"""The most rows of a file."""
COLUMNS = {"fax.faxNumber": "to", "fax.faxData": "file", "fax.send_at": "send_at"}
"""The columns of members of an entry."""
ONCE = "to send to a number once, take its other rows out of the file"
NO_FILE = "no such file was chosen"


class MailingInvalid(ValueError):
    """The file is no mailing. The message says why."""


@dataclass(frozen=True, slots=True)
class Draft:
    """An uploaded mailing that has not been pushed.

    Attributes:
        file: the CSV file's name.
        content: the CSV file.
        files: the documents by name.
        account: whose line it takes.
        region: the country of numbers without a code; empty: none.
        department: the metadata that each fax gets.
    """

    file: str
    content: bytes = field(repr=False)
    files: Mapping[str, bytes] = field(repr=False)
    account: str
    region: str
    department: tuple[str, str] | None

    @property
    def digests(self) -> dict[str, str]:
        """The SHA-256 of each document by its name."""
        return {name: sha256(content).hexdigest() for name, content in self.files.items()}

    def digest(self, priority: str) -> str:
        """The SHA-256 of all that its faxes are made of."""
        files = [part for name in sorted(self.files) for part in (name.encode(), self.files[name])]
        parts = [sha256(part).hexdigest() for part in (self.content, *files)]
        told = [self.account, self.region, self.department, priority, *parts]
        return sha256(json.dumps(told).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Document:
    """A document that was chosen for a mailing.

    Attributes:
        name: of its file.
        pages: how many; None if they cannot be counted, or no row gets the document.
        lines: of the rows that are in order and get it.
    """

    name: str
    pages: int | None
    lines: Sequence[int] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a draft holds.

    Attributes:
        name: of the mailing; if it was given none, made of the CSV file, so that another letter to the same
            recipients needs a name of its own.
        documents: all that were chosen, and which rows get them.
        faxes: those that are in order.
        bad: by line, what is wrong with the others.
        notes: what the sender should know.
        total: how many rows there are.
        named: whether the rows name their document in a column.
        rows: by line, the bad rows as the file has them.
        completed: the line, the number and the country of each row whose number has no country code, those of
            the country with the fewest first.
    """

    name: str
    documents: Sequence[Document]
    faxes: Sequence[Fax] = field(repr=False)
    bad: Mapping[int, str]
    notes: Sequence[str]
    total: int
    named: bool
    rows: Mapping[int, str] = field(repr=False)
    completed: Sequence[tuple[int, str, str]] = field(repr=False)


def look_at(draft: Draft, name: str = "", priority: str = "bulk") -> Looked:
    """Read and check all rows. It takes about a millisecond for each, so call it in a thread.

    Args:
        draft: the upload.
        name: the name of the mailing; empty makes one of the CSV file.
        priority: of rows that name none.

    Raises:
        MailingInvalid: the file is no CSV, has an unknown column or too many rows.
    """
    recipients = _read(draft)
    name = name or recipients.name
    documents, faxes, bad = Documents(), list[Fax](), dict(recipients.problems)
    completed = list[tuple[int, str, str]]()
    taken, lines, named = dict[str, int](), defaultdict[str, list[int]](list), False
    for row in recipients.rows:
        if row.problem:
            continue
        try:
            fax = _fax(row, draft, name, priority)
            job = prepare(fax, draft.account, documents).job
            if (before := taken.setdefault(job.id, row.line)) != row.line:
                raise _taken(before)
        except EntryRejected as error:
            bad[row.line] = (
                f"{COLUMNS.get(error.member, error.member)}: {error.message.partition(' (region=')[0]}"
            )
        else:
            faxes.append(fax)
            if number_in(row.written) != (number := row.fax["to"]):
                completed.append((row.line, number, country_of(number)))
            named = named or "files" in row.fax
            for file in _files(row, draft):
                lines[file].append(row.line)
    chosen = [
        Document(file, _pages(documents, content), lines[file]) for file, content in draft.files.items()
    ]
    texts, told = _texts(recipients.rows, bad), dict(sorted(bad.items()))
    each = Counter(country for *_, country in completed)
    completed.sort(key=lambda row: (each[row[2]], row[2], row[0]))
    return Looked(name, chosen, faxes, told, recipients.notes, recipients.total, named, texts, completed)


def _read(draft: Draft) -> Recipients:
    from faxline.cli.app import UsageError  # noqa: PLC0415 - the command's, with all of typer

    try:
        region = draft.region or None
        return recipients_in(draft.content, draft.file, region, most=MOST_ROWS, once=ONCE)
    except UsageError as error:
        raise MailingInvalid(str(error)) from None


def _pages(documents: Documents, content: bytes) -> int | None:
    opened = documents.opened(digest(content))
    return opened.pages or None if opened and opened.known else None


def _texts(rows: Rows, lines: Collection[int]) -> dict[int, str]:
    """The rows that end at these lines, as the file has them."""
    reader = csv.reader(io.StringIO(rows.text, newline=""), delimiter=rows.delimiter, strict=True)
    numbered = ((reader.line_num + rows.skipped, cells) for cells in reader)
    return {line: rows.delimiter.join(cells) for line, cells in numbered if line in lines}


def _fax(row: Row, draft: Draft, name: str, priority: str) -> Fax:
    """A row's fax. Its files are those of the upload, never a path or an address of this machine.

    Raises:
        EntryRejected: the row names a file that was not chosen.
    """
    fax: dict[str, Any] = {"id": f"{name}.{row.place}", "priority": priority, **row.fax}
    fax["files"] = [(file, draft.files[file]) for file in _files(row, draft)]
    if draft.department is not None:
        fax["metadata"] = {**fax.get("metadata", {}), draft.department[0]: draft.department[1]}
    made: Any = fax
    return made  # type: ignore[no-any-return]


def _files(row: Row, draft: Draft) -> list[str]:
    """The documents that a row gets: the one that it names, and all where there is no column for it.

    Raises:
        EntryRejected: the row names a file that was not chosen.
    """
    match row.fax.get("files"):
        case None:
            return list(draft.files)
        case [str() as named] if named in draft.files:
            return [named]
    named = ", ".join(map(str, row.fax["files"]))
    raise EntryRejected("file", Rejection.BAD_VALUE, f"{NO_FILE}: {named}")


def _taken(before: int) -> EntryRejected:
    """The error of a row whose id an earlier row has."""
    return EntryRejected("id", Rejection.ID_REUSED, f"line {before} has the same id; an id names one fax")
