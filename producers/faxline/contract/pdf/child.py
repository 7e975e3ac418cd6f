"""The child process that opens PDFs. `faxline.contract.pdf.reader` starts it by its path.

A request comes on standard input, which is a socket: a token, the most processor time (s), the size of the
document and its bytes. The reply is the token, a verdict and the number of pages. The process ends when the
socket is closed.

A malicious PDF may take over PDFium, so the process gives up every right that it does not need: it can open
no file and no socket, start no process, and use no more memory than its limit.
"""

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from contextlib import suppress

HELLO = b"ready"
REQUEST = struct.Struct(">8sdQ")
REPLY = struct.Struct(">8sBI")
OPENED, ENCRYPTED, BROKEN = range(3)

_PASSWORD = 4
"""PDFium's error FPDF_ERR_PASSWORD."""


def _give_up(name: str, most: int) -> None:
    with suppress(AttributeError, OSError, ValueError):  # not every system has or enforces each limit
        resource.setrlimit(getattr(resource, name), (most, most))


def _read(size: int) -> bytearray:
    """Read this many bytes. The process ends if they do not come."""
    data = bytearray(size)
    left = memoryview(data)
    while left:
        got = os.readv(0, [left])
        if not got:
            os._exit(0)
        left = left[got:]
    return data


def main() -> None:
    """Serve until the other end closes."""
    memory, paths = int(sys.argv[1]), json.loads(sys.argv[2])
    # If a container runs out of memory, the kernel kills this process first.
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - one module less
        file.write("1000")
    _give_up("RLIMIT_CORE", 0)
    _give_up("RLIMIT_AS", memory)
    sys.path[:] = paths
    import pypdfium2.raw as pdfium  # noqa: PLC0415 - found by the paths

    _give_up("RLIMIT_FSIZE", 0)
    _give_up("RLIMIT_NPROC", 0)
    _give_up("RLIMIT_NOFILE", 1)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.write(0, HELLO)
    while True:
        token, seconds, size = REQUEST.unpack(_read(REQUEST.size))
        data = _read(size)
        signal.setitimer(signal.ITIMER_PROF, seconds)  # the kernel ends the process at that time
        document = pdfium.FPDF_LoadMemDocument64((ctypes.c_char * size).from_buffer(data), size, None)
        if document:
            verdict, pages = OPENED, pdfium.FPDF_GetPageCount(document)
            pdfium.FPDF_CloseDocument(document)
        else:
            verdict, pages = ENCRYPTED if pdfium.FPDF_GetLastError() == _PASSWORD else BROKEN, 0
        del data
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(0, REPLY.pack(token, verdict, max(0, pages)))


if __name__ == "__main__":
    main()
