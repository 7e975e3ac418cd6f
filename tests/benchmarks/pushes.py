"""What is pushed: the bulk backlog, and an urgent fax every few seconds while it lasts."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Self
from zlib import crc32

URL = "https://example.com/letter.pdf"
AREA = 12_020_000_000
"""The faxes go to as many numbers after it, for a number receives one fax at a time."""


def fax(subject: str) -> dict[str, Any]:
    """The fax-send request of every fax here; its subject is the mark in the sandbox's ledger."""
    return {
        "faxNumber": f"+{AREA + 2_000_000 + crc32(subject.encode()) % 2_999_999}",
        "subject": subject,
        "faxData": [{"fileName": "letter.pdf", "fileUrl": URL}],
    }


def bulk_names(count: int) -> list[str]:
    """The names of a backlog's faxes."""
    return [f"bulk-{i}" for i in range(count)]


class UrgentPushes:
    """Pushes an urgent fax every few seconds, from a thread, until the context ends.

    Args:
        push: takes the fax's name.
        every: seconds from one to the next.
    """

    def __init__(self, push: Callable[[str], None], every: float) -> None:
        self._push = push
        self._every = every
        self._over = threading.Event()
        self._pushed: dict[str, float] = {}
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="urgent-pushes", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Push no more.

        Raises:
            RuntimeError: a push failed.
        """
        self._over.set()
        self._thread.join()
        if self._failure is not None:
            raise RuntimeError("an urgent fax could not be pushed") from self._failure

    @property
    def pushed(self) -> Mapping[str, float]:
        """When each was pushed, in Unix seconds."""
        return dict(self._pushed)

    def _run(self) -> None:
        try:
            while not self._over.wait(self._every):
                name = f"urgent-{len(self._pushed)}"
                self._pushed[name] = time.time()
                self._push(name)
        except Exception as error:  # noqa: BLE001 - it is raised where the thread is stopped
            self._failure = error
