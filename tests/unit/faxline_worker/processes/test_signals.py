"""The signals that end a dispatcher or a worker."""

import subprocess
import sys

import pytest

PROGRAM = """
import os, signal
from faxline_worker.processes.common import stop_on_signals

signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup starts it
stop = stop_on_signals()
os.kill(os.getpid(), signal.SIGHUP)
print(stop.is_set())
for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
    os.kill(os.getpid(), number)
print(stop.is_set())
"""


@pytest.mark.slow
def test_a_second_signal_does_not_end_the_process_and_an_ignored_one_stays_ignored() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
