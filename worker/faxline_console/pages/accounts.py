"""The accounts: what their limits hold, and pause, probe and resume."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from faxline.contract.wording import plural
from faxline.reading.account_state import OPERATOR, AccountState, from_micros
from faxline.reading.draining import UNDER_WAY, Drained
from faxline.reading.forecast import forecast
from faxline_console.access.actors import who
from faxline_console.access.guard import Page, person_of
from faxline_console.access.people import Right
from faxline_console.finding.removed import Removed
from faxline_console.live.lines import Lines
from faxline_console.rendering import Renderer
from faxline_console.showing.formats import Times
from faxline_console.showing.outlook import paused_words
from faxline_console.showing.words import limit_reached, paused_for

PROBED = {
    "done": "The probe goes now, as soon as a fax waits. The account opens when iFax takes it. "
    "Reload the page to see what came of it.",
    "idle": "The account is open: there is nothing to find out.",
    "held": "Nothing was tried: only an operator ends this pause.",
    "busy": "A call is under way, and its answer tells whether the pause is over.",
}
"""What came of an order to probe."""

REMOVED = ("canceled", "Removed: its faxes end", "skip")
"""The colour, the words and the icon of an account whose folder is gone."""


@dataclass(frozen=True, slots=True)
class Meter:
    """A limit as a bar. Of a limit of 0, which is off, there is none."""

    name: str
    used: float
    limit: int
    configured: int

    @property
    def percent(self) -> float:
        """How much of the configured limit is used."""
        return min(100.0, 100.0 * self.used / self.configured)

    @property
    def lowered(self) -> float | None:
        """Where the limit is now, in percent of the configured one; None if it is not lowered."""
        return 100.0 * self.limit / self.configured if self.limit < self.configured else None


class AccountPages:
    """The page and its actions.

    Args:
        lines: to the accounts.
        renderer: of pages.
        removed: knows the accounts of which only the archive has something.
    """

    def __init__(self, lines: Lines, renderer: Renderer, removed: Removed) -> None:
        self._lines = lines
        self._removed = removed
        self._render = renderer

    def pages(self) -> list[Page]:
        """The addresses."""
        return [
            Page("/accounts", Right.ACCOUNTS, self.show),
            Page("/accounts/{account}", Right.ACCOUNTS, self.order, ["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """All accounts of the person."""
        names, times = self._lines.accounts_of(person_of(request)), self._render.times(request)
        states = await asyncio.gather(*(self._lines.of(name).account_state() for name in names))
        drained = await self._drained(names)
        accounts = [
            (state, *self._told(state, drained, times), state.jobs.get("queued", 0), meters(state))
            for state in states
        ]
        values = {
            "accounts": accounts,
            "takes_faxes": self._lines.takes_faxes,
            "gone": await self._removed.names(person_of(request)),
            "paused": sum(bool(state.paused) for state in states),
            "done": request.query_params.get("done", ""),
            "probed": _came_of(request.query_params, states),
        }
        return self._render.page(request, "accounts.html", values)

    async def _drained(self, names: Sequence[str]) -> Mapping[str, Drained]:
        """The accounts that were removed, with since when. Only if there is one, Redis is asked."""
        removed = [name for name in names if not self._lines.takes_faxes(name)]
        return await self._lines.of(removed[0]).drained() if removed else {}

    def _told(
        self, state: AccountState, drained: Mapping[str, Drained], times: Times
    ) -> tuple[tuple[str, str, str], str]:
        if self._lines.takes_faxes(state.name):
            return describe(state), sentence(state, times)
        return REMOVED, leaving(state, drained.get(state.name), times)

    async def order(self, request: Request) -> Response:
        """Pause an account, find out now whether a pause is over, or open it again."""
        line = self._lines.for_person(person_of(request), request.path_params["account"])
        form, by = await request.form(), await who(request)
        how, pause = form.get("how"), str(form.get("pause", ""))
        if how == "pause":
            await line.pause(by=by)
        elif how == "resume" and pause:
            await line.resume(by=by, pause=pause)
        elif how == "probe" and pause:
            came = await line.probe(by=by, pause=pause)
            about = f"probe={came}&account={line.account}"
            return RedirectResponse(f"/accounts?{about}#{line.account}", 303)
        else:
            raise HTTPException(400, "Choose to pause the account, to probe or to resume it.")
        return RedirectResponse(f"/accounts?done={line.account}#{line.account}", 303)


def _came_of(asked: Mapping[str, str], states: Sequence[AccountState]) -> str:
    """What an order to probe led to by now; empty without one."""
    came = asked.get("probe", "")
    state = next((state for state in states if state.name == asked.get("account")), None)
    if came == "done" and state is not None and not state.paused:
        return f"{state.name} is open."
    if came == "done" and state is not None and state.probe_at > state.now:
        if state.held:
            return f"The probe of {state.name} is under way. Reload the page to see what came of it."
        return f"The probe went, and {state.name} is still paused. Its next one goes by itself."
    return PROBED.get(came, "")


def leaving(state: AccountState, drained: Drained | None, times: Times) -> str:
    """What is left to do for an account that was removed, and since when it was."""
    since = f" since {times.moment(drained.since)}" if drained is not None else ""
    left = sum(state.jobs.get(name, 0) for name in UNDER_WAY)
    return (
        f"Its folder is gone{since}: it takes and submits no fax. {plural(left, 'fax is', 'faxes are')} "
        "under way; once none is, it is forgotten, and what waits stays."
    )


def describe(state: AccountState) -> tuple[str, str, str]:
    """The colour, the words and the icon of an account's state."""
    if state.paused == OPERATOR:
        return "canceled", f"Paused{paused_for(state)}", "pause"
    if state.paused:
        return "failed", f"Paused{paused_for(state)}", "pause"
    if state.cooldown_until > state.now:
        return "partial", "Cooldown after a 429", "pause"
    if reached := limit_reached(state):
        return "queued", f"Open, at its limit ({reached})", "queued"
    return "delivered", "Open", "delivered"


def sentence(state: AccountState, times: Times) -> str:
    """Since when an account is held, by whom and why, and what comes next; empty if nothing holds it."""
    text = ""
    if state.paused:
        text = paused_words(state, times) + (f" {state.paused_why}." if state.paused_why else "")
        if state.probes and state.probed:
            gone = plural(state.probed, "probe has", "probes have")
            text += f" {gone} gone since, and the account is still paused."
        if state.probe_at > state.now:
            text += f" The next probe goes at {times.moment(from_micros(state.probe_at))}."
    elif state.cooldown_until > state.now:
        text = f"iFax answered 429; calls go on at {times.moment(from_micros(state.cooldown_until))}."
    elif limit_reached(state) and (first := forecast(state, 0, lambda _: state.window_us).expected_start):
        text = f"The next call can go at about {times.moment(first)}."
    return text


def meters(state: AccountState) -> list[Meter]:
    """The limits as bars."""
    hours = state.window_us / 3.6e9
    window = f"Requests in {hours:g} h" if hours >= 1 else f"Requests in {state.window_us / 1e6:g} s"
    named = [(window, state.window), ("Calls at once", state.concurrency), ("Burst", state.burst)]
    bars = [
        Meter(name, limit.used, limit.effective, limit.configured)
        for name, limit in named
        if limit.configured
    ]
    backlog = state.backlog.get("jobs")
    if backlog is not None and backlog.configured:
        bars.append(Meter("Backlog", backlog.used, backlog.configured, backlog.configured))
    return bars
