"""What open live pages of the console cost Redis: they hear of events, and load their live part anew."""

import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from faxline.contract.redis_keys import RedisKeys
from faxline_console.access.people import Role
from tests.benchmarks.archive_faxes import ACCOUNT
from tests.benchmarks.console_rig import MAILING, Rig, Somebody, event, role_name

PAGES = {
    "nobody looks": "",
    "faxes": "/faxes",
    "a mailing": f"/mailings/{ACCOUNT}/{MAILING}",
    "what needs attention": "/attention",
}
RELOADED = frozenset({"a mailing", "what needs attention"})
"""Those of which a part is loaded again; the others only say that they are old."""
EVENTS = 5.0
"""Events a second."""
SECONDS = 60.0
PATIENCE = 60.0
"""Seconds that a page waits for a line of its stream."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What open pages cost Redis.

    Attributes:
        page: which.
        viewers: how many were open.
        events: that happened, a second.
        commands: of Redis, a second, of all of them.
    """

    page: str
    viewers: int
    events: float
    commands: float


class Viewer(threading.Thread):
    """An open page, as static/console.js keeps it."""

    def __init__(self, person: Somebody, page: str, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self._person = person
        self._page = page
        self._over = over
        self.opened = threading.Event()
        self.told = 0

    def run(self) -> None:
        """Listen until it is over."""
        client, last = self._person.client, time.monotonic()
        every = _every(client.get(PAGES[self._page]).text)
        with client.stream("GET", "/live", timeout=PATIENCE) as stream:
            self.opened.set()
            for line in stream.iter_lines():
                if self._over.is_set():
                    return
                if not line.startswith("event: changed"):
                    continue
                self.told += 1
                if self._page in RELOADED and time.monotonic() - last >= every:
                    last = time.monotonic()
                    every = _every(client.get(PAGES[self._page]).text)


def costs(
    rig: Rig,
    pages: Sequence[str] | dict[str, str],
    numbers: Sequence[int] = (1, 20),
    seconds: float = SECONDS,
) -> Iterator[Cost]:
    """Count the commands of Redis while so many have a page open."""
    for page in pages:
        for viewers in numbers if PAGES[page] else (0,):
            with ExitStack() as stack:
                over = threading.Event()
                people = [stack.enter_context(rig.person(role_name(Role.OPERATOR))) for _ in range(viewers)]
                opened = [Viewer(person, page, over) for person in people]
                for viewer in opened:
                    viewer.start()
                for viewer in opened:
                    assert viewer.opened.wait(PATIENCE), "the stream does not open"
                yield _count(rig, page, viewers, seconds)
                over.set()
                _tell(rig)  # the last, on which they end
                for viewer in opened:
                    viewer.join(PATIENCE)
                    assert viewer.told, "a viewer was told of nothing"


def _every(page: str) -> float:
    """Seconds between two loads at least, as the page says."""
    found = re.search(r'data-every="([\d.]+)"', page)
    return float(found[1]) if found else 0.0


def _tell(rig: Rig) -> None:
    rig.redis.xadd(RedisKeys(ACCOUNT).events, event("fax.delivered"))


def _count(rig: Rig, page: str, viewers: int, seconds: float) -> Cost:
    """Let events happen for so long, and count the commands meanwhile."""
    pause = threading.Event()
    before, begin, told = rig.commands(), time.monotonic(), 0
    while (passed := time.monotonic() - begin) < seconds:
        _tell(rig)
        told += 1
        pause.wait(max(0.0, told / EVENTS - passed))
    took = time.monotonic() - begin
    return Cost(page, viewers, told / took, (rig.commands() - before) / took)
