"""Entries whose PDFs take long to open: they are opened apart, so that one producer's hold up no other.

The thread that takes the entries of all accounts opens PDFs quickly or not at all. What takes longer waits
here for a thread of its own, and so do further PDFs of an account that has used up its share of that thread's
time. The accounts are taken in turn. Each entry is tried quickly first; one that needs its full time gets it
when no other is left to try. So a flood of hostile PDFs costs the other accounts a fraction of a second, and
the good ones of the same account do not wait for all of it.

An entry that waits here stays pending for this dispatcher in Redis; in memory it is an id.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis
import structlog

from faxline.contract.errors import PdfReaderUnavailable
from faxline.contract.pdf_process import Limit, PdfPages
from faxline.contract.pdf_reader import PdfReader
from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.intake.pdf_time import HopelessPdfs, TimeShare
from faxline_worker.intake.pdfs import OpenLater, Pdfs
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics

QUICK = 0.25
"""Seconds of processor time for a PDF at first. The slowest of 5,800 real files took 0.1 s."""
MOST = 1000
"""Entries of an account that wait here; while there are so many, no others are read."""
WAIT = 2.0
"""Seconds that the thread waits for an entry; also how soon a stop is noticed."""
AGAIN = 5.0
"""Seconds until the next try where no child process can be started."""
ENOUGH = 0.9
"""The part of the full time that a PDF took in vain, after which it is remembered."""


class SlowDocuments:
    """The entries that wait, and the thread's work on them.

    Args:
        client: a client of the state's database (bytes replies).
        reader: makes a reader of PDFs: there is one for each of the two threads.
        intakes: the streams of all accounts, by name.
        metrics: the dispatcher's.
        log: likewise.
        consumer: this dispatcher's name in the consumer group.
        every: seconds after which the entries that wait are claimed anew (`keep`).
        clock: monotonic seconds.
    """

    def __init__(
        self,
        client: redis.Redis,
        reader: Callable[[], PdfReader],
        intakes: Mapping[str, str],
        metrics: DispatcherMetrics,
        log: structlog.stdlib.BoundLogger,
        *,
        consumer: str,
        every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._quick, self._reader = reader(), reader()
        self._intakes = intakes
        self._consumer = consumer
        self._every, self._kept_at = every, 0.0
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._shares = {name: TimeShare(clock) for name in intakes}
        self._held: dict[str, set[str]] = {name: set() for name in intakes}
        self._untried: dict[str, deque[str]] = {}
        self._tried: dict[str, deque[str]] = {}
        self._changed = threading.Condition()
        self._closed = False
        self._hopeless = HopelessPdfs()
        self._left, self._full_time, self._again = 0.0, False, False

    def quick(self, account: str) -> Pdfs:
        """For the thread that serves all accounts."""
        return _Quick(self, account)

    def patient(self, account: str) -> Pdfs:
        """For the thread of its own."""
        return _Patient(self, account)

    def waiting(self, account: str) -> int:
        """How many entries of an account wait."""
        return len(self._held[account])

    def full(self, account: str) -> bool:
        """Whether so many wait that no others are to be read."""
        return self.waiting(account) >= MOST

    def holds(self, account: str, entry: str) -> bool:
        """Whether an entry waits."""
        return entry in self._held[account]

    def put(self, account: str, entry: str, *, tried: bool = False) -> None:
        """Have an entry wait; `tried` is one that needs its full time."""
        with self._changed:
            self._held[account].add(entry)
            (self._tried if tried else self._untried).setdefault(account, deque()).append(entry)
            self._changed.notify()
        self._metrics.set_slow_documents(account, len(self._held[account]))

    def keep(self) -> float:
        """Let no other dispatcher take over what waits here; seconds until this is to be called again.

        Raises:
            redis.RedisError: Redis is away or refuses us.
        """
        if not any(self._held.values()):
            return math.inf
        left = self._kept_at + self._every - self._clock()
        if left > 0:
            return left
        for account, held in self._held.items():
            if held:
                with self._changed:
                    entries = list(held)
                self._claim(account, entries)
        self._kept_at = self._clock()
        return self._every

    def work(self, take: Callable[[str, Sequence[tuple[str, Mapping[bytes, bytes]]]], object]) -> bool:
        """Take the next entry, if one comes within a while; whether PDFs can be opened.

        Args:
            take: checks and registers the entries of an account, with the account's `patient` PDFs.

        Raises:
            redis.RedisError: Redis is away or refuses us; the entry waits again.
        """
        found = self._next()
        if found is None:
            return True
        account, entry, tried = found
        self._left, self._full_time, self._again = self._reader.timeout if tried else QUICK, tried, False
        try:
            take(account, self._content(account, entry))
        except PdfReaderUnavailable as error:
            self.put(account, entry, tried=tried)
            if not self._closed:
                self._log.error("PDFs cannot be opened", error=str(error))
                with self._changed:
                    self._changed.wait_for(lambda: self._closed, AGAIN)
            return False
        except BaseException:
            self.put(account, entry, tried=tried)
            raise
        if self._again:
            self.put(account, entry, tried=True)
            return True
        with self._changed:
            self._held[account].discard(entry)
        self._metrics.set_slow_documents(account, len(self._held[account]))
        return True

    @property
    def longest(self) -> float:
        """Seconds that the thread may be still while it opens a PDF."""
        return self._reader.longest

    def stop(self) -> None:
        """Take no other entry. The PDF that is open is given up, and its entry stays pending."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._reader.close()

    def close(self) -> None:
        """Open no PDF any more, in either thread."""
        self.stop()
        self._quick.close()

    def _next(self) -> tuple[str, str, bool] | None:
        """The account, the entry and whether it was tried; None where none came for a while."""
        with self._changed:
            self._changed.wait_for(lambda: self._untried or self._tried or self._closed, WAIT)
            queues = self._untried or self._tried
            if self._closed or not queues:
                return None
            account = next(iter(queues))
            entries = queues.pop(account)
            entry = entries.popleft()
            if entries:
                queues[account] = entries  # behind the other accounts
            return account, entry, queues is self._tried

    def _claim(self, account: str, entries: Sequence[str]) -> bool:
        """Claim what is still pending, as if it were given out now; how often it was, is not changed."""
        ids: Any = list(entries)
        keys = (self._intakes[account], INTAKE_GROUP, self._consumer, 0, ids)
        return bool(self._client.xclaim(*keys, justid=True))

    def _content(self, account: str, entry: str) -> Sequence[tuple[str, Mapping[bytes, bytes]]]:
        """An entry, if it is still pending."""
        if not self._claim(account, [entry]):
            return []
        found: Any = self._client.xrange(self._intakes[account], entry, entry)
        return [(name.decode(), fields) for name, fields in found]

    def count_quickly(self, account: str, data: bytes) -> PdfPages:
        """Open a PDF in the account's share of the time. Raises as `Pdfs.count` does."""
        if (known := self._hopeless.find(data)) is not None:
            return self._told(account, data, known)
        share = self._shares[account]
        if share.used_up():
            raise OpenLater
        began = self._clock()
        try:
            found = self._quick.count(data, QUICK)
            if found.limit is not None:
                self._quick.warm()  # it ended its child, and whoever comes next is not to pay for another
        except PdfReaderUnavailable:
            raise OpenLater from None
        finally:
            share.take(self._clock() - began)
        if found.limit is Limit.TIME:
            raise OpenLater
        return self._told(account, data, found)

    def count_patiently(self, account: str, data: bytes) -> PdfPages:
        """Open a PDF in what is left of the entry's time. Raises as `Pdfs.count` does."""
        if (known := self._hopeless.find(data)) is not None:
            return self._told(account, data, known)
        began, given = self._clock(), max(QUICK, self._left)
        found = self._reader.count(data, given)
        self._left -= self._clock() - began
        if found.limit is Limit.TIME and not self._full_time:
            raise OpenLater
        if found.limit is Limit.TIME and given > ENOUGH * self._reader.timeout:
            self._hopeless.add(data, found)
        return self._told(account, data, found)

    def wait_again(self) -> None:
        """The entry at hand needs its full time."""
        self._again = True

    def _told(self, account: str, data: bytes, found: PdfPages) -> PdfPages:
        if found.limit is not None:
            self._metrics.document_stopped(account, found.limit.value)
            self._log.warning("PDF given up", account=account, reason=found.limit.value, size=len(data))
        return found


class _Quick(Pdfs):
    def __init__(self, slow: SlowDocuments, account: str) -> None:
        self._slow = slow
        self._account = account

    def count(self, data: bytes) -> PdfPages:
        return self._slow.count_quickly(self._account, data)

    def later(self, entry: str) -> None:
        self._slow.put(self._account, entry)

    def waits(self, entry: str) -> bool:
        return self._slow.holds(self._account, entry)


class _Patient(Pdfs):
    def __init__(self, slow: SlowDocuments, account: str) -> None:
        self._slow = slow
        self._account = account

    def count(self, data: bytes) -> PdfPages:
        return self._slow.count_patiently(self._account, data)

    def later(self, entry: str) -> None:
        del entry
        self._slow.wait_again()
