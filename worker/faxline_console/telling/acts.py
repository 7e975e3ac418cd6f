"""The calls and orders about one fax, however busy its account is."""

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from faxline.contract.errors import ArchiveUnavailable
from faxline.operating.audit import AuditEntry
from faxline.reading.job import Job
from faxline_console.archive.audit import audit_of
from faxline_console.archive.ended import Ended
from faxline_console.live.line import ConsoleLine

BEGINNING = 200
"""The most entries of a fax's first time that are read, so that its first call is known in any case."""
MOST = 20_000
"""The most entries of the audit, from the newest back, that are read."""

SEND = "send"
"""What the console has the audit note before it pushes a fax."""
FIRST = datetime.fromtimestamp(0, UTC)
BEFORE = timedelta(minutes=1)
"""How long before intake registered a fax it was noted who sends it."""


class Acts(NamedTuple):
    """The calls and orders about a fax, and between which times they were not looked for; None: all were."""

    entries: Sequence[AuditEntry]
    unread: tuple[datetime, datetime] | None = None


async def acts_about(line: ConsoleLine, ended: Ended | None, job: Job) -> Acts:
    """The calls and orders about a fax since it was pushed.

    The archive has them by the fax's id, all but the latest. Redis has only an account's whole audit: the
    first entries after the push are read there, and from the newest back what the archive has not.
    """
    pushed = max(FIRST, job.created_at - BEFORE) if job.created_at else FIRST
    since = round(pushed.timestamp() * 1000)
    kept, until = await _archived(ended, job)
    now = round(datetime.now(UTC).timestamp() * 1000) + 60_000  # the clock of Redis may be ahead
    first, read = await asyncio.gather(
        line.audit(after=pushed, before=None, limit=BEGINNING),
        line.orders_before(now, max(since, until), MOST, job.id),
    )
    named = [entry for entry in (*first, *read.entries) if job.id in {entry.job, entry.about}]
    own = list({entry.id: entry for entry in acts_of(job, [*named, *kept])}.values())
    reached = datetime.fromtimestamp(read.reached / 1000, UTC)
    begun = max(pushed, datetime.fromtimestamp(until / 1000, UTC), first[-1].at if first else pushed)
    return Acts(own, (begun, reached) if read.cut and begun < reached else None)


def acts_of(job: Job, found: Iterable[AuditEntry]) -> list[AuditEntry]:
    """Those of the calls and orders about an id that are about this fax, and not about one that had the id.

    Before a fax is queued the audit has nothing about it but who is about to send it.
    """
    queued = job.created_at or FIRST
    return [one for one in found if one.at >= queued or (one.what == SEND and one.at >= queued - BEFORE)]


async def _archived(ended: Ended | None, job: Job) -> tuple[Sequence[AuditEntry], int]:
    """What the archive has about it, and until when it has the audit, in ms; nothing without an archive."""
    if ended is None:
        return [], 0
    try:
        until = await run_in_threadpool(ended.audited_until, job.account)
        return await run_in_threadpool(audit_of, ended, job.account, job.id), until
    except ArchiveUnavailable:
        return [], 0
