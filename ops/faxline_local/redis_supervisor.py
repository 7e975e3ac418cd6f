"""The supervisor of an embedded server: its parent, which ends it when the owner ends (supervisor.py).

It is run as `python -I -S redis_supervisor.py`, so it imports only the standard library.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

_END_SECONDS = 10.0


def _supervise() -> None:
    """Carry out the owner's orders, one JSON line each, until the pipe ends. Then clean everything up."""
    directory = Path(tempfile.mkdtemp(prefix="faxline-redis-"))
    server: subprocess.Popen[bytes] | None = None
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    try:
        _say(directory=str(directory))
        for line in sys.stdin:
            order = json.loads(line)
            if order["do"] == "start":
                try:
                    with Path(order["log"]).open("ab") as log:
                        server = subprocess.Popen(  # noqa: S603 - the owner's order
                            order["command"],
                            env=os.environ | order["environment"],
                            stdin=subprocess.DEVNULL,
                            stdout=log,
                            stderr=log,
                            cwd=directory,
                        )
                    _say(pid=server.pid)
                except OSError as error:
                    _say(error=str(error))
            elif server is not None:
                if order["do"] == "end":
                    _end(server, order["signal"])
                elif order["do"] == "signal":
                    server.send_signal(order["signal"])
                _say(code=server.poll())
            else:
                _say(code=0)
    finally:
        if server is not None:
            _end(server, signal.SIGKILL)  # at once: its data goes too
        shutil.rmtree(directory, ignore_errors=True)


def _say(**reply: Any) -> None:
    with contextlib.suppress(BrokenPipeError):  # the owner has ended, and standard input ends next
        print(json.dumps(reply), flush=True)  # noqa: T201 - the owner reads it


def _end(server: subprocess.Popen[bytes], number: int) -> None:
    server.send_signal(number)
    server.send_signal(signal.SIGCONT)  # a frozen server handles SIGTERM only after SIGCONT
    try:
        server.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    _supervise()
