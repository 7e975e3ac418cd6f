"""Starts, awaits, stops and kills processes on this machine."""

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

START_TIMEOUT, STOP_TIMEOUT = 90.0, 45.0
PORTS = (10_000, 32_000)
"""The range of free ports: below those that Linux and macOS use for outgoing connections."""


class PartFailedError(Exception):
    """A process did not start. The message has the end of its log."""


def free_port() -> int:
    """Find a free port of the loopback.

    No outgoing connection takes it, neither before a process listens on it nor while that restarts.
    """
    choice = random.SystemRandom()
    while True:
        port = choice.randrange(*PORTS)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_for(condition: Callable[[], bool], seconds: float, *, every: float = 0.05) -> bool:
    """Wait for a condition.

    Args:
        condition: is called until it is true.
        seconds: the longest wait.
        every: seconds between two calls.

    Returns:
        Whether the condition became true in time.
    """
    pause, until = threading.Event(), time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= until:
            return False
        pause.wait(every)
    return True


class Part:
    """A process that can be stopped, killed and started again. All its output goes to one file.

    Args:
        name: the process's name.
        log: the file that its output is appended to.
        environment: its whole environment.
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
        """Start the process, or start it again. It leads a process group of its own."""
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

    def await_start(self, ready: Callable[[], bool]) -> None:
        """Wait until the process is ready.

        Raises:
            PartFailedError: it ended, or was not ready after `START_TIMEOUT`.
        """

        def settled() -> bool:
            return self.process.poll() is not None or ready()

        if not wait_for(settled, START_TIMEOUT) or self.process.poll() is not None:
            end = self.log.read_text(errors="replace")[-2000:]
            raise PartFailedError(f"{self.name} did not start:\n{end}")

    def kill(self) -> None:
        """Kill the process and its children (SIGKILL), as when a pod is lost."""
        self._signal(signal.SIGKILL)
        self.process.wait()

    def pause(self) -> None:
        """Freeze the process and its children (SIGSTOP). Their connections stay open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Resume a frozen process and its children (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def ask_to_stop(self) -> None:
        """Send SIGTERM, once."""
        if not self._asked and self.process.poll() is None:
            self.process.terminate()
            self.resume()  # a frozen process handles SIGTERM only after SIGCONT
        self._asked = True

    def stop(self) -> int:
        """Stop the process with SIGTERM, or with SIGKILL after `STOP_TIMEOUT`; return its exit code."""
        self.ask_to_stop()
        try:
            code = self.process.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            code = -signal.SIGKILL
        self.kill()  # also ends children that it left behind
        return code

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):  # the group is empty
            os.killpg(self.process.pid, number)
