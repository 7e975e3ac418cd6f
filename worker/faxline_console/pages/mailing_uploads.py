"""The upload of a mailing: a CSV file and documents, a preview of every bad row, and the push."""

from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlalchemy.exc import DBAPIError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import GroupNotFound, QueueUnavailable
from faxline.contract.entry_members import IDENTIFIER
from faxline.contract.phone_numbers import check_region, country_code
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.acting.send_form import ENDINGS, files_of, plain_name, why_no_documents
from faxline_console.live.line import ConsoleLine
from faxline_console.live.lines import Lines
from faxline_console.mailings.rows import MOST_ROWS, Draft, Looked, MailingInvalid, look_at
from faxline_console.mailings.sent_before import note_rows, sent_before
from faxline_console.mailings.sent_lately import SentLately
from faxline_console.mailings.store import MailingStore, Reserved, is_numbered
from faxline_console.mailings.uploads import Uploads, UploadsFullError
from faxline_console.rendering import Renderer
from faxline_console.showing.countries import COUNTRIES
from faxline_console.showing.downloads import csv_file
from faxline_console.showing.formats import plural
from faxline_console.showing.outlook import starts

SHOWN = 200
"""The most bad rows, and the most numbers, that the preview shows; the CSV has all bad rows."""
LINES = 10
"""The most lines of a document's rows that the preview names."""
FULL = "So many mailings are uploaded and not pushed that there is no room. Try again in half an hour."
NO_NAME = "A name has letters from A to Z, digits and . _ : - only, no more than 100, and is no dot or two."
TAKEN = "There is a group of this name already. "
OTHER = "Choose another name."
PUSHED = "It was pushed {} by {}. Choose another name; who is in the same file gets it again under another."
TOO_OLD = (
    "Its push was interrupted {}, so long ago that Redis may have forgotten what was sent: pushed again, "
    "some would get it twice. Look at its page, and push the others in another file, under another name."
)
INTERRUPTED = (
    "Redis did not answer, and not all faxes are known to be pushed. Push them again under this name soon, "
    "you or somebody else: none goes twice."
)
TWICE = (
    "Two files have the same name: {}. A row names its document by the name of the file, "
    "so give each a name of its own."
)
GONE = "The upload is gone: it is kept for 30 minutes. Upload the file again."


