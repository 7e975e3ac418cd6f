"""The console process: its application on uvicorn."""

import uvicorn

from faxline_archive.database import open_database
from faxline_console.app import make_app
from faxline_console.guard import Guard
from faxline_console.lines import Lines
from faxline_console.pages.accounts import AccountPages
from faxline_console.pages.attention import AttentionPages
from faxline_console.pages.fax import FaxPages
from faxline_console.pages.faxes import FaxesPages
from faxline_console.pages.system import SystemPages
from faxline_console.rendering import Renderer, make_environment
from faxline_console.store import ConsoleStore, Lifetimes
from faxline_worker.config.console import Console
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


def console() -> None:
    """Run the console until SIGTERM or SIGINT."""
    live, secrets = load("console")
    settings = live.settings
    log = get_logger("faxline_console")
    guard = Guard(open_store(settings.console), settings.console)
    renderer, lines = Renderer(make_environment(), settings.console.zone), Lines(live)
    parts = [
        page(lines, renderer) for page in (FaxesPages, FaxPages, AttentionPages, AccountPages, SystemPages)
    ]
    pages = [page for part in parts for page in part.pages()]
    app = make_app(guard, renderer, lines, pages, log)
    listener = listen(settings.console.host, settings.console.port, 128)
    config = uvicorn.Config(
        app, ws="none", log_config=None, access_log=False, server_header=False, proxy_headers=False
    )
    log.info("console listens", host=settings.console.host, port=settings.console.port)
    secrets.start()  # looks at the accounts' directory as well
    try:
        uvicorn.Server(config).run([listener])
    finally:
        secrets.close()
