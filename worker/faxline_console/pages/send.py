"""The form with which a fax is sent: errors stand beside their fields, which keep what was typed."""

import asyncio
import json
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5
from zoneinfo import ZoneInfo

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import EntryRejected
from faxline.contract.phone_numbers import check_region, normalize_number
from faxline.sending.documents import Documents
from faxline.sending.fax import prepare
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.countries import COUNTRIES, country_of
from faxline_console.showing.formats import plural
from faxline_console.showing.outlook import outlook

MOST_NUMBERS = 15
MOST_LISTED = 200
TEXTS = (("subject", "Subject"), ("to_name", "To (name)"), ("from_name", "From (name)"))
PLAIN = ("subject", "to_name", "from_name", "message", "faxQuality")
CHOICES = {"priority": ("urgent", "normal", "bulk"), "faxQuality": ("Standard", "HD", "Low")}
KINDS = (".pdf", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".gif", ".txt")
"""The names of files that are offered."""
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


class SendPages:
    """The form.

    Args:
        lines: to the accounts.
        renderer: of pages.
    """

    def __init__(self, lines: Lines, renderer: Renderer) -> None:
        self._lines = lines
        self._render = renderer

    def pages(self) -> list[Page]:
        """The addresses."""
        return [
            Page("/send", Right.SEND, self.show),
            Page("/send", Right.SEND, self.send, ["POST"]),
            Page("/send/numbers", Right.SEND, self.numbers, ["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """The empty form."""
        return await self._page(request, {**EMPTY, "id": str(uuid4())}, {})

    async def numbers(self, request: Request) -> Response:
        """How the numbers that were typed so far will be dialled: a part of the page."""
        form = await request.form()
        typed = {name: str(form.get(name) or "")[:10_000] for name in ("to", "region")}
        return self._render.page(request, "dialled.html", {"dialled": dialled(typed)})

    async def send(self, request: Request) -> Response:
        """Check the form, and push the fax."""
        form, person = await request.form(), person_of(request)
        typed = {name: str(form.get(name) or "")[:10_000] for name in EMPTY}
        typed["id"] = str(form.get("id") or uuid4())
        zone = self._render.times(request).tzinfo
        fax, problems = fax_of(typed, await files_of(form), zone)
        if why := self._lines.why_not_sending(person, typed["account"]):
            problems["account"] = why
        listed = {"subject": typed["listed"].strip()[:MOST_LISTED]}
        fax["metadata"] = {**(listed if listed["subject"] else {}), **dict(filter(None, [person.department]))}
        fax["id"] = id_of(typed, fax, person.name)
        if not problems:
            problems = await run_in_threadpool(check, fax, typed["account"])
        if problems or form.get("how") != "send":
            count = len(fax["to"]) if isinstance(fax["to"], list) else 1
            said = f"To {plural(count, 'number')}, {plural(len(fax['files']), 'file')}."
            said += not_known([name for name, _ in fax["files"]])
            return await self._page(request, typed, problems, checked=said, had_files=bool(fax["files"]))
        line, sent = self._lines.of(typed["account"]), fax["to"]
        names = (
            [fax["id"]]
            if isinstance(sent, str)
            else [f"{fax['id']}.{place + 1}" for place in range(len(sent))]
        )
        await line.note("send", by=person.name, jobs=names)
        job = await line.send(**fax)
        name, more = (f"{job.id}.1", f"&count={job.size}") if job.size else (job.id, "")
        return RedirectResponse(f"/faxes/{job.account}/{name}?done=pushed{more}", 303)

    async def _page(
        self,
        request: Request,
        typed: Mapping[str, str],
        problems: Mapping[str, str],
        *,
        checked: str = "",
        had_files: bool = False,
    ) -> Response:
        person, times = person_of(request), self._render.times(request)
        names = self._lines.sending_of(person)
        account = typed["account"] if typed["account"] in names else next(iter(names), "")
        state = await self._lines.of(account).account_state() if account else None
        values = {
            "typed": typed,
            "problems": problems,
            "checked": checked,
            "had_files": had_files,
            "accounts": names,
            "countries": COUNTRIES,
            "kinds": KINDS,
            "most_listed": MOST_LISTED,
            "dialled": dialled(typed),
            "texts": TEXTS,
            "named": NAMED,
            "most_numbers": MOST_NUMBERS,
            "outlook": outlook(state, times, alone=person.department is not None) if state else [],
        }
        return self._render.page(request, "send.html", values, status=400 if problems else 200)


async def files_of(form: FormData) -> list[tuple[str, bytes]]:
    """The files of a form, by the names that the browser gave; an empty field is none."""
    uploads = [file for file in form.getlist("files") if isinstance(file, UploadFile) and file.filename]
    contents = await asyncio.gather(*(file.read() for file in uploads))
    return [
        (plain_name(file.filename or ""), content) for file, content in zip(uploads, contents, strict=True)
    ]


def not_known(names: list[str]) -> str:
    """Which files are of a kind that nobody here can look into; empty if none is.

    Example:
        >>> not_known(["a.pdf", "b.docx"])
        ' Whether iFax can read b.docx is not known here: a PDF is safe.'
    """
    odd = [name for name in names if not name.lower().endswith(KINDS)]
    return f" Whether iFax can read {', '.join(odd)} is not known here: a PDF is safe." if odd else ""


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


def for_people(error: EntryRejected) -> str:
    """What is wrong, without the options of programs."""
    return error.message.partition(' (region="')[0]


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
