"""Opens PDFs in child processes with limits, so that a hostile one ends a child and nothing else.

PDFium cannot be interrupted, and a few kilobytes keep it busy for ever or make it take gigabytes. A child
(`pdf_child.py`) gets a document by a socket and answers a few bytes. It is kept for the next document, and
replaced when it died. It inherits nothing: no socket, no file, no secret of the environment.
"""

import atexit
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple
from weakref import WeakSet

from faxline.contract.errors import PdfReaderUnavailable
from faxline.contract.pdf_child import BROKEN, ENCRYPTED, HELLO, OPENED, REPLY, REQUEST

TIMEOUT = 5.0
"""Seconds of processor time that opening a PDF may take. The slowest of 5,800 real files took 0.1 s."""
MEMORY = 256 * 1024 * 1024
"""Bytes of address space of a child. Files of 20 MB with 600,000 objects take 80 MB."""
CHILDREN = 2
"""Children of one reader at once. The second one is started while the first is busy."""

_START = 20.0
"""Seconds that a child may take to start."""
_STALLED = 3
"""How many times the processor time may pass on the clock: the machine may be busy, or stand still."""
_TRIES = 2
_CLOSED = "the reader of PDFs was closed"
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")
"""What a child needs of the environment, where it is there."""
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)


class Limit(StrEnum):
    """What a document ran into."""

    TIME = "time"
    MEMORY = "memory"
    CRASH = "crash"


class PdfPages(NamedTuple):
    """What opening a PDF told.

    Attributes:
        pages: how many it has; 0 where it has a fault.
        fault: why iFax would refuse it, or nothing.
        limit: which limit it ran into, if any.
    """

    pages: int
    fault: str = ""
    limit: Limit | None = None


_SLOW = PdfPages(0, "the PDF takes too long to open", Limit.TIME)
_LARGE = PdfPages(0, "the PDF needs too much memory to open", Limit.MEMORY)
_CRASHED = PdfPages(0, "the PDF makes the program that opens it crash", Limit.CRASH)
_BY_VERDICT = {OPENED: "the PDF has no pages", ENCRYPTED: "the PDF is encrypted", BROKEN: "the PDF is broken"}
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
        return _TRIES * (_START + _STALLED * self.timeout)

    def _renew(self) -> None:
        self._free = threading.Condition()
        self._idle: list[_Child] = []
        self._taken: set[_Child] = set()
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

    def _take(self) -> "_Child":
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
        child: _Child | None = None
        try:
            child = _Child(self._memory)
        finally:
            usable = self._started(child)
        if not usable:
            child.end()
            raise PdfReaderUnavailable(_CLOSED)
        return child

    def _started(self, child: "_Child | None") -> bool:
        """One was started, or could not be; whether it is of use."""
        with self._free:
            self._starting -= 1
            usable = child is not None and not self._closed
            if child is not None and usable:
                self._taken.add(child)
            else:
                self._free.notify()
            return usable

    def _give_back(self, child: "_Child", *, usable: bool) -> None:
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


class _Child:
    """One process and the socket to it.

    Raises:
        PdfReaderUnavailable: it could not be started.
    """

    def __init__(self, memory: int) -> None:
        program = _interpreter()
        try:
            self._socket, self._process = _start(program, memory)
        except OSError as error:
            raise PdfReaderUnavailable(f"cannot start the process that opens PDFs: {error}") from error
        started = False
        try:
            with suppress(OSError):
                started = self._receive(len(HELLO), time.monotonic() + _START) == HELLO
        finally:
            if not started:
                self.end()
        if not started:
            raise PdfReaderUnavailable(
                f"the process that opens PDFs does not start (exit code {self.exit_code}): "
                f"is pypdfium2 installed for {program}?"
            )

    def ask(self, data: bytes, timeout: float) -> PdfPages:
        """What it finds out.

        Raises:
            TimeoutError: it does not answer, although its processor time is not over.
            ConnectionAbortedError: what it says is no answer.
            OSError: it died.
        """
        token = os.urandom(8)  # so that an answer belongs to its document
        deadline = time.monotonic() + _STALLED * timeout
        self._send(REQUEST.pack(token, timeout, len(data)), deadline)
        self._send(data, deadline)
        echo, verdict, pages = REPLY.unpack(self._receive(REPLY.size, deadline))
        if echo != token or verdict not in _BY_VERDICT:
            raise ConnectionAbortedError
        if verdict == OPENED and pages:
            return PdfPages(pages)
        return PdfPages(0, _BY_VERDICT[verdict])

    @property
    def exit_code(self) -> int | None:
        """Of the process; a signal is a negative number; None while it lives."""
        return self._process.returncode

    def disconnect(self) -> None:
        """Have whoever waits for an answer get none."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Kill it, if it lives, and take its exit code."""
        self._socket.close()
        self._process.kill()  # one that is dying keeps its exit code
        self._process.wait()

    def forget(self) -> None:
        """It is another process' child."""
        self._socket.close()
        self._process.returncode = 0

    def _send(self, data: bytes, deadline: float) -> None:
        self._socket.settimeout(_left(deadline))
        self._socket.sendall(data, _NO_SIGNAL)

    def _receive(self, size: int, deadline: float) -> bytes:
        got = b""
        while len(got) < size:
            self._socket.settimeout(_left(deadline))
            piece = self._socket.recv(size - len(got))
            if not piece:
                raise ConnectionResetError
            got += piece
        return got


def _start(program: str, memory: int) -> tuple[socket.socket, subprocess.Popen[bytes]]:
    script = str(Path(__file__).with_name("pdf_child.py"))
    paths = json.dumps([os.path.abspath(path) for path in sys.path])  # noqa: PTH100 - as the interpreter does
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            return ours, subprocess.Popen(  # noqa: S603 - a program of ours
                [program, "-B", "-P", "-S", script, str(memory), paths],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={name: os.environ[name] for name in _KEPT if name in os.environ},
                cwd="/",
                start_new_session=True,  # Ctrl-C at a terminal is not for it
            )
    except BaseException:
        ours.close()
        raise


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _interpreter() -> str:
    """The Python that runs this; where it is embedded in another program (uWSGI), the one beside it."""
    if Path(sys.executable or "").name.lower().startswith(("python", "pypy")):
        return sys.executable
    return str(Path(sys.exec_prefix) / "bin" / "python3")


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
