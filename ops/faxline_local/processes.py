"""Processes of ours on this machine: started, waited for, stopped, killed."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

STOP_TIMEOUT = 45.0
PORTS = (10_000, 32_000)
"""Where free ports are looked for: below those that Linux and macOS give to outgoing connections."""


class PartFailedError(Exception):
    """A process did not start; the text has the end of its log."""


def free_port() -> int:
    """A port of the loopback that was free a moment ago.

    No outgoing connection takes it before it is listened on, or while the one who listens is started again.
    """
    choice = random.SystemRandom()
    while True:
        port = choice.randrange(*PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_for(condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Look again and again until a condition holds (True) or the time is over (False)."""
    pause, until = threading.Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        pause.wait(every)
    return True


class Part:
    """One process that can be ended, killed and started again; all its logs in one file.

    Args:
        name: what it is called.
        log: the file that its output is added to.
        environment: all of its environment.
        command: the program and its arguments.
    """

    process: subprocess.Popen[bytes]
    """The newest process."""

    def __init__(self, name: str, log: Path, environment: Mapping[str, str], command: Sequence[str]) -> None:
        self.name = name
        self.log = log
        self._environment = dict(environment)
        self._command = list(command)
        self.start()

    def start(self) -> None:
        """Start it (again). It leads a process group of its own, with all that it forks."""
        self._asked = False
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                process_group=0,
            )

    def kill(self) -> None:
        """End it and all that it forked at once (SIGKILL), as a pod that is gone."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """Freeze it and all that it forked (SIGSTOP): connections stay open and nothing is done."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once."""
        if not self._asked and self.process.poll() is None:
            self.process.terminate()
            self.resume()  # a paused process heeds SIGTERM only once it goes on
        self._asked = True

    def stop(self) -> int:
        """End it by SIGTERM, and by SIGKILL where that does not help; its exit code."""
        self.ask_to_stop()
        try:
            code = self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.kill()  # also what it left behind
        return code

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody of the group is left
            os.killpg(self.process.pid, number)
