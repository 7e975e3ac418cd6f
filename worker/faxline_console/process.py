"""The console process: its application on uvicorn."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis
import uvicorn
from sqlalchemy.exc import DBAPIError

from faxline.contract.connections.cluster_url import cluster_url
from faxline.contract.environment import given_as
from faxline.steps.redis_errors import trouble
from faxline_archive.database import open_database, reason_of
from faxline_console.access.guard import Guard, Page
from faxline_console.access.sessions import Lifetimes
from faxline_console.access.store import ConsoleStore
from faxline_console.acting.left_alone import LeftAlone
from faxline_console.app import make_app
from faxline_console.archive.ended import Ended
from faxline_console.asking.kept_lines import KeptLines
from faxline_console.finding.finder import Finder
from faxline_console.live.counts import Counts
from faxline_console.live.lines import Lines
from faxline_console.live.watch import Live
from faxline_console.mailings.sent_lately import SentLately
from faxline_console.mailings.store import MailingStore
from faxline_console.mailings.uploads import Uploads
from faxline_console.metrics import ConsoleMetrics, Counted, count_sessions
from faxline_console.pages.accounts import AccountPages
from faxline_console.pages.attention import AttentionPages
from faxline_console.pages.audit import AuditPages
from faxline_console.pages.bulk import BulkPages
from faxline_console.pages.elsewhere import ElsewherePages
from faxline_console.pages.evidence import EvidencePages
from faxline_console.pages.fax import FaxPages
from faxline_console.pages.faxes import FaxesPages
from faxline_console.pages.live import LivePages
from faxline_console.pages.mailing_uploads import MailingUploadPages
from faxline_console.pages.mailings import MailingPages
from faxline_console.pages.send import SendPages
from faxline_console.pages.system import SystemPages
from faxline_console.pages.usage import UsagePages
from faxline_console.purging import purge_often
from faxline_console.rendering import Renderer, make_environment
from faxline_worker.config.console import Console
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.logs import get_logger
from faxline_worker.observability.metrics.families import new_registry, watch_folders, watch_loops
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.processes.common import give_up, load, monitor, probe_client
from faxline_worker.processes.draining import account_list, drain_by_redis, find_drained
from faxline_worker.processes.webhook import beat, listen


def open_store(settings: Console) -> ConsoleStore:
    """The users and sessions of the console. A database that is away ends the process with one line."""
    lifetimes = Lifetimes(
        longest=settings.session.total_seconds(),
        idle=settings.idle.total_seconds(),
        attempts=settings.sign_ins,
    )
    try:
        return ConsoleStore(open_database(settings.database, writes=True), lifetimes)
    except DBAPIError as error:
        variable = given_as(os.environ, "FAXLINE_CONSOLE__DATABASE")
        give_up(f"{variable}: the database is away or refuses: {reason_of(error)}")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application is made of.

    Attributes:
        renderer: of pages.
        lines: to the accounts.
        pages: all that need a session.
        counts: what every page shows of the accounts.
        live: tells open pages that something has changed.
        purges: erase what is too old in the console's own database.
    """

    renderer: Renderer
    lines: Lines
    pages: Sequence[Page]
    counts: Counts
    live: Live
    purges: Sequence[Callable[[], None]]


def make_pages(
    live: LiveAccounts, store: ConsoleStore, renderer: Renderer, read: Callable[[], None] = lambda: None
) -> Parts:
    """Make all pages.

    Args:
        live: the accounts.
        store: whose database has the list of mailings.
        renderer: of pages.
        read: called at each read of Redis for live pages.
    """
    settings, lines = live.settings, Lines(live)
    looks = Live(lines, followed=cluster_url(settings.redis_url) is None, read=read)
    counts, repeatable = Counts(lines), settings.retention.total_seconds() / 2
    mailings = MailingStore(store.engine, repeatable=repeatable, keyring=settings.keyring)
    archive = Ended.archive(settings)
    finder, kept = Finder(lines, archive), KeptLines(store.engine, settings.keyring)
    uploads = Uploads(store.engine, settings.keyring)
    lately = SentLately(store.engine, settings.keyring)
    parts = [
        AccountPages(lines, renderer, finder.removed),
        SendPages(lines, renderer, lately),
        SystemPages(lines, renderer, archive, counts),
        AuditPages(lines, renderer, archive, finder.removed),
        FaxesPages(lines, renderer, finder, kept, counts),
        BulkPages(lines, renderer, finder),
        *(page(lines, renderer, finder) for page in (FaxPages, ElsewherePages, EvidencePages)),
        UsagePages(lines, renderer, archive, finder.removed),
        AttentionPages(lines, renderer, counts, LeftAlone(store.engine)),
        LivePages(looks, store),
        MailingUploadPages(lines, renderer, mailings, uploads, lately),  # before the address of any mailing
        MailingPages(lines, renderer, mailings, archive, counts, finder.removed),
    ]
    pages = [page for part in parts for page in part.pages()]
    purges = [store.purge, kept.purge, uploads.drop_old, lately.purge, mailings.purge]
    return Parts(renderer, lines, pages, counts, looks, purges)


def console() -> None:
    """Run the console until SIGTERM or SIGINT."""
    live, secrets = load("console")
    settings = live.settings
    log, probe = get_logger("faxline_console"), probe_client(settings, "console")
    drain_by_redis(live, probe, log)
    find_drained(live, account_list(live, probe, log), log)
    registry, loops = new_registry(), Loops(settings.stall.total_seconds())
    loop = loops.add("event loop")
    watch_loops(registry, loops.ages, loops.stalled)
    watch_folders(registry, lambda: len(live.broken))
    store = open_store(settings.console)
    metrics = ConsoleMetrics(
        registry, partial(count_sessions, store.engine, settings.console), lambda: parts.live.viewers
    )
    parts = make_pages(live, store, Renderer(make_environment(), settings.console.zone), metrics.reads.inc)
    guard = Guard(store, settings.console, parts.counts.prepare)
    app = Counted(make_app(guard, parts.renderer, parts.lines, parts.pages, log), metrics)
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.console.forwarders),  # PROXIES are known by the connection's address
            forwarded_allow_ips=list(settings.console.forwarders),
            timeout_graceful_shutdown=5,  # a live page would hold it open
        )
    )

    def checks() -> Mapping[str, bool | str]:
        return {"redis": _answers(probe), "database": store.answers() or "away", "listens": server.started}

    monitoring = monitor(registry, settings, "console", loops, checks)
    listener = listen(settings.console.host, settings.console.port, 128, "CONSOLE")
    log.info("console listens", host=settings.console.host, port=settings.console.port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # uvicorn shuts down, then raises the signal again
    secrets.start(loops)  # looks at the accounts' directory as well
    heartbeat = Heartbeat(probe, "console", live, loops, log, checks)
    heartbeat.start()
    with (
        monitoring,
        closing(secrets),
        closing(probe),
        closing(heartbeat),
        asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner,
    ):
        runner.run(_serve(server, listener, loop, purge_often(parts.purges, log)))
    log.info("console stopped")


async def _serve(
    server: uvicorn.Server, listener: socket.socket, loop: Loop, purging: Coroutine[Any, Any, None]
) -> None:
    """Serve until a signal ends uvicorn."""
    beside = [asyncio.create_task(beat(loop)), asyncio.create_task(purging)]
    try:
        await server.serve([listener])
    finally:
        for task in beside:
            task.cancel()


def _answers(probe: redis.Redis) -> bool | str:
    """Whether Redis answers."""
    try:
        probe.time()
    except redis.RedisError as error:
        return trouble(error)
    return True
