"""The form of a fax, as it was typed: what is sent by it, and by field what is wrong."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from zoneinfo import ZoneInfo

from starlette.datastructures import FormData, UploadFile

from faxline import EntryRejected
from faxline.contract.page_count import KNOWN
from faxline.contract.phone_numbers import SHEET, check_region, normalize_number
from faxline.sending.documents import Documents
from faxline.sending.fax import prepare
from faxline_console.showing.countries import country_of

MOST_NUMBERS = 15
MOST_LISTED = 200
TEXTS = (("subject", "Subject"), ("to_name", "To (name)"), ("from_name", "From (name)"))
PLAIN = ("subject", "to_name", "from_name", "message", "faxQuality")
CHOICES = {"priority": ("urgent", "normal", "bulk"), "faxQuality": ("Standard", "HD", "Low")}
ENDINGS = (*KNOWN, ".txt")
"""How the names of files end that are sent. iFax documents no list: it is what is looked into, and text."""
NAMED = {
    "to": "the numbers",
    "region": "the country",
    "files": "the files",
    "send_at": "not before",
    "expires_at": "not after",
    "account": "the account",
}
"""How the page's alert names a field."""
MEMBERS = {"faxNumber": "to", "faxData": "files", "faxQuality": "faxQuality"}
EMPTY: Mapping[str, str] = {
    **dict.fromkeys(("to", "region", *PLAIN, "listed", "send_at", "expires_at", "account"), ""),
    "priority": "normal",
    "faxQuality": "Standard",
}


async def files_of(form: FormData) -> list[tuple[str, bytes]]:
    """The files of a form, by the names that the browser gave; an empty field is none."""
    uploads = [file for file in form.getlist("files") if isinstance(file, UploadFile) and file.filename]
    contents = await asyncio.gather(*(file.read() for file in uploads))
    return [
        (plain_name(file.filename or ""), content) for file, content in zip(uploads, contents, strict=True)
    ]


def why_no_documents(names: Sequence[str]) -> str:
    """Which files are of a kind that is not sent here, and what is; empty if all are sent.

    Example:
        >>> why_no_documents(["a.pdf", "b.docx"])
        'b.docx: a file ends in .pdf, .tif, .tiff, .png, .jpg, .jpeg, .gif or .txt. Save it as a PDF.'
    """
    odd = [name for name in names if not name.lower().endswith(ENDINGS)]
    known = f"{', '.join(ENDINGS[:-1])} or {ENDINGS[-1]}"
    return f"{', '.join(odd)}: a file ends in {known}. Save it as a PDF." if odd else ""


def plain_name(name: str) -> str:
    """A file's name without folders and what cannot be printed."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable())[-255:] or "document"


def fax_of(
    typed: Mapping[str, str], files: list[tuple[str, bytes]], zone: ZoneInfo
) -> tuple[dict[str, Any], dict[str, str]]:
    """Read what was typed.

    Returns:
        The keyword arguments of `send`, and by field what is wrong.
    """
    problems: dict[str, str] = {}
    numbers = _numbers(typed["to"], _region(typed, problems), problems)
    fax: dict[str, Any] = {"to": numbers[0] if len(numbers) == 1 else numbers, "files": files}
    fax |= {name: typed[name] for name in PLAIN if typed[name].strip()}
    fax["priority"] = typed["priority"]
    for name, known in CHOICES.items():
        if typed[name] not in known:
            problems[name] = f"One of {', '.join(known)}."
    for name in ("send_at", "expires_at"):
        try:
            if typed[name]:
                fax[name] = datetime.fromisoformat(typed[name]).replace(tzinfo=zone).isoformat()
        except ValueError:
            problems[name] = "A date and a time, such as 2026-11-30 09:00."
    if not files:
        problems["files"] = "Choose at least one file."
    elif why := why_no_documents([name for name, _ in files]):
        problems["files"] = why
    return fax, problems


def id_of(typed: Mapping[str, str], fax: Mapping[str, Any], who: str) -> str:
    """The id of a fax: the same form sent twice names one fax, and a form that was changed another."""
    files = [(name, sha256(content).hexdigest()) for name, content in fax["files"]]
    told = json.dumps([who, typed["id"], typed["account"], {**fax, "files": files}], sort_keys=True)
    return str(uuid5(NAMESPACE_OID, told))


def dialled(typed: Mapping[str, str]) -> list[tuple[str, str]]:
    """The numbers that were typed, as they will be dialled, each with its country's name."""
    wrong: dict[str, str] = {}
    numbers = _numbers(typed["to"], _region(typed, wrong), wrong)
    return [(number, country_of(number)) for number in numbers[:MOST_NUMBERS]]


def _region(typed: Mapping[str, str], problems: dict[str, str]) -> str | None:
    try:
        return check_region(typed["region"].strip() or None)
    except ValueError:
        problems["region"] = "Choose a country of the list, or none."
        return None


def _numbers(text: str, region: str | None, problems: dict[str, str]) -> list[str]:
    numbers: list[str] = []
    wrong: list[str] = []
    for place, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                numbers.append(normalize_number(line.strip(), region))
            except EntryRejected as error:
                wrong.append(f"Line {place}: {for_people(error)}.")
    if not numbers and not wrong:
        wrong.append("Give at least one number.")
    if len(numbers) > MOST_NUMBERS:
        wrong.append(f"{len(numbers)} numbers; at most {MOST_NUMBERS}.")
    if len(set(numbers)) < len(numbers):
        wrong.append("A number is there twice.")
    if wrong:
        problems["to"] = " ".join(wrong)
    return numbers


def for_people(error: EntryRejected, *, by_country: bool = True) -> str:
    """What is wrong, without what is for programs and spreadsheets, or about a country that is not asked."""
    said = error.message.partition(' (region="')[0].replace(SHEET, "")
    return said if by_country else said.partition("; or name the country")[0]


def check(fax: Mapping[str, Any], account: str) -> dict[str, str]:
    """What is wrong with a fax by the rules of entries, by field. PDFs are opened apart."""
    try:
        prepare(fax, account, Documents())
    except EntryRejected as error:
        member = error.member.removeprefix("fax.").partition("[")[0]
        field = MEMBERS.get(member, member)
        place = error.member.partition("[")[2].partition("]")[0]
        which = fax["files"][int(place)][0] + ": " if field == "files" and place.isdecimal() else ""
        return {field if field in EMPTY or field == "files" else "files": f"{which}{error.message}."}
    return {}
