"""Opens PDFs in child processes with limits, so that a hostile PDF can only end a child.

PDFium cannot be interrupted, and a PDF of a few kilobytes may keep it busy for ever or make it use gigabytes.
A child (`child.py`) gets a document through a socket and returns a few bytes. It is kept for the next
document, and replaced if it dies. It inherits no socket, no file and no secret of the environment.
"""

import atexit
import os
import signal
import threading
from collections.abc import Mapping
from weakref import WeakSet

from faxline.contract.errors import PdfReaderUnavailable
from faxline.contract.pdf.process import Child, Limit, PdfPages, longest

TIMEOUT = 5.0
"""The most processor time (s) to open a PDF. The slowest of 5,800 real files took 0.1 s."""
MEMORY = 256 * 1024 * 1024
"""The most address space (bytes) of a child. Files of 20 MB with 600,000 objects take 80 MB."""
CHILDREN = 2
"""The most children of a reader at once. The second one is started while the first is busy."""

_TRIES = 2
_CLOSED = "the reader of PDFs was closed"


_SLOW = PdfPages(0, "the PDF takes too long to open", Limit.TIME)
_LARGE = PdfPages(0, "the PDF needs too much memory to open", Limit.MEMORY)
_CRASHED = PdfPages(0, "the PDF makes the program that opens it crash", Limit.CRASH)
_BY_SIGNAL: Mapping[int | None, PdfPages] = {
    -signal.SIGPROF: _SLOW,
    -signal.SIGABRT: _LARGE,  # PDFium aborts if it gets no memory
    -signal.SIGKILL: _LARGE,  # the kernel kills a process if a container is out of memory
}

_readers: "WeakSet[PdfReader]" = WeakSet()


class PdfReader:
    """Counts the pages of PDFs. Thread-safe, also across a fork. Close it.

    Args:
        timeout: the most processor time (s) to open a PDF.
        memory: the most address space (bytes) of a child. macOS does not enforce it.
        children: the most children at once. Further threads wait.
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
        """The most seconds that a `count` may take, if children start slowly and then hang."""
        return _TRIES * longest(self.timeout)

    def _renew(self) -> None:
        self._free = threading.Condition()
        self._idle: list[Child] = []
        self._taken: set[Child] = set()
        self._starting = 0

    def count(self, data: bytes, timeout: float | None = None) -> PdfPages:
        """Open a PDF and count its pages.

        A child may die or hang for reasons other than the document. Then a new child tries again.

        Args:
            data: the document.
            timeout: the most processor time (s); by default the reader's.

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
            except OSError:  # the child died: its exit code says why
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
        """Start a child for the next PDF, unless one is ready.

        Raises:
            PdfReaderUnavailable: no child could be started, or the reader was closed.
        """
        self._give_back(self._take(), usable=True)

    def close(self) -> None:
        """End the children. A `count` under way raises PdfReaderUnavailable."""
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
        """Note that a child was started, or could not be (None). False if the reader is closed."""
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
        """Let go of the children after a fork: they belong to the parent."""
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
"""The default reader of a process. It starts no child before the first PDF."""
