#!/usr/bin/env python3
"""honcho, but that it waits for calls under way: `ops/patient_honcho.py start`.

honcho sends SIGKILL five seconds after the first process has ended, and has no option for it. A call to iFax
may take the HTTP timeout, and one that is cut is in doubt.
"""

import sys

import honcho.manager
from honcho.command import main

WAIT = 140
"""Seconds: the longest call (110), the lease's grace (10), and room."""

if __name__ == "__main__":
    honcho.manager.KILL_WAIT = WAIT
    sys.exit(main())
