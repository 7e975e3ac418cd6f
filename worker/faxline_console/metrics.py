"""The metrics of a console, and what counts its requests."""

from collections.abc import Callable
from math import nan
from time import perf_counter, time

from prometheus_client import CollectorRegistry, Counter, Gauge
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from faxline_console.tables import sessions
from faxline_worker.config.console import Console
from faxline_worker.observability.metrics.families import counter, histogram

PAGES = (
    *("faxes", "fax", "attention", "mailings", "send", "accounts", "usage", "system", "audit"),
    *("sign-in", "live", "other"),
)
"""The pages by the first part of their address; `fax` is one fax."""
STATUSES = ("2xx", "3xx", "4xx", "5xx")
OUTCOMES = ("accepted", "refused", "too_many")
"""What became of a sign-in. Where a proxy signs people in, none is counted."""
UNCOUNTED = frozenset({"static", "healthz", "readyz"})
_BUCKETS = (0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_SIGN_INS = {303: "accepted", 403: "refused", 429: "too_many"}


class ConsoleMetrics:
    """The metrics of a `console` process.

    Example:
        >>> ConsoleMetrics(new_registry(), signed_in=lambda: 2, viewers=lambda: 1)

    Args:
        registry: where they are registered; one of these a registry.
        signed_in: how many sessions are; NaN if that is not known.
        viewers: how many live pages are open.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        signed_in: Callable[[], float] = lambda: nan,
        viewers: Callable[[], float] = lambda: nan,
    ) -> None:
        self.requests = counter(
            registry,
            "fax_console_requests_total",
            "Requests that were answered, by page and status.",
            page=PAGES,
            status=STATUSES,
        )
        self.seconds = histogram(
            registry,
            "fax_console_page_seconds",
            "How long a page took at the server. Streams of live pages are not among them.",
            _BUCKETS,
            page=[page for page in PAGES if page != "live"],
        )
        self.sign_ins = counter(
            registry,
            "fax_console_sign_ins_total",
            "Sign-ins by password or link: accepted, refused, or refused unseen after too many.",
            outcome=OUTCOMES,
        )
        self.reads = Counter(
            "fax_console_live_reads_total",
            "Reads of Redis for all live pages of this process.",
            registry=registry,
        )
        open_pages = Gauge(
            "fax_console_viewers", "Live pages that are open at this process.", registry=registry
        )
        open_pages.set_function(viewers)
        Gauge(
            "fax_console_sessions",
            "Signed-in sessions; consoles of one database export the same value: take max, never sum.",
            registry=registry,
        ).set_function(signed_in)


def count_sessions(engine: Engine, settings: Console) -> float:
    """How many sessions are signed in, by the console's own database; NaN if it does not answer."""
    now = time() * 1000
    lasting = (sessions.c.seen >= now - settings.idle.total_seconds() * 1000) & (
        sessions.c.began >= now - settings.session.total_seconds() * 1000
    )
    try:
        with engine.begin() as database:
            return database.execute(select(func.count()).select_from(sessions).where(lasting)).scalar_one()
    except SQLAlchemyError:
        return nan


class Counted:
    """Counts the requests of an application and times them.

    Args:
        app: the application.
        metrics: where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: ConsoleMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or (page := page_of(scope["path"])) is None:
            await self._app(scope, receive, send)
            return
        begin, status = perf_counter(), 500

        async def look(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if page == "live":  # it ends when its page is closed
                    self._metrics.requests.labels(page, f"{status // 100}xx").inc()
            await send(message)

        try:
            await self._app(scope, receive, look)
        finally:
            if page != "live":
                self._metrics.requests.labels(page, f"{status // 100}xx").inc()
                self._metrics.seconds.labels(page).observe(perf_counter() - begin)
            if page == "sign-in" and scope["method"] == "POST" and status in _SIGN_INS:
                self._metrics.sign_ins.labels(_SIGN_INS[status]).inc()


def page_of(path: str) -> str | None:
    """The page of an address, as the metrics name it; None if it is none.

    Example:
        >>> page_of("/faxes/north/lab.4711")
        'fax'
    """
    parts = path.split("/")
    first = parts[1] if len(parts) > 1 else ""
    if first in UNCOUNTED:
        return None
    if first == "faxes" and len(parts) > 3:  # noqa: PLR2004 - /faxes/ACCOUNT/JOB
        return "fax"
    return first if first in PAGES else "other"
