"""What the system knows of processes: who belongs together, and how much memory each has (Linux, /proc)."""

import re
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True)
class ProcessMemory:
    """Of one process.

    Args:
        resident: bytes in memory now (VmRSS).
        peak: the most it ever had (VmHWM).
        threads: how many it has.
    """

    resident: int
    peak: int
    threads: int


def memory_of(pid: int | str) -> ProcessMemory:
    """The memory of a process; `self` is this one."""
    status = (PROC / str(pid) / "status").read_text()

    def value(name: str) -> int:
        found = re.search(rf"^{name}:\s+(\d+)", status, re.MULTILINE)
        return int(found[1]) if found else 0

    return ProcessMemory(value("VmRSS") * 1024, value("VmHWM") * 1024, value("Threads"))


def group_of(leader: int) -> list[int]:
    """The processes of a process group that are there."""
    found = []
    for stat in PROC.glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it ended meanwhile
            continue
        if int(fields[2]) == leader:
            found.append(int(stat.parent.name))
    return found
