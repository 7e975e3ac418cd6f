"""Writes what was read: a batch is one transaction, however many accounts it is about.

An entry is stored once, however often it is read. The account's row is locked first, so that two writers that
both believe they work give dense leaf numbers one after the other; the second finds that all is stored.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from sqlalchemy import Connection, Engine, and_, bindparam, select, update

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.events import position
from faxline_archive.database import version_of
from faxline_archive.entries import NO_RECORD, Entry, leaf_row, says_the_same
from faxline_archive.faxes import Row, advance, begin, begins_anew, index_again, metadata_rows
from faxline_archive.gaps import Gaps
from faxline_archive.member_rows import FaxKey, stored_members, tell_members
from faxline_archive.privacy import Privacy
from faxline_archive.progress import DatabaseBehindError, Read, Written, mark_id, mark_number
from faxline_archive.records import Record
from faxline_archive.rows import slices, store
from faxline_archive.schema import VERSION, accounts, entries, fax_metadata, faxes, positions
from faxline_archive.sums import SumChanges, counts_differ
from faxline_archive.terms import lasting_terms, with_terms, without_column_terms


def write(
    engine: Engine,
    batch: Sequence[Read],
    records: Mapping[tuple[str, str], Record],
    privacies: Mapping[str, Privacy],
) -> Written:
    """Write a batch in one transaction.

    Args:
        engine: of `open_database` with `writes`.
        batch: what was read of each stream.
        records: the records of the jobs, by account and job.
        privacies: what seals, by account.

    Raises:
        sqlalchemy.exc.DBAPIError: the database is away or refuses. Nothing was written.
        DatabaseBehindError: what comes before the batch is not in the database, or its schema is another one.
            Nothing was written.
    """
    with engine.begin() as connection:
        return _Transaction(connection, records, privacies).write(batch)


class _Transaction:
    """One batch in its transaction."""

    def __init__(
        self,
        connection: Connection,
        records: Mapping[tuple[str, str], Record],
        privacies: Mapping[str, Privacy],
    ) -> None:
        self._connection = connection
        self._records = records
        self._privacies = privacies
        self._written = Written()
        self._rows: list[Row] = []
        self._faxes: dict[tuple[str, str], Row] = {}
        self._before: dict[FaxKey, Row] = {}
        self._changed: dict[FaxKey, Row] = {}
        self._begun: list[tuple[Row, Record]] = []
        self._gaps = Gaps(connection)
        self._ordered: dict[str, int] = {}

    def write(self, batch: Sequence[Read]) -> Written:
        """Write all of it."""
        if version_of(self._connection) != VERSION:
            raise DatabaseBehindError("the schema is of another version")
        names = sorted({read.account for read in batch})
        sizes = _lock(self._connection, names, self._privacies)
        marks = _marks(self._connection, names)
        places = [(read, *marks.get((read.account, read.stream), ("", 0))) for read in batch]
        for read, mark, _ in places:
            if mark_id(read.before) > mark_id(mark):
                raise DatabaseBehindError(f"{read.account}: {read.stream}")
        fresh = [(read, self._new(read, mark)) for read, mark, _ in places]
        self._load_faxes(entry for _, found in fresh for entry in found if entry.is_event and entry.job)
        lost = []
        for (read, found), (_, mark, _) in zip(fresh, places, strict=True):
            lost.append(self._lost(read, mark))
            if lost[-1]:
                self._gaps.note(read, sizes[read.account])
            for entry in found:
                self._take(entry, sizes[read.account])
                sizes[read.account] += 1
        self._store(sizes, names)
        store(
            self._connection,
            positions,
            [
                {
                    "account": read.account,
                    "stream": read.stream,
                    # What is read again may end before what is stored.
                    "mark": max(mark, read.after, key=mark_id),
                    "missing": missing + gap,
                }
                for (read, mark, missing), gap in zip(places, lost, strict=True)
            ],
            present="replace",
        )
        return self._written

    def _lost(self, read: Read, mark: str) -> int:
        """How many entries the archive lacks that Redis dropped before this page.

        Of a page that is read again, those up to the mark in the database are stored, or were counted.
        """
        behind = max(0, mark_number(mark) - mark_number(read.before)) if mark and mark != read.before else 0
        lost = max(0, read.lost - behind)
        if lost:
            self._written.lost[read.account] = self._written.lost.get(read.account, 0) + lost
        return lost

    def _new(self, read: Read, mark: str) -> list[Entry]:
        """The entries that are not stored, each with how often Redis gave its id.

        They go on from the last commit as a rule. Otherwise a writer died between its commit and the mark in
        Redis, another one was faster, or Redis went back: then each one is looked up.
        """
        if mark == read.before or not mark:
            return list(read.entries)
        found, left = [], list(read.entries)
        while left:
            stored = self._stored(read, [entry.name for entry in left])
            found += [entry for entry in left if entry.name not in stored]
            taken = [entry for entry in left if entry.name in stored]
            others = [entry for entry in taken if not says_the_same(entry, stored[entry.name])]
            self._written.known += len(taken) - len(others)
            left = [replace(entry, nth=entry.nth + 1) for entry in others]
        self._written.twice += sum(entry.nth > 1 for entry in found)
        return sorted(found, key=lambda entry: position(entry.id))

    def _stored(self, read: Read, names: Sequence[str]) -> dict[str, str | None]:
        """The bodies of the leaves that have these names in the stream that was read."""
        stored: dict[str, str | None] = {}
        for some in slices(names):
            asked = select(entries.c.entry_id, entries.c.body).where(
                entries.c.account == read.account,
                entries.c.stream == read.stream,
                entries.c.entry_id.in_(some),
            )
            stored |= {row.entry_id: row.body for row in self._connection.execute(asked)}
        return stored

    def _load_faxes(self, events: Iterable[Entry]) -> None:
        jobs: defaultdict[str, dict[str, None]] = defaultdict(dict)
        for entry in events:
            jobs[entry.account][entry.job] = None
        for account, wanted in jobs.items():
            for some in slices(list(wanted)):
                asked = select(faxes).where(faxes.c.account == account, faxes.c.job.in_(some))
                for row in self._connection.execute(asked.order_by(faxes.c.reuse)).mappings():
                    self._faxes[account, row["job"]] = without_column_terms(dict(row))

    def _take(self, entry: Entry, number: int) -> None:
        """Make the entry's leaf, and apply it to its fax."""
        privacy = self._privacies[entry.account]
        told, receipt = None, None
        if entry.is_event and entry.job:
            told, receipt = self._apply(entry, privacy)
        if entry.forgets:
            self._ordered.setdefault(entry.account, number)
        self._rows.append(leaf_row(entry, number, told, receipt, privacy))
        self._written.entries[entry.account] = self._written.entries.get(entry.account, 0) + 1

    def _apply(self, entry: Entry, privacy: Privacy) -> tuple[Record | None, str | None]:
        """Apply an event to its fax. Returns what it tells of the fax for the first time, and its receipt."""
        place = entry.account, entry.job
        row, told = self._faxes.get(place), None
        record = self._records.get(place)
        if record is not None and (record.created_at or 0) > entry.at:
            record = None  # that of a later fax with the same id
        if begins_anew(entry, row, record, lambda: self._gap_since(row)):
            alone = Record(metadata=entry.metadata, created_at=entry.at)  # what the event itself tells
            if entry.kind in NO_RECORD:
                told = replace(alone, group=entry.data.get("group"))
            else:
                told = record or alone
                if record is None:
                    missing = self._written.records_missing
                    missing[entry.account] = missing.get(entry.account, 0) + 1
            row = self._faxes[place] = begin(entry, row, told, privacy)
            self._begun.append((row, told))
            self._written.faxes += 1
        receipt = record.receipts.get(entry.receipt) if record is not None and entry.receipt else None
        if row is not None:
            self._before.setdefault((*place, row["reuse"]), dict(row))
            key_id = row["key_id"]
            try:
                advance(row, entry, receipt, privacy)
                if row["key_id"] != key_id:
                    self._begun.append((row, Record(metadata=index_again(row, privacy))))
            except (KeyMissing, SealBroken):
                unopened = self._written.unopened
                unopened[entry.account] = unopened.get(entry.account, 0) + 1
            self._changed[*place, row["reuse"]] = row
        return told, receipt

    def _gap_since(self, row: Row | None) -> bool:
        """Whether events are missing after the last one of a fax. Those of a batch come after its gap."""
        if row is None or (row["account"], row["job"], row["reuse"]) in self._changed:
            return False
        return self._gaps.since(row)

    def _store(self, sizes: Mapping[str, int], names: Sequence[str]) -> None:
        if not self._rows:
            return
        store(self._connection, entries, self._rows)
        begun: dict[FaxKey, list[Row]] = {}
        for row, told in self._begun:
            members = metadata_rows(row, told.metadata, self._privacies[row["account"]])
            row["terms"] = lasting_terms(row, members)
            begun[row["account"], row["job"], row["reuse"]] = members
        sums = _sum_changes(self._connection, self._before, self._changed, begun)
        has_terms = self._connection.dialect.name == "postgresql"
        changed_rows = [with_terms(row, has_terms=has_terms) for row in self._changed.values()]
        store(self._connection, faxes, changed_rows, present="replace")
        store(self._connection, fax_metadata, list(chain(*begun.values())), present="replace")
        tell_members(self._connection, self._changed.keys() - begun.keys())  # new ones have it already
        sums.store(self._connection)
        changed = [name for name in names if name in self._written.entries]
        grown = (
            update(accounts).where(accounts.c.account == bindparam("name")).values(size=bindparam("grown"))
        )
        self._connection.execute(grown, [{"name": name, "grown": sizes[name]} for name in changed])
        for name, leaf in self._ordered.items():
            none = and_(accounts.c.account == name, accounts.c.ordered < 0)
            self._connection.execute(update(accounts).where(none).values(ordered=leaf))
            self._written.ordered[name] = sizes[name]


