"""Opens slow PDFs on a thread of their own, so that one producer's PDFs do not hold up the others.

The intake thread serves all accounts and gives each PDF a short time. An entry whose PDF takes longer waits
here for a second thread, and so do further PDFs of an account that has spent its budget on the intake thread.
The second thread takes the accounts in turn. It tries each entry quickly first, and gives an entry the full
time only when no other is left to try. So a flood of hostile PDFs delays other accounts by a fraction of a
second, and the good PDFs of the same account do not wait for all of it.

An entry that waits here stays pending for this dispatcher in Redis. In memory it is only an id.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import redis
import structlog

from faxline.contract.errors import PdfReaderUnavailable
from faxline.contract.pdf.process import Limit, PdfPages
from faxline.contract.pdf.reader import PdfReader
from faxline_worker.intake.made_on_demand import MadeOnDemand
from faxline_worker.intake.pdf_time import HopelessPdfs, TimeShare
from faxline_worker.intake.pdfs import OpenLater, Pdfs
from faxline_worker.intake.pending_entries import PendingEntries
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics

QUICK = 0.25
"""Seconds of processor time for a PDF's first try. The slowest of 5,800 real files took 0.1 s."""
MOST = 1000
"""Entries of an account that may wait here. At this number, no others of the account are read."""
WAIT = 2.0
"""Seconds that the thread waits for an entry, and so the time until it notices a stop."""
AGAIN = 5.0
"""Seconds until the next try if no child process can be started."""
ENOUGH = 0.9
"""The fraction of the full time after which a PDF that hit its limit is remembered as hopeless."""


class _Waiting:
    """The entries that wait, by account."""

    def __init__(self) -> None:
        self._served: frozenset[str] | None = None
        self._held: dict[str, set[str]] = {}
        self._untried: dict[str, deque[str]] = {}
        self._tried: dict[str, deque[str]] = {}
        self._changed = threading.Condition()
        self._closed = False

    def waiting(self, account: str) -> int:
        """The number of an account's entries that wait."""
        return len(self._held.get(account, ()))

    def holds(self, account: str, entry: str) -> bool:
        """Whether an entry waits here."""
        return entry in self._held.get(account, ())

    def follow(self, accounts: Iterable[str]) -> None:
        """Let only entries of these accounts wait. The others stay pending, for who serves their accounts."""
        with self._changed:
            self._served = frozenset(accounts)
            for account in self._held.keys() - self._served:
                for of_accounts in (self._held, self._untried, self._tried):
                    of_accounts.pop(account, None)


