"""The console process: its application on uvicorn."""

import signal
from collections.abc import Sequence
from dataclasses import dataclass

import uvicorn

from faxline.contract.connections.cluster_url import cluster_url
from faxline_archive.database import open_database
from faxline_console.app import make_app
from faxline_console.counts import Counts
from faxline_console.ended import Ended
from faxline_console.finding import Finder
from faxline_console.guard import Guard, Page
from faxline_console.kept_lines import KeptLines
from faxline_console.left_alone import LeftAlone
from faxline_console.lines import Lines
from faxline_console.live import Live
from faxline_console.mailing_store import MailingStore
from faxline_console.pages.accounts import AccountPages
from faxline_console.pages.attention import AttentionPages
from faxline_console.pages.bulk import BulkPages
from faxline_console.pages.fax import FaxPages
from faxline_console.pages.faxes import FaxesPages
from faxline_console.pages.live import LivePages
from faxline_console.pages.mailing_uploads import MailingUploadPages
from faxline_console.pages.mailings import MailingPages
from faxline_console.pages.send import SendPages
from faxline_console.pages.system import SystemPages
from faxline_console.pages.usage import UsagePages
from faxline_console.rendering import Renderer, make_environment
from faxline_console.store import ConsoleStore, Lifetimes
from faxline_console.uploads import Uploads
from faxline_worker.config.console import Console
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.observability.logs import get_logger
from faxline_worker.processes.common import load
from faxline_worker.processes.webhook import listen


def open_store(settings: Console) -> ConsoleStore:
    """The users and sessions of the console."""
    lifetimes = Lifetimes(
        longest=settings.session.total_seconds(),
        idle=settings.idle.total_seconds(),
        attempts=settings.sign_ins,
    )
    return ConsoleStore(open_database(settings.database, writes=True), lifetimes)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of.

    Attributes:
        renderer: of pages.
        lines: to the accounts.
        pages: all that need a session.
        counts: what every page shows of the accounts.
    """

    renderer: Renderer
    lines: Lines
    pages: Sequence[Page]
    counts: Counts


def make_pages(live: LiveAccounts, store: ConsoleStore, renderer: Renderer) -> Parts:
    """Make all pages.

    Args:
        live: the accounts.
        store: whose database has the list of mailings.
        renderer: of pages.
    """
    settings, lines = live.settings, Lines(live)
    counts, mailings = Counts(lines), MailingStore(store.engine)
    finder, kept = Finder(lines, Ended.open(settings)), KeptLines(store.engine, settings.keyring)
    parts = [
        *(page(lines, renderer) for page in (AccountPages, SendPages, SystemPages)),
        FaxesPages(lines, renderer, finder, kept, counts),
        BulkPages(lines, renderer, finder),
        FaxPages(lines, renderer, finder),
        UsagePages(lines, renderer, finder.ended),
        AttentionPages(lines, renderer, counts, LeftAlone(store.engine)),
        LivePages(Live(lines, followed=cluster_url(live.settings.redis_url) is None)),
        MailingUploadPages(
            lines, renderer, mailings, Uploads(store.engine, settings.keyring)
        ),  # before the address of any mailing
        MailingPages(lines, renderer, mailings, finder.ended, counts),
    ]
    return Parts(renderer, lines, [page for part in parts for page in part.pages()], counts)


def console() -> None:
    """Run the console until SIGTERM or SIGINT."""
    live, secrets = load("console")
    settings = live.settings
    log = get_logger("faxline_console")
    store = open_store(settings.console)
    parts = make_pages(live, store, Renderer(make_environment(), settings.console.zone))
    guard = Guard(store, settings.console, parts.counts.prepare)
    app = make_app(guard, parts.renderer, parts.lines, parts.pages, log)
    listener = listen(settings.console.host, settings.console.port, 128)
    config = uvicorn.Config(
        app,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,  # a live page would hold it open
    )
    log.info("console listens", host=settings.console.host, port=settings.console.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn shuts down, then raises the signal again
    secrets.start()  # looks at the accounts' directory as well
    try:
        uvicorn.Server(config).run([listener])
    finally:
        secrets.close()