def _sum_changes(
    connection: Connection,
    before: Mapping[FaxKey, Row],
    after: Mapping[FaxKey, Row],
    begun: Mapping[FaxKey, list[Row]],
) -> SumChanges:
    """What changes in the sums.

    Args:
        connection: with the members as they were.
        before: the rows of the faxes that change, as they were.
        after: the same as they will be.
        begun: the members of those that are new, or that another key seals from now on.
    """
    changed = [key for key, row in after.items() if key in begun or counts_differ(before[key], row)]
    known = [key for key in changed if before[key]["state"] is not None]
    stored, sums = stored_members(connection, known), SumChanges()
    for key in changed:
        sums.remove(before[key], stored.get(key, ()))
        sums.add(after[key], begun.get(key, stored.get(key, ())))
    return sums


def _lock(connection: Connection, names: Sequence[str], privacies: Mapping[str, Privacy]) -> dict[str, int]:
    """Lock the accounts' rows, in one order for all writers, and return their sizes.

    An account of which another key was said to seal all is no longer said to be so.
    """
    none = {"size": 0, "expired": 0, "ordered": -1}
    new = [{"account": name, **none, "sealed_by": privacies[name].key_id} for name in names]
    store(connection, accounts, new, present="keep")
    found: dict[str, int] = {}
    for some in slices(names):
        asked = select(accounts).where(accounts.c.account.in_(some)).order_by(accounts.c.account)
        for row in connection.execute(asked.with_for_update()).all():
            found[row.account] = row.size
            if row.sealed_by not in {None, privacies[row.account].key_id}:
                mine = accounts.c.account == row.account
                connection.execute(update(accounts).where(mine).values(sealed_by=None))
    return found


def _marks(connection: Connection, names: Sequence[str]) -> dict[tuple[str, str], tuple[str, int]]:
    found: dict[tuple[str, str], tuple[str, int]] = {}
    for some in slices(names):
        rows = connection.execute(select(positions).where(positions.c.account.in_(some)))
        found |= {(row.account, row.stream): (row.mark, row.missing) for row in rows}
    return found
