#!/usr/bin/env python3
"""honcho with a longer wait before SIGKILL, so that calls under way can end: `ops/patient_honcho.py start`.

honcho sends SIGKILL five seconds after the first process has ended, and has no option for that time. A call
to iFax may take the HTTP timeout, and a call that is cut off becomes a doubt.
"""

import sys

import honcho.manager
from honcho.command import main

WAIT = 140
"""Seconds: the longest call (110), the lease's grace (10), and room."""

if __name__ == "__main__":
    honcho.manager.KILL_WAIT = WAIT
    sys.exit(main())
