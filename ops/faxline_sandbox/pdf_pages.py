"""Counts the pages of PDFs in a child process, which also runs this file. A hostile PDF ends only it."""

import atexit
import json
import os
import resource
import signal
import struct
import subprocess
import sys
from contextlib import suppress
from threading import Lock
from typing import IO

SECONDS = 5
"""The most processor time (s) to open a PDF."""
MEMORY = 256 * 1024 * 1024
"""The most address space (bytes) of the child. macOS does not enforce it."""

_SIZE = struct.Struct(">I")
_PAGES = struct.Struct(">i")
_DAMAGED = -1

_lock = Lock()
_child: subprocess.Popen[bytes] | None = None


def pdf_pages(data: bytes) -> int | None:
    """The number of a PDF's pages; None if PDFium cannot open it within the limits. Thread-safe."""
    global _child  # noqa: PLW0603 - kept for the next one
    with _lock:
        if _child is None or _child.poll() is not None:
            _end()
            _child = _start()
        assert _child.stdin is not None  # noqa: S101 - as it was started
        assert _child.stdout is not None  # noqa: S101 - as above
        answer = b""
        try:
            _child.stdin.write(_SIZE.pack(len(data)) + data)
            _child.stdin.flush()
            answer = _child.stdout.read(_PAGES.size)
        except OSError:
            pass
        finally:
            if len(answer) != _PAGES.size:
                _end()
    pages = _PAGES.unpack(answer)[0] if len(answer) == _PAGES.size else _DAMAGED
    return pages if pages >= 0 else None


def _start() -> subprocess.Popen[bytes]:
    paths = json.dumps([os.path.abspath(path) for path in sys.path])  # noqa: PTH100 - as the interpreter does
    return subprocess.Popen(  # noqa: S603 - a program of ours
        [sys.executable, "-B", "-P", "-S", __file__, paths, str(SECONDS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={name: os.environ[name] for name in ("LD_LIBRARY_PATH", "PYTHONHOME") if name in os.environ},
        start_new_session=True,
    )


def _end() -> None:
    global _child  # noqa: PLW0603 - as above
    if _child is not None:
        _child.kill()
        _child.communicate()
        _child = None


def _serve(source: IO[bytes], answers: IO[bytes]) -> None:
    """In the child: count one document after the other."""
    sys.path[:], seconds = json.loads(sys.argv[1]), float(sys.argv[2])
    with suppress(OSError, ValueError):  # not every system takes them
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import pypdfium2.raw as pdfium  # noqa: PLC0415 - only the child has it

    while head := source.read(_SIZE.size):
        data = source.read(_SIZE.unpack(head)[0])
        signal.setitimer(signal.ITIMER_PROF, seconds)  # the kernel ends the process when it has used them
        document = pdfium.FPDF_LoadMemDocument64(data, len(data), None)
        pages = pdfium.FPDF_GetPageCount(document) if document else _DAMAGED
        pdfium.FPDF_CloseDocument(document)
        signal.setitimer(signal.ITIMER_PROF, 0)
        answers.write(_PAGES.pack(pages))
        answers.flush()


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
else:
    atexit.register(_end)
