"""A worker's SIGTERM: heeded once, and given where nobody is left to give it."""

import os
import signal
import threading
import time
from types import FrameType

MOMENTS = 5.0
"""Seconds in which a further SIGTERM is the same one."""


def heed_once() -> None:
    """Let the handler of SIGTERM, a second call of which kills, take no notice of one that comes twice.

    dramatiq's main process passes a SIGTERM on to the worker's. Whoever signals a whole process group, as
    honcho does, so gives the worker two of them at once, and its calls would be cut. Call it in the process's
    main thread, when the handler is there.
    """
    handler = signal.getsignal(signal.SIGTERM)
    first: float | None = None

    def heed(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is not None and now - first < MOMENTS:
            return
        first = now if first is None else first
        if callable(handler):
            handler(number, frame)

    if callable(handler):
        signal.signal(signal.SIGTERM, heed)


def end_with_parent(every: float = 1.0) -> None:
    """Have this process end in good order, as by SIGTERM, once its parent has died.

    dramatiq's main process may be killed. The worker that it forked would go on with nobody to stop it, and
    the one that is started in its place would find the port taken.

    Args:
        every: seconds between two looks.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()
