"""One child process that opens PDFs, under limits of time and memory."""

import json
import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from faxline.contract.errors import PdfReaderUnavailable
from faxline.contract.pdf_child import BROKEN, ENCRYPTED, HELLO, OPENED, REPLY, REQUEST

_START = 20.0
"""Seconds that a child may take to start."""
_STALLED = 3
"""How many times the processor time may pass on the clock: the machine may be busy, or stand still."""
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")
"""What a child needs of the environment, where it is there."""
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_BY_VERDICT = {OPENED: "the PDF has no pages", ENCRYPTED: "the PDF is encrypted", BROKEN: "the PDF is broken"}


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


class Child:
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


def longest(timeout: float) -> float:
    """Seconds that a child may take to start and to open a document of this much processor time."""
    return _START + _STALLED * timeout
