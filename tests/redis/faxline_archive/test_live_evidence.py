"""Whatever happens to a fax while an archive runs, its report and its proof find nothing altered."""

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC
from typing import Any

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from faxline.contract.errors import JobNotFound
from faxline.contract.sealing.keyring import Keyring
from faxline_archive.evidence import proof_of, report_of
from faxline_archive.fax_leaves import check_fax, leaves_of
from faxline_archive.forgetting import expire
from faxline_archive.privacy import Privacy
from faxline_archive.schema import faxes
from faxline_archive.search import find_one, opened
from faxline_archive.signing_key import SigningKey
from tests.archives import Faxes, archiving, fax, rows

Wait = Callable[..., Any]
KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
RING = Keyring({"first": bytes(range(32))})
ENDS = ("fax.delivered", "fax.failed", "fax.canceled", "fax.unconfirmed")


def proved(engine: Engine, keyring: Keyring | None) -> list[str]:
    """The faxes that can be proved; ArchiveAltered is raised for one that seems to be altered."""
    privacy, found = Privacy(keyring, "default"), []
    for job in sorted({row["job"] for row in rows(engine, faxes)}):
        with suppress(JobNotFound):
            report_of(engine, "default", job, privacy, zone=UTC, paper="A4", key=KEY)
            proof_of(engine, "default", job, privacy, KEY, zone=UTC, now_ms=1)
            found.append(job)
    return found


def unaltered(engine: Engine, keyring: Keyring | None) -> None:
    """Check all faxes, as a report and a proof do first."""
    privacy = Privacy(keyring, "default")
    with engine.connect() as connection:
        for job in {row["job"] for row in rows(engine, faxes)}:
            row = find_one(connection, "default", job)
            assert row is not None
            check_fax(row, leaves_of(connection, row, privacy), opened(row, privacy), privacy)


def courses(line: Faxes) -> None:
    """Faxes of every kind."""
    line.queue("plain", metadata={"case": "7"}, group="june", priority="high")
    line.deliver("plain", call_started_at=1000, call_ended_at=61_000, charged=True)
    line.queue("again", kind="resend", of="plain")
    line.event("fax.submitted", "again", jobId=1, started_at=1, ended_at=2)
    line.audit("fax-send", job="again", outcome="accepted")
    line.event("fax.retrying", "again", reason="busy", stage="delivery", delivery=1, attempt=1, message="b")
    line.deliver("again", '{"jobId":7,"fromNumber":"12025550198"}', attempt=2, partial=True, transferred=1)
    line.event("fax.rejected", "twice", state=None, reason="bad_number", metadata={"case": "8"})
    line.queue("twice")
    line.event("fax.rejected", "twice", reason="duplicate_id")
    line.event("fax.cancel_refused", "twice", reason="too_late", state="queued")
    line.audit("cancel", job="twice", outcome="refused")
    for end in ENDS:
        line.queue("reused", metadata={"end": end}, documents="ab" * 32)
        line.event("fax.submitted", "reused", jobId=9)
        line.event(end, "reused", reason="other", code=5, jobId=9)
        line.event("fax.duplicate", "reused", jobId=10)
    line.event("fax.delivered", "reused", jobId=9, pages=2, transferred=2)  # after it was unconfirmed
    line.queue("unrecorded")
    line.client.delete(line.keys.job("unrecorded"))
    line.event("fax.failed", "unrecorded", reason="x" * 300, code=2**40, pages="many")
    line.event("fax.in_doubt", "begun before", reason="timeout")
    line.event("fax.received", "", jobId=99)
    line.queue("open", send_at="1893456000000")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("batch", "keyring"),
    [(1000, RING), (1, None), (3, None), (1000, None)],
)
def test_no_course_retention_or_order_to_forget_makes_a_fax_seem_altered(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, batch: int, keyring: Keyring | None
) -> None:
    line = Faxes(redis_client, keyring=keyring)
    courses(line)
    count = int(redis_client.xlen(line.keys.events)) + int(redis_client.xlen(line.keys.audit))
    with archiving(archive_url, redis_client, keyring=keyring, batch=batch) as archive:
        wait_until(lambda: len(rows(archive.engine)) == count)
        found = {row["job"] for row in rows(archive.engine, faxes)}
        assert found == {"plain", "again", "twice", "reused", "unrecorded", "begun before", "open"}
        assert proved(archive.engine, keyring) == sorted(found)
        line.audit("forget", job="again", outcome="done")
        wait_until(lambda: not fax(archive.engine, "again"))
        unaltered(archive.engine, keyring)
    times = sorted({row["at"] for row in rows(archive.engine)})
    for at in times:
        while expire(archive.engine, "default", at + 1):
            pass
        unaltered(archive.engine, keyring)
    assert rows(archive.engine, faxes) == []
    archive.engine.dispose()  # of the connections that were made after the archive had ended
