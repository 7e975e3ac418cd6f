"""What was measured: figures with their baselines and what is wanted, as a table and as JSON."""

import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from rich.columns import Columns
from rich.console import Console
from rich.table import Table

from faxline_local.server_binaries import ServerBinary

NOTHING = "-"
Of = Literal["value", "ratio"]


@dataclass(frozen=True)
class Wanted:
    """What a figure is to reach.

    Args:
        bound: the number.
        most: whether it is the most, and not the least, that is wanted.
        of: whether it is about the figure itself or its ratio to the baseline.
    """

    bound: float
    most: bool = False
    of: Of = "value"

    def __str__(self) -> str:
        ratio = "ratio " if self.of == "ratio" else ""
        return f"{ratio}{'≤' if self.most else '≥'} {_number(self.bound)}"


@dataclass(frozen=True)
class Figure:
    """One figure.

    Args:
        name: what it is.
        measured: of Faxline.
        unit: of both numbers.
        baseline: the same of something simpler, in the same run.
        beside: what the baseline is.
        wanted: what it is to reach, where something is.
    """

    name: str
    measured: float
    unit: str = ""
    baseline: float | None = None
    beside: str = ""
    wanted: Wanted | None = None

    @property
    def ratio(self) -> float | None:
        """To the baseline."""
        return self.measured / self.baseline if self.baseline else None

    @property
    def reached(self) -> bool | None:
        """Whether what is wanted is reached; None where nothing is wanted."""
        if self.wanted is None:
            return None
        value = self.ratio if self.wanted.of == "ratio" else self.measured
        if value is None:
            return None
        return value <= self.wanted.bound if self.wanted.most else value >= self.wanted.bound

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "figure": self.name,
            "measured": self.measured,
            "unit": self.unit,
            "baseline": self.baseline,
            "beside": self.beside or None,
            "ratio": self.ratio,
            "wanted": str(self.wanted) if self.wanted else None,
            "reached": self.reached,
        }


@dataclass
class Section:
    """The figures of one part, and what else was seen.

    Args:
        name: of the part.
        figures: in their order.
        details: tables of names and numbers, and whatever else goes into the JSON.
    """

    name: str
    figures: list[Figure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, measured: float, unit: str = "", **more: Any) -> None:
        """One more figure; further members are those of `Figure`."""
        self.figures.append(Figure(name, measured, unit, **more))


@dataclass
class Sheet:
    """What a run has found so far."""

    server: ServerBinary
    short: bool
    sections: list[Section] = field(default_factory=list)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def write(self, path: Path) -> None:
        """Write all of it as one JSON document."""
        document = {
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "short": self.short,
            "machine": machine(self.server),
            "sections": {
                section.name: {
                    "figures": [figure.to_dict() for figure in section.figures],
                    "details": section.details,
                }
                for section in self.sections
            },
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")

    def show(self, console: Console) -> None:
        """Print the machine and the tables."""
        console.print(", ".join(f"{name} {value}" for name, value in machine(self.server).items()))
        for section in self.sections:
            console.print(_table(section))
            for title, found in section.details.items():
                if isinstance(found, Mapping) and all(isinstance(n, (int, float)) for n in found.values()):
                    console.print(f"[italic]{title}[/]")
                    console.print(_breakdown(found))
                elif isinstance(found, list) and all(isinstance(one, str) for one in found):
                    console.print(f"[italic]{title}:[/] {', '.join(found[:10]) or 'none'}", markup=True)


def machine(server: ServerBinary) -> dict[str, Any]:
    """On what it was measured."""
    return {
        "cpu": _first(r"^model name\s*: (.+)$", Path("/proc/cpuinfo")) or platform.processor(),
        "cores": os.cpu_count(),
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "kernel": platform.release(),
        "python": platform.python_version(),
        "server": f"{server.name} {server.version}",
        "load": round(os.getloadavg()[0], 2),
    }


def _first(pattern: str, path: Path) -> str | None:
    found = re.search(pattern, path.read_text(), re.MULTILINE) if path.exists() else None
    return found[1] if found else None


def _table(section: Section) -> Table:
    table = Table(title=section.name, title_justify="left")
    for i, column in enumerate(("figure", "measured", "baseline", "ratio", "wanted", "reached")):
        table.add_column(column, justify="right" if 1 <= i <= 3 else "left")
    for figure in section.figures:
        beside = f" ({figure.beside})" if figure.beside else ""
        table.add_row(
            figure.name,
            f"{_number(figure.measured)} {figure.unit}".strip(),
            NOTHING if figure.baseline is None else f"{_number(figure.baseline)}{beside}",
            NOTHING if figure.ratio is None else f"{figure.ratio:.2f}",
            NOTHING if figure.wanted is None else str(figure.wanted),
            {True: "yes", False: "NO", None: NOTHING}[figure.reached],
        )
    return table


def _breakdown(found: Mapping[str, float]) -> Columns:
    return Columns(
        [f"{name} [bold]{value:.2f}[/]" for name, value in found.items()], column_first=True, padding=(0, 3)
    )


def _number(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def median(values: Sequence[float]) -> float:
    """The middle one; of two, the lower."""
    return sorted(values)[(len(values) - 1) // 2]
