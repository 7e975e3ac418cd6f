"""The page on which a fax is sent: errors stand beside their fields, which keep what was typed."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline import QueueUnavailable
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.acting.send_form import (
    EMPTY,
    ENDINGS,
    MOST_LISTED,
    MOST_NUMBERS,
    NAMED,
    TEXTS,
    check,
    dialled,
    fax_of,
    files_of,
    id_of,
)
from faxline_console.live.lines import Lines
from faxline_console.mailings.sent_lately import HOUR, Sent, SentLately
from faxline_console.rendering import Renderer
from faxline_console.showing.countries import COUNTRIES
from faxline_console.showing.formats import plural
from faxline_console.showing.outlook import outlook

AWAY = ("Redis does not answer", "Nothing is pushed before it does, and nothing tells when it would go.")


class SendPages:
    """The form.

    Args:
        lines: to the accounts.
        renderer: of pages.
        lately: what was pushed here.
    """

    def __init__(self, lines: Lines, renderer: Renderer, lately: SentLately) -> None:
        self._lines = lines
        self._lately = lately
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
        had = [name for name, _ in fax["files"]]
        numbers = [fax["to"]] if isinstance(fax["to"], str) else fax["to"]
        names = [fax["id"]]
        if len(numbers) != 1:
            names = [f"{fax['id']}.{place + 1}" for place in range(len(numbers))]
        digests = [sha256(content).hexdigest() for _, content in fax["files"]]
        marks = self._lately.marks(typed["account"], person.name, [(number, digests) for number in numbers])
        same = {} if problems else await run_in_threadpool(self._lately.find, marks, HOUR, names)
        twice = [(number, same[mark]) for number, mark in zip(numbers, marks, strict=True) if mark in same]
        unseen = {sent.job for _, sent in twice} - {*str(form.get("again", "")).split()}
        if problems or unseen or form.get("how") != "send":
            said = f"To {plural(len(numbers), 'number')}, {plural(len(had), 'file')}."
            said = "" if form.get("how") == "send" else said
            return await self._page(request, typed, problems, checked=said, had=had, twice=twice)
        line = self._lines.of(typed["account"])
        await run_in_threadpool(self._lately.note, line.account, zip(marks, names, strict=True))
        try:
            await line.note("send", by=person.name, jobs=names)
            job = await line.send(**fax)
        except QueueUnavailable:
            return await self._page(request, typed, {}, lost=f"{line.account}/{names[0]}", had=had)
        name, more = (f"{job.id}.1", f"&count={job.size}") if job.size else (job.id, "")
        return RedirectResponse(f"/faxes/{job.account}/{name}?done=pushed{more}", 303)

    async def _page(
        self,
        request: Request,
        typed: Mapping[str, str],
        problems: Mapping[str, str],
        *,
        checked: str = "",
        had: Sequence[str] = (),
        lost: str = "",
        twice: Sequence[tuple[str, Sent]] = (),
    ) -> Response:
        person, times = person_of(request), self._render.times(request)
        names = self._lines.sending_of(person)
        account = typed["account"] if typed["account"] in names else next(iter(names), "")
        expected = [AWAY]
        with suppress(QueueUnavailable):  # what was typed is worth more than the forecast
            state = await self._lines.of(account).account_state() if account else None
            expected = outlook(state, times, alone=person.department is not None) if state else []
        values = {
            "typed": typed,
            "problems": problems,
            "checked": checked,
            "had": had,
            "accounts": names,
            "countries": COUNTRIES,
            "endings": ENDINGS,
            "most_listed": MOST_LISTED,
            "dialled": dialled(typed),
            "texts": TEXTS,
            "named": NAMED,
            "most_numbers": MOST_NUMBERS,
            "outlook": expected,
            "lost": lost,
            "twice": twice,
            "again": " ".join(sent.job for _, sent in twice),
        }
        status = 503 if lost else 400 if problems or (twice and not checked) else 200
        return self._render.page(request, "send.html", values, status=status)
