"""The CPU time that processes have used, from /proc (Linux)."""

import os
from collections.abc import Mapping
from pathlib import Path

from tests.benchmarks.processes import PROC, group_of

TICK = os.sysconf("SC_CLK_TCK")


def cpu_of(pid: int) -> float:
    """Seconds of user and system time of one process, its threads included; 0 where it has ended."""
    try:
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICK


def cpu_of_group(leader: int) -> float:
    """The same of a process group."""
    return sum(cpu_of(pid) for pid in group_of(leader))


class Usage:
    """The CPU time of some parts from now on.

    Args:
        groups: the process groups' leaders of each part, by its name.
        single: single processes, likewise.
    """

    def __init__(self, groups: Mapping[str, list[int]], single: Mapping[str, int]) -> None:
        self._groups = groups
        self._single = single
        self._begun = self._now()

    def seconds(self) -> dict[str, float]:
        """What each part has used since."""
        now = self._now()
        return {name: now[name] - self._begun[name] for name in now}

    def _now(self) -> dict[str, float]:
        found = {name: sum(map(cpu_of_group, leaders)) for name, leaders in self._groups.items()}
        return found | {name: cpu_of(pid) for name, pid in self._single.items()}


def resident(pid: int) -> int:
    """Bytes in memory."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
