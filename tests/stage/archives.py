"""Archives with faxes as the writer makes them, for tests of what reads them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine

from faxline.contract.sealing.keyring import Keyring
from faxline_archive.entries import Entry
from faxline_archive.leaves import canonical_json, text_hash
from faxline_archive.privacy import Privacy
from faxline_archive.progress import Read
from faxline_archive.records import Record
from faxline_archive.writer import write

BEGIN = 1_793_100_000_000
"""Milliseconds since 1970: 2026-10-27T11:20:00Z."""
RECEIPT = '{"data":{"code":0,"faxStatus":"delivered","jobId":12345}}'


@dataclass(frozen=True, slots=True)
class StagedFax:
    """A fax, queued `at` seconds after BEGIN. `told` are further members of its last event."""

    job: str
    account: str = "default"
    at: int = 0
    to: str = "+12025550123"
    sender: str = "+12025550199"
    group: str | None = None
    state: str = "delivered"
    reason: str = "delivered"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    told: Mapping[str, Any] = field(default_factory=dict)

    def record(self) -> Record:
        """What its record tells."""
        return Record(
            to=self.to,
            sender=self.sender,
            kind="send",
            group=self.group,
            priority="normal",
            metadata=self.metadata,
            documents=(text_hash(self.job),),
            created_at=BEGIN + self.at * 1000,
            receipts={text_hash(RECEIPT): RECEIPT},
        )

    def events(self) -> list[tuple[str, int, dict[str, Any]]]:
        """The name, the time after it was queued, and the data of each event."""
        ended = {"reason": self.reason, "stage": "delivery", "pages": 3, "transferred": 3, "jobId": 12345}
        begun = BEGIN + self.at * 1000
        ended |= {"call_started_at": begun + 6000, "call_ended_at": begun + 8000}
        ended |= {"receipt": text_hash(RECEIPT), "state": self.state, "attempt": 1, **self.told}
        if self.state == "rejected":
            return [("fax.rejected", 0, {"reason": self.reason})]
        return [
            ("fax.queued", 0, {"state": "queued", "attempt": 0}),
            ("fax.submitted", 5000, {"state": "submitted", "attempt": 1, "jobId": 12345}),
            (f"fax.{self.state}", 9000, ended),
        ]


class StagedArchive:
    """Adds faxes to an archive's tables.

    Args:
        engine: of an archive with its schema, which may write.
        keyring: seals what names a person; None without keys.
    """

    def __init__(self, engine: Engine, keyring: Keyring | None = None) -> None:
        self.engine = engine
        self.keyring = keyring
        self._told: dict[str, int] = {}

    def privacy(self, account: str = "default") -> Privacy:
        return Privacy(self.keyring, account)

    def add(self, job: str, **more: Any) -> None:
        """Add one fax."""
        self.add_all([StagedFax(job, **more)])

    def add_all(self, faxes: Iterable[StagedFax]) -> None:
        """Add faxes, each with its entries, in one transaction."""
        found = list(faxes)
        names = sorted({fax.account for fax in found})
        batch = [self._read(name, [fax for fax in found if fax.account == name]) for name in names]
        records = {(fax.account, fax.job): fax.record() for fax in found}
        write(self.engine, batch, records, {name: self.privacy(name) for name in names})

    def _read(self, account: str, faxes: Iterable[StagedFax]) -> Read:
        first = self._told.get(account, 0)
        entries: list[Entry] = []
        for fax in faxes:
            for event, after, data in fax.events():
                at = BEGIN + fax.at * 1000 + after
                name = f"{at}-{first + len(entries)}"
                fields = {"event": event, "job": fax.job, "at": str(at), "data": canonical_json(data)}
                entries.append(Entry(account, "events", name, at, event, fax.job, fields, data, fax.metadata))
        last = self._told[account] = first + len(entries)
        before, after_all = (f"{number}-0 {number}" if number else "" for number in (first, last))
        return Read(account, "events", before, after_all, entries)