class SlowDocuments(_Waiting):
    """The entries that wait, and the work of the thread that takes them.

    Args:
        client: a Redis client of the state's database, with replies in bytes.
        reader: makes a PDF reader; each of the two threads gets one.
        metrics, log: the dispatcher's.
        consumer: this dispatcher's name in the consumer group.
        every: seconds between two claims of the entries that wait (`keep`).
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        client: redis.Redis,
        reader: Callable[[], PdfReader],
        metrics: DispatcherMetrics,
        log: structlog.typing.FilteringBoundLogger,
        *,
        consumer: str,
        every: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._pending = PendingEntries(client, consumer)
        self._quick, self._reader = reader(), reader()
        self._every, self._kept_at = every, 0.0
        self._metrics = metrics
        self._log = log
        self._clock = clock
        self._shares = MadeOnDemand(lambda _: TimeShare(clock))
        self._hopeless = HopelessPdfs()
        self._left, self._full_time, self._again = 0.0, False, False

    def quick(self, account: str) -> Pdfs:
        """Opens PDFs on the intake thread."""
        return _Quick(self, account)

    def thorough(self, account: str) -> Pdfs:
        """Opens PDFs on the thread for slow ones."""
        return _Thorough(self, account)

    def full(self, account: str) -> bool:
        """Whether the account has as many entries here as may wait."""
        return self.waiting(account) >= MOST

    def put(self, account: str, entry: str, *, tried: bool = False) -> None:
        """Queue an entry. If it was tried before, it gets the full time."""
        with self._changed:
            if self._served is not None and account not in self._served:
                return
            self._held.setdefault(account, set()).add(entry)
            (self._tried if tried else self._untried).setdefault(account, deque()).append(entry)
            self._changed.notify()
        self._metrics.set_slow_documents(account, self.waiting(account))

    def keep(self) -> float:
        """Claim the waiting entries again, so that no other dispatcher takes them over.

        Returns:
            Seconds until the next call is due.

        Raises:
            redis.RedisError: Redis is away or refuses the command.
        """
        if not self._held:
            return math.inf
        left = self._kept_at + self._every - self._clock()
        if left > 0:
            return left
        with self._changed:
            held = {account: list(entries) for account, entries in self._held.items()}
        for account, entries in held.items():
            self._pending.claim(account, entries)
        self._kept_at = self._clock()
        return self._every

    def work(self, take: Callable[[str, Sequence[tuple[str, Mapping[bytes, bytes]]]], object]) -> bool:
        """Take the next entry, if one comes within `WAIT`.

        Args:
            take: checks and registers entries of an account, using the account's `patient` PDFs.

        Returns:
            Whether PDFs can be opened.

        Raises:
            redis.RedisError: Redis is away or refuses the command. The entry waits again.
        """
        found = self._next()
        if found is None:
            return True
        account, entry, tried = found
        self._left, self._full_time, self._again = self._reader.timeout if tried else QUICK, tried, False
        try:
            take(account, self._pending.read(account, entry))
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
            self._held.get(account, set()).discard(entry)
            if not self.waiting(account):
                self._held.pop(account, None)
        self._metrics.set_slow_documents(account, self.waiting(account))
        return True

    @property
    def longest(self) -> float:
        """The longest time in seconds that the thread is silent while it opens a PDF."""
        return self._reader.longest

    def stop(self) -> None:
        """Take no further entry. A PDF that is being opened is abandoned, and its entry stays pending."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._reader.close()

    def close(self) -> None:
        """Open no further PDF on either thread."""
        self.stop()
        self._quick.close()

    def _next(self) -> tuple[str, str, bool] | None:
        """The next account, its entry, and whether that was tried before; None if none came in time."""
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

    def count_quickly(self, account: str, data: bytes) -> PdfPages:
        """Count a PDF's pages within the account's budget on the intake thread. Raises like `Pdfs.count`."""
        if (known := self._hopeless.find(data)) is not None:
            return self._log_limit(account, data, known)
        share = self._shares[account]
        if share.used_up():
            raise OpenLater
        began = self._clock()
        try:
            found = self._quick.count(data, QUICK)
            if found.limit is not None:
                self._quick.warm()  # its child process was ended; start another before the next PDF needs it
        except PdfReaderUnavailable:
            raise OpenLater from None
        finally:
            share.take(self._clock() - began)
        if found.limit is Limit.TIME:
            raise OpenLater
        return self._log_limit(account, data, found)

    def count_thoroughly(self, account: str, data: bytes) -> PdfPages:
        """Count a PDF's pages in the time that the entry has left. Raises like `Pdfs.count`."""
        if (known := self._hopeless.find(data)) is not None:
            return self._log_limit(account, data, known)
        began, given = self._clock(), max(QUICK, self._left)
        found = self._reader.count(data, given)
        self._left -= self._clock() - began
        if found.limit is Limit.TIME and not self._full_time:
            raise OpenLater
        if found.limit is Limit.TIME and given > ENOUGH * self._reader.timeout:
            self._hopeless.add(data, found)
        return self._log_limit(account, data, found)

    def wait_again(self) -> None:
        """Queue the entry at hand again, this time for its full time."""
        self._again = True

    def _log_limit(self, account: str, data: bytes, found: PdfPages) -> PdfPages:
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


class _Thorough(Pdfs):
    def __init__(self, slow: SlowDocuments, account: str) -> None:
        self._slow = slow
        self._account = account

    def count(self, data: bytes) -> PdfPages:
        return self._slow.count_thoroughly(self._account, data)

    def later(self, entry: str) -> None:
        del entry
        self._slow.wait_again()
