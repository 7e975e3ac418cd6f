"""Reads the streams of all accounts from Redis, and tells Redis what is committed."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import redis

from faxline.contract.errors import KeyMissing
from faxline.contract.events import position
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.sealing.seals import Seals
from faxline_archive.entries import Entry, read_entries
from faxline_archive.forgetting import ForgottenNumber
from faxline_archive.privacy import Privacy
from faxline_archive.progress import Read, mark_id
from faxline_archive.records import Account, Record, read_records
from faxline_archive.schema import EVENTS
from faxline_worker.state.archive_marks import ArchiveMarks, Page, read_pages

TOGETHER = 100
"""The most accounts of one batch."""
NUMBERS = 1000
"""The most numbers of an account that one batch forgets."""
LEAST = 20
"""The fewest entries of a stream that one read may return."""


@dataclass(slots=True)
class Served:
    """What the archive needs of one account."""

    marks: ArchiveMarks
    account: Account
    privacy: Privacy
    compared: bool = False
    """Whether Redis' marks were compared with the database's."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What was read for one transaction.

    Attributes:
        reads: what each stream had.
        pages: the same, as Redis gave it.
        records: the records of the jobs, by account and job.
        broken: the accounts that are left out because a key is missing, each with why.
        unread: how many entries of each account are left to read, these included.
        oldest: the time (ms) of the first of them, by account.
        whole: the accounts of which all events from before the reading are stored with it.
        numbers: the numbers that operators ordered to forget, by account, as Redis had them before.
    """

    reads: list[Read]
    pages: list[tuple[Served, Page]]
    records: Mapping[tuple[str, str], Record]
    broken: Mapping[str, str]
    unread: Mapping[str, int]
    oldest: Mapping[str, int]
    whole: frozenset[str]
    numbers: Mapping[str, Sequence[bytes]]

    @property
    def forgotten(self) -> dict[str, list[ForgottenNumber]]:
        """The same numbers, read."""
        return {
            name: [ForgottenNumber(**json.loads(text)) for text in texts]
            for name, texts in self.numbers.items()
        }

    @property
    def size(self) -> int:
        """How many entries it has."""
        return sum(len(read.entries) for read in self.reads)


class Reader:
    """Reads all accounts. Use it from one thread.

    Args:
        client: of the state's database (bytes replies).
        keyring: the sealing keys; None without any.
        batch: the most entries of a stream in one read.
    """

    def __init__(self, client: redis.Redis, keyring: Keyring | None, batch: int) -> None:
        self._client = client
        self._keyring = keyring
        self._batch = batch
        self._served: dict[str, Served] = {}

    def follow(self, names: Iterable[str]) -> None:
        """Serve these accounts from now on, and no others."""
        wanted = dict.fromkeys(names)
        self._served = {name: self._served.get(name) or self._serve(name) for name in wanted}

    def switched_on(self, names: Sequence[str]) -> list[str]:
        """Those of the accounts for which Redis keeps entries for an archive.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        with self._client.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hget(RedisKeys(name).account_state, "archive")
            return [name for name, since in zip(names, pipe.execute(), strict=True) if since]

    @property
    def has_new(self) -> bool:
        """Whether there is an account whose marks were not compared yet."""
        return not all(served.compared for served in self._served.values())

    def compare_again(self) -> None:
        """Compare all marks with the database's at the next read: another process may have worked."""
        for served in self._served.values():
            served.compared = False

    def privacies(self, names: Iterable[str]) -> dict[str, Privacy]:
        """What seals, by account."""
        return {name: self._served[name].privacy for name in names}

    def read(
        self, names: Sequence[str], marks: Mapping[tuple[str, str], str], ordered: Iterable[str] = ()
    ) -> Batch:
        """Read the next entries of at most TOGETHER accounts.

        Args:
            names: the accounts.
            marks: the marks in the database, by account and stream, of accounts that were never compared.
            ordered: the accounts in which orders to forget wait.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        served = [self._served[name] for name in names if name in self._served]
        numbers = {name: self._numbers(name) for name in ordered if name in names}  # before the events
        pages = self._pages(served)
        if any([self._put_back(one, page, marks) for one, page in pages if not one.compared]):  # noqa: C419 - all
            pages = self._pages(served)
        for one in served:
            one.compared = True
        moving = [(one, page) for one, page in pages if page.moves]
        found = [(one, page, read_entries(one.marks.account, page)) for one, page in moving]
        records, broken = self._records([(one, entry) for one, _, entries in found for entry in entries])
        unread, oldest = _unread(pages)
        whole = [(one, page, entries) for one, page, entries in found if one.marks.account not in broken]
        return Batch(
            [
                Read(one.marks.account, page.stream, page.before, page.after, entries, page.lost)
                for one, page, entries in whole
            ],
            [(one, page) for one, page, _ in whole],
            records,
            broken,
            unread,
            oldest,
            frozenset(
                one.marks.account
                for one, page in pages
                if page.stream == EVENTS and page.unread == len(page.entries)
            ).difference(broken),
            numbers,
        )

    def _numbers(self, account: str) -> list[bytes]:
        found: list[bytes] = self._client.lrange(RedisKeys(account).archive_forget, 0, NUMBERS - 1)  # type: ignore[assignment]
        return found

    def forget(self, account: str, numbers: Iterable[bytes]) -> None:
        """Take numbers out of Redis that are forgotten.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        for number in numbers:
            self._client.lrem(RedisKeys(account).archive_forget, 1, number)  # type: ignore[arg-type]

    def look(self, names: Sequence[str]) -> tuple[dict[str, int], dict[str, int]]:
        """How many entries of each of these accounts are unread, and the time (ms) of the first.

        Raises:
            redis.RedisError: Redis is away or refuses.
        """
        served = [self._served[name] for name in names if name in self._served]
        return _unread(self._pages(served, 1))

    def committed(self, batch: Batch) -> None:
        """Move Redis' marks behind a batch that is committed.

        Raises:
            redis.RedisError: Redis is away or refuses. The batch is then read again, and known.
        """
        for one, page in batch.pages:
            one.marks.archived(page)

    def _serve(self, name: str) -> Served:
        marks = ArchiveMarks(self._client, name)
        account = Account(marks.keys, Seals(self._keyring, name))
        return Served(marks, account, Privacy(self._keyring, name))

    def _pages(self, served: Sequence[Served], most: int = 0) -> list[tuple[Served, Page]]:
        """The next page of each stream, after the archive was switched on where it was off."""
        if not served:
            return []
        most = most or max(LEAST, self._batch // len(served))
        pages = read_pages([one.marks for one in served], most)
        if off := [one for one, page in zip(served, pages[::2], strict=True) if page is None]:
            for one in off:
                one.marks.switch_on()
            pages = read_pages([one.marks for one in served], most)
        both = zip([one for one in served for _ in range(2)], pages, strict=True)
        return [(one, page) for one, page in both if page is not None]

    def _put_back(self, one: Served, page: Page, marks: Mapping[tuple[str, str], str]) -> bool:
        """Put Redis' mark back if the database is older: it was restored from a backup, or is a new one."""
        mark = marks.get((one.marks.account, page.stream))
        if mark is None:
            if not page.before or mark_id(page.before) == (0, 0):
                return False
            one.marks.switch_off()
            return one.marks.switch_on()
        if not page.before or mark_id(mark) >= mark_id(page.before):
            return False
        return one.marks.archived(replace(page, after=mark))

    def _records(
        self, found: Sequence[tuple[Served, Entry]]
    ) -> tuple[dict[tuple[str, str], Record], dict[str, str]]:
        """Read the records of all jobs that events are about. An account whose key is missing has none."""
        wanted: dict[tuple[Account, str], bool] = {}
        for one, entry in found:
            if entry.is_event and entry.job:
                place = one.account, entry.job
                wanted[place] = wanted.get(place, False) or entry.receipt is not None
        try:
            return read_records(self._client, wanted), {}
        except KeyMissing:
            records: dict[tuple[str, str], Record] = {}
            broken: dict[str, str] = {}
            for account in {place[0] for place in wanted}:
                own = {place: needed for place, needed in wanted.items() if place[0] is account}
                try:
                    records |= read_records(self._client, own)
                except KeyMissing as error:
                    broken[account.keys.account] = str(error)
            return records, broken


def _unread(pages: Iterable[tuple[Served, Page]]) -> tuple[dict[str, int], dict[str, int]]:
    unread: dict[str, int] = {}
    oldest: dict[str, int] = {}
    for one, page in pages:
        name = one.marks.account
        unread[name] = unread.get(name, 0) + page.unread
        if page.entries:
            first = position(page.entries[0][0])[0]
            oldest[name] = min(oldest.get(name, first), first)
    return unread, oldest
