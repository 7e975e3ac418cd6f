"""Pushes faxes all the time, for tests of what happens meanwhile."""

import threading
from collections import Counter
from typing import Any

from faxline import FaxLine, QueueUnavailable

URL = "https://example.com/a.pdf"


class Producer:
    """Pushes one fax after the other from a thread of its own; one that fails again, with the same id."""

    def __init__(self, url: str, account: str = "default", **options: Any) -> None:
        self._line = FaxLine(url, account, **options)
        self.taken: list[str] = []
        self.failed: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._push)
        self._thread.start()

    def end(self) -> None:
        """Push no more."""
        self._stop.set()
        self._thread.join()
        self._line.close()

    def _push(self) -> None:
        while not self._stop.wait(0.02):
            name = f"{self._line.account}-{len(self.taken)}"
            number = f"+1202{6_000_000 + len(self.taken)}"
            try:
                self._line.send(to=number, files=[URL], id=name, subject=name)
            except QueueUnavailable as error:
                self.failed[type(error).__name__] += 1
            else:
                self.taken.append(name)
