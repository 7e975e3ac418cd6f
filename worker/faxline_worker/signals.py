"""A worker's SIGTERM, heeded once."""

import signal
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
