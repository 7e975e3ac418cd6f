"""Signing in by name and password, signing out, and the choice of colours."""

from functools import partial

from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from structlog.typing import FilteringBoundLogger

from faxline_console.access.forms import read_form
from faxline_console.access.guard import Guard, Page, address_of, host_in, page_above, person_of
from faxline_console.access.links import Links
from faxline_console.access.tries import TooManyTries
from faxline_console.rendering import THEME_COOKIE, THEMES, Renderer

START = "/faxes"
AT_ONCE = 2
"""Passwords that are checked at the same time: each takes 64 MiB, in a thread that no page waits for."""
WAITING = 20
"""Sign-ins that wait for these, at most."""


class SignIn:
    """The page for those who have not signed in.

    Args:
        guard: the console's.
        renderer: of its pages.
        log: gets a line for each sign-in, each refused one, and each sign-out.
    """

    def __init__(self, guard: Guard, renderer: Renderer, log: FilteringBoundLogger) -> None:
        self._guard = guard
        self._render = renderer
        self._log = log
        self._limiter = CapacityLimiter(AT_ONCE)
        self._under_way = 0

    def routes(self) -> list[Route]:
        """The addresses that need no session; none where a proxy signs people in."""
        if self._guard.by_proxy:
            return []
        return [
            Route("/sign-in", self.sign_in, methods=["GET", "POST"]),
            Route("/sign-in/{token}", self.by_link, methods=["GET", "POST"]),
        ]

    def pages(self) -> list[Page]:
        """The addresses for everybody who has signed in."""
        return [
            Page("/sign-out", None, self.sign_out, ["POST"]),
            Page("/theme", None, self.choose_theme, ["POST"]),
            Page("/session", None, self.left, by_itself=True),
            Page("/session", None, self.left, ["POST"]),
        ]

    async def sign_in(self, request: Request) -> Response:
        """Show the form, and take it."""
        back = _own_path(request.query_params.get("back", ""))
        if request.method != "POST":
            return self._page(request, "", back)
        self._guard.check_site(request)
        form = await read_form(request)
        name, password = str(form.get("user", ""))[:64], str(form.get("password", ""))
        if self._under_way >= AT_ONCE + WAITING:
            return self._refuse(request, name, back, "busy", 429)
        check = partial(self._guard.store.sign_in, name, password, address_of(request))
        self._under_way += 1
        try:
            token = await to_thread.run_sync(check, limiter=self._limiter)
        except TooManyTries:
            return self._refuse(request, name, back, "too many", 429)
        finally:
            self._under_way -= 1
        if token is None:
            return self._refuse(request, name, back, "no match", 403)
        return await self._begin(request, token, back, "password")

    async def by_link(self, request: Request) -> Response:
        """Sign in by a link, which counts once. A look at it, as mail filters take, uses up none."""
        if request.method != "POST":
            return self._render.page(request, "sign_in_link.html", {})
        self._guard.check_site(request)
        token = await run_in_threadpool(Links(self._guard.store).use, request.path_params["token"])
        if token is None:
            return self._refuse(request, "", START, "old link", 403)
        return await self._begin(request, token, START, "link")

    async def _begin(self, request: Request, token: str, back: str, by: str) -> Response:
        session = await run_in_threadpool(self._guard.store.session, token)
        if session is not None:
            self._log.info("signed in", user=session.person.name, by=by, address=address_of(request))
        response = RedirectResponse(back, 303)
        self._guard.give_cookie(response, token)
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session."""
        await run_in_threadpool(self._guard.store.sign_out, request.state.session)
        self._log.info("signed out", user=person_of(request).name, address=address_of(request))
        response = RedirectResponse("/sign-in" if not self._guard.by_proxy else START, 303)
        self._guard.take_cookie(response)
        return response

    async def left(self, request: Request) -> Response:
        """How long the session goes on. A form uses it, so that it goes on; a look does not."""
        session = request.state.session
        return JSONResponse({"left": session.left, "last": session.last})

    async def choose_theme(self, request: Request) -> Response:
        """Keep the choice of colours in a cookie."""
        form = await request.form()
        chosen = str(form.get("theme", ""))
        back = _own_path(str(form.get("back", "")))  # perhaps of a page that a form made, such as a plan
        response = RedirectResponse(page_above(request, back) or START, 303)
        if chosen in THEMES:
            response.set_cookie(THEME_COOKIE, chosen, max_age=365 * 86400, httponly=True, samesite="lax")
        return response

    def _refuse(self, request: Request, name: str, back: str, wrong: str, status: int) -> Response:
        # Not the name: somebody may have typed the password there.
        self._log.warning("sign-in refused", reason=wrong, address=address_of(request))
        return self._page(request, name, back, wrong, status)

    def _page(self, request: Request, name: str, back: str, wrong: str = "", status: int = 200) -> Response:
        settings = self._guard.settings
        values = {
            "name": name,
            "wrong": wrong,
            "back": back,
            "session": settings.session,
            "idle": settings.idle,
        }
        return self._render.page(request, "sign_in.html", values, status=status)


def _own_path(address: str) -> str:
    """An address of this console, so that nobody is sent elsewhere after signing in."""
    ours = address.startswith("/") and not address.startswith(("//", "/\\")) and host_in(address) == ""
    return address if ours and "\\" not in address and address.isprintable() else START
