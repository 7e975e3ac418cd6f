"""Redis comes back with a copy of its data that is some seconds old, as after a file was restored.

Faxline is to notice it and to pause the account (`state_rolled_back`). Operator and producer then do what the
runbook says: look, order it to go on, and push again what was pushed since the copy.
"""

import time
from collections.abc import Iterable
from pathlib import Path

from faxline import FaxLine, JobNotFound, QueueUnavailable
from faxline.reading.account_state import ROLLED_BACK
from faxline_chaos.evidence import Lost
from faxline_chaos.producer import Producer
from faxline_local.processes import wait_for
from faxline_local.stack import Local

WHILE_LOST, AFTER = 20, 5
"""Faxes that are pushed at once in the stretch that is lost, and as Redis comes back."""
PATIENCE = 60.0
"""Seconds in which a pushed fax is taken, and in which Faxline notices."""
SILENCE = 5.0
"""Seconds for which the account must stay open after the order: who looks late pauses it again."""


class Restore:
    """Puts older data back, and then is operator and producer.

    Args:
        local: the processes.
        producer: pushes meanwhile.
        folder: for the copies.
    """

    def __init__(self, local: Local, producer: Producer, folder: Path) -> None:
        self._local = local
        self._producer = producer
        self._folder = folder
        self.lost: list[Lost] = []
        """What each has lost."""

    def play(self, seconds: float) -> None:
        """Copy, let Faxline work for so many seconds on, put the copy back, and see it through."""
        copy = self._folder / f"copy-{len(self.lost)}"
        with FaxLine(self._local.redis_url) as line:
            since, begun = self._producer.done, time.time()
            self._local.server.copy_data(copy)
            self._producer.hurry(WHILE_LOST)
            wait_for(lambda: self._taken(line, since), PATIENCE)
            wait_for(lambda: False, seconds)
            self._local.server.restore_data(copy)
            ended = time.time()
            self._producer.hurry(AFTER)
            self._local.server.restart()
            noticed = wait_for(lambda: _rolled_back(line), PATIENCE)
            self.lost.append(
                self._recover(line, since, begun, ended) if noticed else Lost(begun, ended, noticed=False)
            )

    def _taken(self, line: FaxLine, since: int) -> bool:
        """Whether a dispatcher has taken what was pushed since."""
        pushed = self._producer.ids(since)
        return self._producer.over or (len(pushed) >= WHILE_LOST and _known(line, pushed[WHILE_LOST - 1]))

    def _recover(self, line: FaxLine, since: int, begun: float, ended: float) -> Lost:
        wait_for(lambda: not line.account_state().verifying, PATIENCE)  # no operator is faster than that
        calls, pushed, sent = 0, 0, set[str]()
        while (known := line.rollback()) is not None:
            calls, pushed = calls + len(known.calls), pushed + len(known.pushed)
            recovered = line.recover(by="chaos")
            sent |= {*recovered.in_doubt, *recovered.submitted, *recovered.settled}
            wait_for(lambda: _rolled_back(line), SILENCE)
        nameless = frozenset(_nameless(line, sent.intersection(self._producer.ids(since))))
        repeated = frozenset(self._producer.repeat(line, since))
        return Lost(
            begun, ended, noticed=True, calls=calls, pushed=pushed, repeated=repeated, nameless=nameless
        )


def _rolled_back(line: FaxLine) -> bool:
    try:
        return line.account_state().paused == ROLLED_BACK
    except QueueUnavailable:
        return False


def _known(line: FaxLine, name: str) -> bool:
    try:
        line.job(name)
    except (JobNotFound, QueueUnavailable):
        return False
    return True


def _nameless(line: FaxLine, names: Iterable[str]) -> list[str]:
    """Those whose record does not begin with their push."""
    return [name for name in names if line.job(name).history[0].event != "fax.queued"]
