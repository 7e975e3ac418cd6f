"""An ended fax, out of the archive: what happened to it, and its evidence."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import tzinfo
from pathlib import Path
from typing import Any, TypeAlias

from sqlalchemy import Engine, RowMapping, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnection

from faxline.contract.errors import ArchiveUnavailable, JobNotFound
from faxline.contract.sealing.keyring import Keyring
from faxline.operating.audit import AuditEntry
from faxline.reading.archived import ArchivedFax
from faxline.reading.job import Job
from faxline.reading.job_parts import Transition
from faxline_archive.database import open_database, reason_of
from faxline_archive.fax_leaves import events_of
from faxline_archive.inquiries import KEY, URL, Inquiries
from faxline_archive.privacy import Privacy
from faxline_archive.schema import AUDIT, accounts, entries, faxes
from faxline_archive.search import fax_of, find_one, moment_of, opened
from faxline_console.archive.jobs import job_of
from faxline_worker.config.settings import Settings


class Ended:
    """The archive, as the console reads it. All methods wait for the database: call them in a thread.

    Example:
        >>> ended.fax("north", "invoice-77").state
        <JobState.DELIVERED: 'delivered'>

    Args:
        engine: of `open_database`.
        keyring: opens what is sealed.
        desk: makes reports and proofs.
    """

    def __init__(self, engine: Engine, keyring: Keyring | None, desk: Inquiries | None = None) -> None:
        self._engine = engine
        self._keyring = keyring
        self.desk = desk

    @classmethod
    def archive(cls, settings: Settings) -> "Archive":
        """What finds the archive: an archive may make its file long after the console has started."""
        found: list[Ended] = []

        def find() -> Ended | None:
            if not found and (opened := cls.open(settings)) is not None:
                found.append(opened)
            return found[0] if found else None

        return find

    @classmethod
    def open(cls, settings: Settings) -> "Ended | None":
        """The archive of the settings; None if there is no such file."""
        url = settings.archive.url
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
            return None
        keys = {URL: url, KEY: settings.archive.signing_key.get_secret_value()}
        return cls(open_database(url), settings.keyring, Inquiries(keys, settings.keyring))

    def fax(self, account: str, job: str) -> ArchivedFax:
        """A fax.

        Raises:
            JobNotFound: the archive has none of this id.
            ArchiveUnavailable: the database is away or refuses.
        """
        with told(), self._engine.connect() as connection:
            row = find_one(connection, account, job)
        if row is None:
            raise JobNotFound(f"the archive of account {account} has no fax {job}")
        return fax_of(row, Privacy(self._keyring, account))

    def faxes(self, account: str, jobs: Sequence[str]) -> list[Job]:
        """The faxes of these ids that the archive has; of an id that was used again, the last one.

        Raises:
            ArchiveUnavailable: the database is away or refuses.
        """
        query = select(faxes).where(faxes.c.account == account, faxes.c.job.in_(jobs)).order_by(faxes.c.reuse)
        with told(), self._engine.connect() as connection:
            rows = {row["job"]: row for row in connection.execute(query).mappings()}
        privacy = self.privacy(account)
        return [job_of(fax_of(row, privacy)) for row in rows.values()]

    def receipts(self, account: str, job: str) -> dict[str, str]:
        """The receipts of a fax as iFax signed them, by their SHA-256; empty if they cannot be opened.

        Raises:
            ArchiveUnavailable: the database is away or refuses.
        """
        with told(), self._engine.connect() as connection:
            row = find_one(connection, account, job)
        kept = {} if row is None else opened(row, Privacy(self._keyring, account)).get("receipts")
        return kept if isinstance(kept, dict) else {}

    def steps(self, fax: ArchivedFax) -> list[Transition]:
        """What happened to a fax; nothing of another one that has its id.

        Raises:
            ArchiveAltered: somebody changed the database.
            ArchiveUnavailable: the database is away or refuses.
        """
        with told(), self._engine.connect() as connection:
            row = find_one(connection, fax.account, fax.id)
            if row is None or moment_of(row["queued_at"]) != fax.queued_at:
                return []
            rows = events_of(connection, row, self.privacy(fax.account))
        return [_transition(row, json.loads(row["body"])["fields"]) for row in rows]

    def accounts(self) -> list[str]:
        """The names of all accounts of which it has something.

        Raises:
            ArchiveUnavailable: the database is away or refuses.
        """
        with told(), self._engine.connect() as connection:
            return list(connection.scalars(select(accounts.c.account)))

    def audited_until(self, account: str) -> int:
        """When the last entry of the audit was written that the archive has, in ms since 1970; 0 if none.

        Raises:
            ArchiveUnavailable: the database is away or refuses.
        """
        those = (entries.c.account == account) & (entries.c.stream == AUDIT)
        last = select(entries.c.at).where(those).order_by(entries.c.leaf.desc()).limit(1)
        with told(), self._engine.connect() as connection:
            return connection.scalar(last) or 0

    def report(self, account: str, job: str, zone: tzinfo) -> bytes:
        """The transmission report: a PDF."""
        return self._at_desk.report(account, job, zone=zone, paper="Letter" if _american(zone) else "A4")

    def proof(self, account: str, job: str, zone: tzinfo) -> bytes:
        """The proof: a ZIP. A checkpoint is signed for it."""
        return self._at_desk.proof(account, job, zone=zone)

    @property
    def engine(self) -> Engine:
        """The database."""
        return self._engine

    def privacy(self, account: str) -> Privacy:
        """What opens and finds the texts of an account."""
        return Privacy(self._keyring, account)

    @property
    def _at_desk(self) -> Inquiries:
        if self.desk is None:
            raise ArchiveUnavailable("this console makes no reports")
        return self.desk


Archive: TypeAlias = Callable[[], Ended | None]
"""Finds the archive; None as long as there is none."""


@contextmanager
def told() -> Iterator[None]:
    """Say in one line that the database is away, without its parameters.

    Raises:
        ArchiveUnavailable: in place of the database's errors.
    """
    try:
        yield
    except (DBAPIError, NoConnection) as error:
        raise ArchiveUnavailable(f"the archive's database is away or refuses ({reason_of(error)})") from None


def _transition(row: RowMapping, fields: Mapping[str, str]) -> Transition:
    data: Any = json.loads(fields.get("data") or "{}")
    told_data = data if isinstance(data, dict) else {}
    at = moment_of(row["at"])
    assert at is not None  # noqa: S101 - the column is never null
    return Transition(
        str(fields.get("event", "")),
        at,
        str(told_data.get("state", "")),
        int(told_data.get("attempt") or 0),
        told_data,
    )


def order_of(row: RowMapping, fields: Mapping[str, str]) -> AuditEntry:
    """An entry of the audit."""
    entry = row["entry_id"].partition("/")[0].encode()
    return AuditEntry.from_entry(entry, {key.encode(): value.encode() for key, value in fields.items()})


def _american(zone: tzinfo) -> bool:
    return str(zone).startswith("America/")
