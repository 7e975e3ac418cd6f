"""A worker's SIGTERM."""

import subprocess
import sys

FORKS = """
import os, signal, sys, time
from faxline_worker.processes.signals import end_with_parent

if os.fork() == 0:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(print("ended", flush=True)))
    end_with_parent(every=0.01)
    print("began", flush=True)
time.sleep(60)
"""


def test_a_worker_whose_main_process_is_killed_ends_in_good_order() -> None:
    with subprocess.Popen([sys.executable, "-c", FORKS], stdout=subprocess.PIPE, text=True) as main:
        assert main.stdout is not None
        assert main.stdout.readline() == "began\n"
        main.kill()
        assert main.stdout.read() == "ended\n"
