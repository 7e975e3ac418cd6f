"""Who is asking: sessions by cookie, people whom a proxy signed in, and what each page demands.

A page is an endpoint with the right that it takes. There is no other way to make a page, so none can be
reached without signing in. Every form sends back its session's token, and a browser that says that another
site made the request is refused.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from hmac import compare_digest
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Match, Route

from faxline_console.access.forms import read_form
from faxline_console.access.people import Person, Right
from faxline_console.access.sessions import Session
from faxline_console.access.store import ConsoleStore
from faxline_console.spending import begin
from faxline_worker.config.console import Console

COOKIE = "faxline-session"
"""Behind TLS with the prefix `__Host-`, so that no other host of the domain can plant one."""
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
ENDED = "Your session has ended. Nothing was sent or changed."
LOADED = "hx-request"
"""The header with which an open page loads itself again."""
_USUAL = {"https": ":443", "http": ":80"}
"""The ports that no browser writes."""
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Page:
    """An address of the console.

    Example:
        >>> Page("/faxes", Right.READ, show_faxes)

    Attributes:
        path: as Starlette's routes have it.
        right: what a person must be allowed to do; None: it is enough to be signed in.
        endpoint: answers the request. `request.state.session` is the session.
        methods: GET, or POST for what acts.
        by_itself: whether pages ask for it without a click, so that a session is not used by it.
    """

    path: str
    right: Right | None
    endpoint: Endpoint
    methods: Sequence[str] = ("GET",)
    by_itself: bool = False


class Guard:
    """Lets those in who may see a page.

    Args:
        store: the users and sessions.
        settings: of the console.
        prepare: called with each request that is let in, before its page.
    """

    def __init__(
        self,
        store: ConsoleStore,
        settings: Console,
        prepare: Callable[[Request], Awaitable[None]] | None = None,
    ) -> None:
        self.store = store
        self._prepare = prepare
        self.settings = settings
        self._networks = settings.networks
        self._own = host_in(settings.url)
        self._secure = settings.url.startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie."""
        return f"__Host-{COOKIE}" if self._secure else COOKIE

    @property
    def by_proxy(self) -> bool:
        """Whether a proxy signs people in."""
        return bool(self._networks)

    def route(self, page: Page) -> Route:
        """The route of a page: only those who may see it reach its endpoint."""

        async def endpoint(request: Request) -> Response:
            by_itself = page.by_itself or LOADED in request.headers
            session, request.state.fresh = await self._session(request, use=not by_itself)
            if session is None:
                return self._to_sign_in(request)
            if page.right is not None and not session.person.may(page.right):
                raise HTTPException(403, why_not(session.person, page.right))
            request.state.session = session
            begin()
            if self._prepare is not None:
                await self._prepare(request)
            try:
                if request.method == "POST":
                    await self.check_form(request, session.form_token)
                    if not await run_in_threadpool(self.store.goes_on, session):  # a form may take minutes
                        raise SessionEndedError(403, ENDED)
                response = await page.endpoint(request)
            finally:
                await request.close()  # the files of a form
            self.keep_fresh(request, response)
            return response

        return Route(page.path, endpoint, methods=list(page.methods))

    async def check_form(self, request: Request, expected: str) -> None:
        """Refuse a form that this session's pages did not make.

        Raises:
            HTTPException: 403; 400: it is no text.
        """
        self.check_site(request)
        sent = (await read_form(request)).get(FORM_TOKEN, "")
        if not isinstance(sent, str) or not compare_digest(sent.encode(), expected.encode()):
            raise HTTPException(403, "The form is not from this session. Load the page again, and repeat it.")

    def check_site(self, request: Request) -> None:
        """Refuse a request that a browser says another site made.

        Raises:
            HTTPException: 403.
        """
        origin = request.headers.get("origin")
        own = self._own or request.headers.get("host", "").lower()
        if request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"} or (
            origin is not None and host_in(origin) != own
        ):
            raise HTTPException(403, "Another site made this request.")

    def keep_fresh(self, request: Request, response: Response) -> None:
        """Let the browser keep a session that has just begun, whatever its first page is."""
        if (fresh := getattr(request.state, "fresh", None)) is not None:
            self.give_cookie(response, fresh)

    def give_cookie(self, response: Response, token: str) -> None:
        """Let the browser keep a session."""
        response.set_cookie(
            self.cookie,
            token,
            max_age=round(self.settings.session.total_seconds()),
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def take_cookie(self, response: Response) -> None:
        """Let the browser forget a session."""
        response.delete_cookie(self.cookie, secure=self._secure, httponly=True, samesite="lax")

    async def _session(self, request: Request, *, use: bool) -> tuple[Session | None, str | None]:
        """The session of a request, and the value of its cookie if it has just begun."""
        token = request.cookies.get(self.cookie)
        session = await run_in_threadpool(self.store.session, token, use=use) if token else None
        if not self.by_proxy:
            return session, None
        name = self._named_by_proxy(request)
        if session is not None and session.person.name == name:
            return session, None
        if await run_in_threadpool(self.store.person, name) is None:
            raise HTTPException(403, f"{name} is not a user of this console. An administrator adds users.")
        fresh = await run_in_threadpool(self.store.begin_session, name)
        return await run_in_threadpool(self.store.session, fresh), fresh

    def _named_by_proxy(self, request: Request) -> str:
        """Whom the proxy names.

        Raises:
            HTTPException: 403: the request does not come from the proxy, or names nobody.
        """
        address = address_of(request)
        try:
            found = ip_address(address)
            found = getattr(found, "ipv4_mapped", None) or found
            trusted = any(found in network for network in self._networks)
        except ValueError:
            trusted = False
        if not trusted:
            raise HTTPException(403, "Sign in through the proxy; this address is not the proxy's.")
        names = request.headers.getlist(self.settings.user_header)
        if len(names) != 1 or not names[0]:
            raise HTTPException(403, f"The proxy sent no single {self.settings.user_header}.")
        try:
            return names[0].encode("latin-1").decode()  # Starlette reads headers as Latin-1
        except UnicodeDecodeError:
            raise HTTPException(403, f"{self.settings.user_header} is not UTF-8.") from None

    @staticmethod
    def _to_sign_in(request: Request) -> Response:
        if request.method != "GET":
            raise SessionEndedError(403, ENDED)
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?back={quote(back, safe='')}", 303)


class SessionEndedError(HTTPException):
    """A form that was sent after its session's end. Nothing was done."""


def page_above(request: Request, path: str) -> str:
    """An address that can be loaded, where only a form leads to this one; empty if there is none.

    Example:
        >>> page_above(request, "/faxes/plan")
        '/faxes'
    """
    while path and path != "/":
        scope = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            return path
        path = path.rpartition("/")[0]
    return ""


def host_in(address: str) -> str | None:
    """The host that an address names, as browsers write it in `Origin`; None if it is no address.

    Example:
        >>> host_in("https://Fax.Example.org:443")
        'fax.example.org'
    """
    try:
        parts = urlsplit(address)
    except ValueError:
        return None
    return parts.netloc.lower().removesuffix(_USUAL.get(parts.scheme, ""))


def address_of(request: Request) -> str:
    """The address of the connection."""
    return request.client.host if request.client else ""


def why_not(person: Person, right: Right) -> str:
    """Why a person may not see a page that takes a right."""
    if right in person.role.rights:
        return "This page shows whole accounts, and you see the faxes of one department."
    return f"This page is not part of the role {person.role}."


def person_of(request: Request) -> Any:
    """The person whom the guard let in."""
    return request.state.session.person
