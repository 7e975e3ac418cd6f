"""The console as an ASGI application."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from structlog.typing import FilteringBoundLogger

from faxline import FaxlineError, JobNotFound, QueueUnavailable
from faxline.contract.errors import OrderTimeout
from faxline_archive.database import is_away, reason_of
from faxline_console.access.guard import Guard, Page, SessionEndedError, page_above
from faxline_console.access.headers import Headers, TooLargeError
from faxline_console.access.people import Right
from faxline_console.live.lines import Lines
from faxline_console.pages.sign_in import START, SignIn
from faxline_console.rendering import STATIC, Renderer

if TYPE_CHECKING:
    from faxline_console.access.sessions import Session

NOT_KNOWN = "It is not known whether it was done. Look before you repeat it."


def make_app(
    guard: Guard, renderer: Renderer, lines: Lines, pages: Sequence[Page], log: FilteringBoundLogger
) -> Headers:
    """Make the application.

    Args:
        guard: lets people in.
        renderer: of its pages.
        lines: closed when the application ends.
        pages: all pages but those for signing in.
        log: gets a line for each request that acts or fails.
    """
    sign_in = SignIn(guard, renderer, log)

    async def start(_: Request) -> Response:
        return RedirectResponse(START, 303)

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_: Request) -> Response:
        checks = {"redis": lines.answers(), "database": run_in_threadpool(guard.store.answers)}
        found = dict(zip(checks, await asyncio.gather(*checks.values()), strict=True))
        text = "".join(f"{name}: {'ok' if well else 'away'}\n" for name, well in found.items())
        return PlainTextResponse(text, 200 if all(found.values()) else 503)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await lines.close()

    errors = ErrorPages(renderer, log, guard)
    app = Starlette(
        routes=[
            Route("/", start),
            Route("/healthz", healthy),
            Route("/readyz", ready),
            Mount("/static", StaticFiles(directory=STATIC)),
            *sign_in.routes(),
            *(guard.route(page) for page in [*sign_in.pages(), *pages]),
        ],
        exception_handlers={
            HTTPException: errors.refused,
            JobNotFound: errors.not_found,
            QueueUnavailable: errors.redis_away,
            OrderTimeout: errors.not_yet,
            FaxlineError: errors.of_faxline,
            TooLargeError: errors.too_large,
            DBAPIError: errors.database_away,
            NoConnection: errors.database_away,
            Exception: errors.unexpected,
        },
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # it leads to the host that a request names, and without TLS
    return Headers(app)  # outside of everything, so that an answer about a fault has them too


class ErrorPages:
    """What people see when something fails: what it is, and what comes next. Details go to the log."""

    def __init__(self, renderer: Renderer, log: FilteringBoundLogger, guard: Guard) -> None:
        self._render = renderer
        self._log = log
        self._guard = guard

    def _page(
        self,
        request: Request,
        status: int,
        heading: str,
        say: str,
        then: str = "",
        *,
        again: bool = False,
        ended: bool = False,
    ) -> Response:
        back = page_above(request, request.url.path) or START if ended else ""
        values = {"heading": heading, "say": say, "next": then, "again": again, "sign_in_to": back}
        response = self._render.page(request, "error.html", values, status=status)
        self._guard.keep_fresh(request, response)
        return response

    async def refused(self, request: Request, error: Exception) -> Response:
        """A page that is not there, or not for this person."""
        assert isinstance(error, HTTPException)  # noqa: S101 - Starlette calls it for these
        if error.status_code == 404:  # noqa: PLR2004
            return self._page(request, 404, "There is no such page", "The address leads nowhere.")
        if error.status_code == 403:  # noqa: PLR2004
            self._log.warning("refused", method=request.method, path=_path(request), reason=error.detail)
            if isinstance(error, SessionEndedError):
                then = (
                    "Sign in, and do it again: what you typed is not kept, and files have to be chosen again."
                )
                return self._page(request, 403, "You are signed out", error.detail, then, ended=True)
            return self._page(request, 403, "Not allowed", error.detail)
        return self._page(request, error.status_code, "This did not work", error.detail)

    async def not_found(self, request: Request, _: Exception) -> Response:
        """A fax that is not there, or not for this person: both look alike."""
        return self._page(
            request,
            404,
            "There is no such fax",
            "It was never pushed, its record has expired, or you may not see it.",
        )

    async def not_yet(self, request: Request, error: Exception) -> Response:
        """An order that was given, and that nobody carried out in time."""
        return self._page(request, 503, "Given, not yet carried out", f"{error}.", "Do not repeat it.")

    async def redis_away(self, request: Request, error: Exception) -> Response:
        """Redis does not answer or refuses."""
        self._log.warning("redis does not answer the console", reason=str(error))
        if request.method == "POST":
            return self._page(request, 503, "Redis does not answer", NOT_KNOWN)
        return self._page(
            request,
            503,
            "Redis does not answer",
            "Nothing is lost. Faxes on their way cannot be seen or changed until Redis is back.",
            f"{self._cause(request, error)}What has ended can still be found: it comes from the archive.",
            again=True,
        )

    @staticmethod
    def _cause(request: Request, error: Exception) -> str:
        """Who looks after Faxline is told why, and where."""
        session: Session | None = getattr(request.state, "session", None)
        return f"{error}. " if session is not None and session.person.may(Right.SYSTEM) else ""

    async def database_away(self, request: Request, error: Exception) -> Response:
        """The console's own database is away, busy or full."""
        if not is_away(error):
            return await self.unexpected(request, error)
        self._log.warning("the console's database does not answer", reason=reason_of(error))
        acted = request.method == "POST"
        say = NOT_KNOWN if acted else "It knows who has signed in. Faxes go on."
        return self._page(request, 503, "The console's database does not answer", say, again=not acted)

    async def of_faxline(self, request: Request, error: Exception) -> Response:
        """An action that Faxline refused. Its errors are written for people."""
        return self._page(request, 409, "Nothing was changed", str(error))

    async def too_large(self, request: Request, _: Exception) -> Response:
        """A form that is too large."""
        return self._page(
            request, 413, "That is too large", "A fax has at most 20 MB with all its documents."
        )

    async def unexpected(self, request: Request, error: Exception) -> Response:
        """A fault of ours. The page names a reference that the log has as well."""
        reference = secrets.token_hex(4)
        acted = request.method == "POST"
        self._log.error(
            "a page failed", reference=reference, reason=type(error).__name__, path=_path(request)
        )
        return self._page(
            request,
            500,
            "Something failed" if acted else "The page could not be made",
            NOT_KNOWN if acted else "Nothing was changed by loading it.",
            f"Reference for your administrator: {reference}",
        )


def _path(request: Request) -> str:
    """The path of a request, for the log: without a token that signs in."""
    token = request.path_params.get("token")
    return request.url.path.replace(token, "…") if token else request.url.path
