"""The producer of a run: pushes each fax at its time, whatever happens to Redis."""

import threading
from collections.abc import Callable, Iterator, Sequence

from faxline import FaxLine, QueueUnavailable
from faxline_chaos.faults import Fax
from faxline_chaos.schedule import Timetable
from tests.hostile_files import plain_pdf

URL = "https://example.com/chaos.pdf"
"""Of a fax without a document; the sandbox never fetches it."""
LETTER = plain_pdf(2)
AGAIN = 0.1
"""Seconds until the next push of a fax that Redis did not take."""
_LOOK = 0.02


def pushes(faxes: Sequence[Fax], times: Sequence[float], due: Callable[[float], bool]) -> Iterator[Fax]:
    """Each fax, when its time is due."""
    pause = threading.Event()
    for fax, at in zip(faxes, times, strict=True):
        while not due(at):
            pause.wait(_LOOK)
        yield fax


class Producer(threading.Thread):
    """Pushes each fax at its time; while Redis is away again and again, with the same id."""

    done: int = 0
    """How many Redis has taken: the first of the faxes."""

    def __init__(
        self, line: FaxLine, faxes: Sequence[Fax], times: Sequence[float], timetable: Timetable
    ) -> None:
        super().__init__(name="producer", daemon=True)
        self._line = line
        self._faxes = faxes
        self._times = times
        self._timetable = timetable
        self._ahead = 0
        self._lock = threading.Lock()

    def run(self) -> None:
        """Push all."""
        for fax in pushes(self._faxes, self._times, self._due):
            push(self._line, fax)
            self.done += 1

    @property
    def over(self) -> bool:
        """Whether all are pushed."""
        return self.done == len(self._faxes)

    def ids(self, since: int) -> list[str]:
        """What Redis has taken after the first so many."""
        return [fax.id for fax in self._faxes[since : self.done]]

    def hurry(self, count: int) -> None:
        """Have so many of the next faxes pushed at once, whatever their time is."""
        with self._lock:
            self._ahead += count

    def repeat(self, line: FaxLine, since: int) -> list[str]:
        """Push again all but the first so many of those that Redis had taken; their ids."""
        again = self._faxes[since : self.done]
        for fax in again:
            push(line, fax)
        return [fax.id for fax in again]

    def _due(self, at: float) -> bool:
        if self._timetable.due(at):
            return True
        with self._lock:
            ahead = self._ahead > 0
            self._ahead -= ahead
        return ahead


def push(line: FaxLine, fax: Fax, give_up: threading.Event | None = None) -> None:
    """Push a fax, again and again until Redis takes it, or until it is given up."""
    give_up = give_up or threading.Event()
    while not _pushed(line, fax) and not give_up.wait(AGAIN):
        pass


def _pushed(line: FaxLine, fax: Fax) -> bool:
    try:
        line.send(
            to=fax.number,
            files=[("letter.pdf", LETTER) if fax.document else URL],
            id=fax.id,
            subject=fax.id,
            priority=fax.priority,
            in_doubt=fax.policy,
        )
    except QueueUnavailable:
        return False
    return True
