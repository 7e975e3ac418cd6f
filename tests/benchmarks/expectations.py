"""How well a job's expected start, expectations right after its registration, agrees with its arrival."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from faxline import EventName, FaxLine, Job
from tests.benchmarks.figures import Spread, spread_of

NOT_AVAILABLE = "not available: a Job has no expected_start"
PATIENCE = 60.0
"""Seconds in which the whole backlog must be registered."""
LEAST_WAIT = 1.0
"""Seconds that a job must have waited for its error to be compared with its wait."""


@dataclass(frozen=True)
class ExpectedStart:
    """The errors: their absolute value in seconds, and as a share of the wait."""

    sampled: int
    without: int
    """Jobs that had no expected start when they were looked at, or no arrival by the end."""
    seconds: Spread | None
    of_the_wait: Spread | None


@dataclass
class Expectations:
    """Looks at some of the jobs of a backlog, each right after its registration.

    Args:
        client: for looks that are not counted.
        names: the jobs.
    """

    client: redis.Redis
    names: Sequence[str]
    _expected: dict[str, tuple[float, float | None]] = field(default_factory=dict)

    @property
    def available(self) -> bool:
        """Whether this version of Faxline tells when a job is expected to start."""
        return hasattr(Job, "expected_start")

    def look(self) -> None:
        """Follow the events until each job was registered, and look at it then."""
        wanted = set(self.names)
        with FaxLine(self.client) as line:
            for event in line.events(after="0", timeout=PATIENCE):
                if event.name == EventName.QUEUED and event.job in wanted:
                    expected: Any = getattr(line.job(event.job), "expected_start", None)
                    self._expected[event.job] = (time.time(), expected.timestamp() if expected else None)
                    wanted.discard(event.job)
                    if not wanted:
                        return

    def compare(self, arrived: Mapping[str, float]) -> ExpectedStart | str:
        """The errors, or why there are none."""
        if not self.available:
            return NOT_AVAILABLE
        expectations = [
            (looked, expected, arrived[name])
            for name, (looked, expected) in self._expected.items()
            if expected is not None and name in arrived
        ]
        return ExpectedStart(
            sampled=len(self._expected),
            without=len(self._expected) - len(expectations),
            seconds=spread_of([abs(expected - at) for _, expected, at in expectations]),
            of_the_wait=spread_of(
                [
                    abs(expected - at) / (at - looked)
                    for looked, expected, at in expectations
                    if at - looked >= LEAST_WAIT
                ]
            ),
        )
