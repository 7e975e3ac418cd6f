"""Opens PDFs in child processes with limits, so that a hostile one ends a child and nothing else.

PDFium cannot be interrupted, and a few kilobytes keep it busy for ever or make it take gigabytes. A child
(`pdf_child.py`) gets a document by a socket and answers a few bytes. It is kept for the next document, and
replaced when it died. It inherits nothing: no socket, no file, no secret of the environment.
"""

import atexit
import os
import signal
import threading
from collections.abc import Mapping
from weakref import WeakSet

from faxline.contract.errors import PdfReaderUnavailable
from faxline.contract.pdf_process import Child, Limit, PdfPages, longest

TIMEOUT = 5.0
"""Seconds of processor time that opening a PDF may take. The slowest of 5,800 real files took 0.1 s."""
MEMORY = 256 * 1024 * 1024
"""Bytes of address space of a child. Files of 20 MB with 600,000 objects take 80 MB."""
CHILDREN = 2
"""Children of one reader at once. The second one is started while the first is busy."""

_TRIES = 2
_CLOSED = "the reader of PDFs was closed"


_SLOW = PdfPages(0, "the PDF takes too long to open", Limit.TIME)
_LARGE = PdfPages(0, "the PDF needs too much memory to open", Limit.MEMORY)
_CRASHED = PdfPages(0, "the PDF makes the program that opens it crash", Limit.CRASH)
_BY_SIGNAL: Mapping[int | None, PdfPages] = {
    -signal.SIGPROF: _SLOW,
    -signal.SIGABRT: _LARGE,  # so PDFium ends where it gets no memory
    -signal.SIGKILL: _LARGE,  # so the kernel ends a process where a container's memory is used up
}

_readers: "WeakSet[PdfReader]" = WeakSet()


class PdfReader:
    """Counts the pages of PDFs. Thread-safe, also across a fork. Close it.

    Args:
        timeout: seconds of processor time that opening may take.
        memory: bytes of address space that a child may have. macOS does not enforce it.
        children: how many at once; further threads wait.
    """

    def __init__(self, timeout: float = TIMEOUT, memory: int = MEMORY, children: int = CHILDREN) -> None:
        self.timeout = timeout
        self._memory = memory
        self._most = children
        self._closed = False
        self._renew()
        _readers.add(self)

    @property
    def longest(self) -> float:
        """Seconds that a `count` may take at the most, where children start slowly and stand still."""
        return _TRIES * longest(self.timeout)

    def _renew(self) -> None:
        self._free = threading.Condition()
        self._idle: list[Child] = []
        self._taken: set[Child] = set()
        self._starting = 0

    def count(self, data: bytes, timeout: float | None = None) -> PdfPages:
        """Open a PDF and count its pages.

        A child may die, or not get to work, for a reason that is not the document's: a fresh one tries again.

        Args:
            data: the document.
            timeout: seconds of processor time; by default those of the reader.

        Raises:
            PdfReaderUnavailable: no child could be started, or the reader was closed.
        """
        found = _CRASHED
        for _ in range(_TRIES):
            child = self._take()
            answer = fault = None
            try:
                answer = child.ask(data, timeout or self.timeout)
            except TimeoutError:
                fault = _SLOW
            except ConnectionAbortedError:
                fault = _CRASHED
            except OSError:  # it died: its exit code tells why
                pass
            finally:
                self._give_back(child, usable=answer is not None)
            if answer is not None:
                return answer
            if self._closed:
                raise PdfReaderUnavailable(_CLOSED)
            found = fault or _BY_SIGNAL.get(child.exit_code, _CRASHED)
            if child.exit_code == -signal.SIGPROF:
                break
        return found

    def warm(self) -> None:
        """Have a child ready for the next PDF.

        Raises:
            PdfReaderUnavailable: none could be started, or the reader was closed.
        """
        self._give_back(self._take(), usable=True)

    def close(self) -> None:
        """End the children. A `count` that is under way raises PdfReaderUnavailable."""
        with self._free:
            self._closed = True
            while self._idle:
                self._idle.pop().end()
            for child in self._taken:
                child.disconnect()
            self._free.notify_all()

    def _take(self) -> "Child":
        with self._free:
            while not self._closed:
                if self._idle:
                    idle = self._idle.pop()
                    self._taken.add(idle)
                    return idle
                if len(self._taken) + self._starting < self._most:
                    break
                self._free.wait()
            if self._closed:
                raise PdfReaderUnavailable(_CLOSED)
            self._starting += 1
        child: Child | None = None
        try:
            child = Child(self._memory)
        finally:
            usable = self._started(child)
        if not usable:
            child.end()
            raise PdfReaderUnavailable(_CLOSED)
        return child

    def _started(self, child: "Child | None") -> bool:
        """One was started, or could not be; whether it is of use."""
        with self._free:
            self._starting -= 1
            usable = child is not None and not self._closed
            if child is not None and usable:
                self._taken.add(child)
            else:
                self._free.notify()
            return usable

    def _give_back(self, child: "Child", *, usable: bool) -> None:
        with self._free:
            self._taken.discard(child)
            usable = usable and not self._closed
            if usable:
                self._idle.append(child)
            self._free.notify()
        if not usable:
            child.end()

    def _forget(self) -> None:
        """After a fork the children are the parent's."""
        for child in (*self._idle, *self._taken):
            child.forget()
        self._renew()


def _after_fork() -> None:
    for reader in _readers:
        reader._forget()  # noqa: SLF001 - of this module


def _close_all() -> None:
    for reader in list(_readers):
        reader.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_close_all)

SHARED = PdfReader()
"""For whoever has none of their own. It starts nothing before its first PDF."""
