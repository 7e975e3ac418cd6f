"""The page on which a fax is sent: errors stand beside their fields, which keep what was typed."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
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
        had = [name for name, _ in fax["files"]]
        if problems or form.get("how") != "send":
            count = len(fax["to"]) if isinstance(fax["to"], list) else 1
            said = f"To {plural(count, 'number')}, {plural(len(fax['files']), 'file')}."
            return await self._page(request, typed, problems, checked=said, had=had)
        line, sent = self._lines.of(typed["account"]), fax["to"]
        names = (
            [fax["id"]]
            if isinstance(sent, str)
            else [f"{fax['id']}.{place + 1}" for place in range(len(sent))]
        )
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
        }
        status = 400 if problems else 503 if lost else 200
        return self._render.page(request, "send.html", values, status=status)
