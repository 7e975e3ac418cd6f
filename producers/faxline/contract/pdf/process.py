"""Runs one child process that opens PDFs, within limits of time and memory."""

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
from faxline.contract.pdf.child import BROKEN, ENCRYPTED, HELLO, OPENED, REPLY, REQUEST

_START = 20.0
"""The most seconds for the start of a child."""
_STALLED = 3
"""A child gets its processor time times this on the clock, because the machine may be busy or suspended."""
_KEPT = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "PYTHONHOME", "SYSTEMROOT")
"""The environment variables that a child inherits, if they are set."""
_NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
_BY_VERDICT = {OPENED: "the PDF has no pages", ENCRYPTED: "the PDF is encrypted", BROKEN: "the PDF is broken"}


class Limit(StrEnum):
    """The limits that a document may hit."""

    TIME = "time"
    MEMORY = "memory"
    CRASH = "crash"


class PdfPages(NamedTuple):
    """The result of opening a PDF.

    Attributes:
        pages: the number of pages; 0 if the PDF is invalid.
        fault: why iFax would refuse it; empty if it is valid.
        limit: the limit that it hit, if any.
    """

    pages: int
    fault: str = ""
    limit: Limit | None = None


class Child:
    """A child process and the socket to it.

    Raises:
        PdfReaderUnavailable: the process could not be started.
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
                f"the process that opens PDFs did not start (exit code {self.exit_code}): "
                f"is pypdfium2 installed for {program}?"
            )

    def ask(self, data: bytes, timeout: float) -> PdfPages:
        """Have the child open a PDF.

        Raises:
            TimeoutError: the child did not answer in time.
            ConnectionAbortedError: the reply is not valid.
            OSError: the child died.
        """
        token = os.urandom(8)  # ties the reply to this document
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
        """The exit code of the process, negative for a signal; None while it runs."""
        return self._process.returncode

    def disconnect(self) -> None:
        """Close the socket, so that a thread that waits for a reply gets an error."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Kill the process if it runs, and reap it."""
        self._socket.close()
        self._process.kill()  # a process that is already dying keeps its exit code
        self._process.wait()

    def forget(self) -> None:
        """Let go of the child without ending it: after a fork it belongs to the parent."""
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
    script = str(Path(__file__).with_name("child.py"))
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
                start_new_session=True,  # Ctrl-C at a terminal must not end the child
            )
    except BaseException:
        ours.close()
        raise


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _interpreter() -> str:
    """The Python interpreter. If Python is embedded in another program (uWSGI), the one beside it."""
    if Path(sys.executable or "").name.lower().startswith(("python", "pypy")):
        return sys.executable
    return str(Path(sys.exec_prefix) / "bin" / "python3")


def longest(timeout: float) -> float:
    """The most seconds to start a child and open a document with this much processor time."""
    return _START + _STALLED * timeout