class MailingUploadPages:
    """The pages that make a mailing.

    Args:
        lines: to the accounts.
        renderer: of pages.
        store: the list of mailings.
        uploads: keeps uploads until they are pushed.
        lately: what was pushed here.
    """

    def __init__(
        self,
        lines: Lines,
        renderer: Renderer,
        store: MailingStore,
        uploads: Uploads,
        lately: SentLately,
    ) -> None:
        self._lately = lately
        self._lines = lines
        self._render = renderer
        self._store = store
        self._uploads = uploads

    def pages(self) -> list[Page]:
        """The addresses."""
        return [
            Page("/mailings/new", Right.SEND, self.new),
            Page("/mailings/new", Right.SEND, self.preview, ["POST"]),
            Page("/mailings/push", Right.SEND, self.push, ["POST"]),
            Page("/mailings/bad", Right.SEND, self.bad_rows, ["POST"]),
        ]

    async def new(self, request: Request) -> Response:
        """The form for an upload."""
        await run_in_threadpool(self._uploads.drop_old)
        return self._upload(request, {}, "")

    async def preview(self, request: Request) -> Response:
        """Check every row of an upload."""
        form, person = await request.form(), person_of(request)
        typed = {name: str(form.get(name) or "").strip() for name in ("account", "region")}
        file = form.get("csv")
        if why := self._lines.why_not_sending(person, typed["account"]):
            return self._upload(request, typed, why)
        if not isinstance(file, UploadFile) or not file.filename:
            return self._upload(request, typed, "Choose a CSV file.")
        files = await files_of(form)
        if why := _why_not(Counter(name for name, _ in files)):
            return self._upload(request, typed, why)
        draft = Draft(
            plain_name(file.filename),
            await file.read(),
            dict(files),
            typed["account"],
            typed["region"],
            person.department,
        )
        try:
            check_region(draft.region or None)
            looked = await run_in_threadpool(look_at, draft)
        except ValueError as error:
            said = str(error) if isinstance(error, MailingInvalid) else "Name the country by two letters."
            return self._upload(
                request, typed, said if said.startswith(draft.file) else said[:1].upper() + said[1:]
            )
        try:
            name = await run_in_threadpool(self._uploads.keep, request.state.session.token, draft)
        except UploadsFullError:
            return self._upload(request, typed, FULL)
        typed = {"name": looked.name, "priority": "bulk", "bad": ""}
        return await self._preview(request, name, draft, looked, typed)

    async def push(self, request: Request) -> Response:
        """Push the rows that are in order."""
        form, person = await request.form(), person_of(request)
        typed = {name: str(form.get(name) or "").strip() for name in ("draft", "name", "priority", "bad")}
        draft = await self._draft(request, typed["draft"])
        if draft is None:
            return self._upload(request, {}, GONE)
        priority = typed["priority"] if typed["priority"] in {"urgent", "normal", "bulk"} else "bulk"
        name = "-".join(typed["name"].split())
        is_step = name in {".", ".."}  # which browsers leave out of an address
        fits = not is_step and (not name or IDENTIFIER.fullmatch(f"{name}.{MOST_ROWS}"))
        looked = await run_in_threadpool(look_at, draft, name if fits else "", priority)
        line = self._lines.for_person(person, draft.account)
        wrong = "" if looked.faxes else "No row is in order."
        wrong = self._lines.why_not_sending(person, draft.account) or wrong
        if looked.bad and typed["bad"] != "leave":
            wrong = "Some rows are bad. Mend them, or choose to leave them out."
        wrong_name = "" if fits else NO_NAME
        if fits and not wrong:
            wrong_name = await self._reserve(request, draft, looked, line, priority)
        wrong = wrong_name or wrong
        if not wrong:
            await run_in_threadpool(note_rows, self._lately, draft, looked)
            about = f"{looked.name}: {plural(len(looked.faxes), 'fax', 'faxes')}"
            try:
                await line.note("mailing", by=person.name, about=about)
                await line.send_many(looked.faxes, group=looked.name)
                with suppress(DBAPIError):  # all are pushed, and the list shows it by their number
                    await run_in_threadpool(self._store.finish, draft.account, looked.name)
            except QueueUnavailable:
                wrong = INTERRUPTED
        if wrong:
            return await self._preview(request, typed["draft"], draft, looked, typed, wrong, wrong_name)
        await run_in_threadpool(self._uploads.drop, typed["draft"])
        return RedirectResponse(f"/mailings/{draft.account}/{looked.name}?done=pushed", 303)

    async def _reserve(
        self, request: Request, draft: Draft, looked: Looked, line: ConsoleLine, priority: str
    ) -> str:
        """Take the name of a mailing before it is pushed. Returns why it is taken; empty if it was not."""
        person, place = person_of(request), (draft.account, looked.name)
        known = await run_in_threadpool(self._store.find, person, *place)
        if known is None and await _is_there(line, looked.name):
            return TAKEN + OTHER
        ids = [name for fax in looked.faxes if not is_numbered(looked.name, name := str(fax["id"]))]
        bad = [(line, why, looked.rows[line]) for line, why in looked.bad.items()]
        row = Reserved(*place, draft.digest(priority), len(looked.faxes), len(bad), ids, bad)
        if await run_in_threadpool(self._store.reserve, person, row):
            return ""
        if known is None:
            return TAKEN + OTHER
        at = self._render.times(request).moment(known.at)
        return TAKEN + (TOO_OLD if known.unfinished and known.old else PUSHED).format(at, known.who)

    async def bad_rows(self, request: Request) -> Response:
        """The bad rows of an upload as CSV."""
        draft = await self._draft(request, str((await request.form()).get("draft", "")))
        if draft is None:
            return self._upload(request, {}, GONE)
        looked = await run_in_threadpool(look_at, draft)
        cells = [(line, problem, looked.rows[line]) for line, problem in looked.bad.items()]
        return csv_file(["line", "problem", "row"], cells, "bad-rows.csv")

    async def _draft(self, request: Request, name: str) -> Draft | None:
        draft = await run_in_threadpool(self._uploads.find, request.state.session.token, name)
        if draft is None or draft.account not in self._lines.accounts_of(person_of(request)):
            return None
        return draft

    def _upload(self, request: Request, typed: Mapping[str, str], wrong: str) -> Response:
        values: dict[str, Any] = {
            "accounts": self._lines.sending_of(person_of(request)),
            "typed": {"account": "", "region": "", **typed},
            "countries": COUNTRIES,
            "endings": ENDINGS,
            "wrong": wrong,
        }
        return self._render.page(request, "mailing_new.html", values, status=400 if wrong else 200)

    async def _preview(  # noqa: PLR0917 - what it shows
        self,
        request: Request,
        name: str,
        draft: Draft,
        looked: Looked,
        typed: Mapping[str, str],
        wrong: str = "",
        wrong_name: str = "",
    ) -> Response:
        state, person = await self._lines.of(draft.account).account_state(), person_of(request)
        before = await run_in_threadpool(sent_before, self._lately, draft, looked)
        when = starts(
            *(state, len(looked.faxes), self._render.times(request)), alone=person.department is not None
        )
        values = {
            "draft": name,
            "when": when if looked.faxes else "",
            "file": draft.file,
            "account": draft.account,
            "looked": looked,
            "lines_shown": LINES,
            "bad": [(line, why, looked.rows[line]) for line, why in list(looked.bad.items())[:SHOWN]],
            "before": before,
            "completed": [
                (line, f"+{country_code(number)}", number[-4:], country)
                for line, number, country in looked.completed[:SHOWN]
            ],
            "typed": typed,
            "wrong": wrong,
            "wrong_name": wrong_name,
        }
        return self._render.page(request, "mailing_preview.html", values, status=400 if wrong else 200)


def _why_not(names: Counter[str]) -> str:
    """What is wrong with the documents of these names; empty if nothing is."""
    twice = [name for name, count in names.items() if count > 1]
    return TWICE.format(", ".join(twice)) if twice else why_no_documents(list(names))


async def _is_there(line: ConsoleLine, group: str) -> bool:
    try:
        await line.group(group)
    except GroupNotFound:
        return False
    return True
