"""The figures as tables for people and as JSON for machines."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from faxline_local.server_binaries import ServerBinary
from tests.benchmarks.accounts import Half, ManyAccounts
from tests.benchmarks.expectations import ExpectedStart
from tests.benchmarks.figures import Spread
from tests.benchmarks.race import Race
from tests.benchmarks.scale import Scale
from tests.benchmarks.way import WholeWay

NOTHING = "-"


@dataclass
class Report:
    """What a run has found so far."""

    scale: Scale
    server: ServerBinary
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    races: list[Race] = field(default_factory=list)
    whole_way: WholeWay | None = None
    accounts: ManyAccounts | None = None

    def write(self, path: Path) -> None:
        """Write all of it as one JSON document."""
        document = {
            "started_at": self.started_at.isoformat(timespec="seconds"),
            "machine": {
                "cpus": os.cpu_count(),
                "python": platform.python_version(),
                "server": f"{self.server.name} {self.server.version}",
            },
            "scale": asdict(self.scale),
            "contenders": {race.contender: asdict(race) for race in self.races},
            "whole_way": asdict(self.whole_way) if self.whole_way else None,
            "accounts": asdict(self.accounts) if self.accounts else None,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n")

    def show(self, console: Console) -> None:
        """Print the tables."""
        if self.races:
            console.print(_race_table(self.scale, self.races))
        for race in self.races:
            if race.expected_start is not None:
                console.print(_expected_table(race.expected_start))
        if self.whole_way:
            console.print(_way_table(self.whole_way))
        if self.accounts:
            console.print(_accounts_table(self.accounts))


def _race_table(scale: Scale, races: Sequence[Race]) -> Table:
    title = (
        f"{scale.requests} requests in {scale.window} s, {scale.concurrency} at once, bursts of {scale.burst}"
    )
    rows = {
        "faxes pushed, accepted": [f"{race.pushed}, {race.accepted}" for race in races],
        "accepted twice": [str(race.twice) for race in races],
        "share of the quota": [_share(race.quota) for race in races],
        "… after the first window, over": [f"{race.windows} windows" for race in races],
        "greatest count in a window": [str(race.most_in_window) for race in races],
        "429s": [_rate_limited(race) for race in races],
        "urgent faxes, still waiting": [
            f"{race.urgent.count if race.urgent else 0}, {race.urgent_waiting}" for race in races
        ],
        "urgent wait, median": [_seconds(race.urgent, "median") for race in races],
        "urgent wait, 95 %": [_seconds(race.urgent, "p95") for race in races],
        "urgent wait, greatest": [_seconds(race.urgent, "greatest") for race in races],
        "Redis commands a fax": [f"{race.commands_per_fax:.1f}" for race in races],
        "CPU a fax, all processes": [f"{race.cpu_seconds_per_fax * 1000:.1f} ms" for race in races],
    }
    return _table(title, ["", *(race.contender for race in races)], rows)


def _expected_table(expected: ExpectedStart | str) -> Table:
    if isinstance(expected, str):
        return _table("expected start", ["", "faxline"], {"error": [expected]})
    wait = expected.of_the_wait
    rows = {
        "jobs sampled": [str(expected.sampled)],
        "… without an estimate or an arrival": [str(expected.without)],
        "error, median": [_seconds(expected.seconds, "median")],
        "error, 95 %": [_seconds(expected.seconds, "p95")],
        "error of the wait, median": [_share(wait.median if wait else None)],
        "error of the wait, 95 %": [_share(wait.p95 if wait else None)],
    }
    return _table("expected start", ["", "faxline"], rows)


def _way_table(way: WholeWay) -> Table:
    rows = {
        "faxes pushed, delivered": [f"{way.pushed}, {way.delivered}"],
        "Redis commands a fax": [f"{way.commands_per_fax:.1f}"],
        "429s": [str(way.rate_limited)],
    }
    return _table("the whole way, with webhooks", ["", "faxline"], rows)


def _accounts_table(many: ManyAccounts) -> Table:
    def half(found: Half) -> str:
        return f"{_share(found.together)} (least {_share(found.least)})"

    rows = {
        f"share of the quota, {many.accounts - 1} sound accounts": [half(many.without)],
        "… while one account hangs": [half(many.hanging)],
        "calls of the hanging account": [str(many.hanging_calls)],
        "429s": [str(many.rate_limited)],
        "greatest count in a window": [str(many.most_in_window)],
    }
    title = f"{many.accounts} accounts of {many.requests} requests in {many.window} s each"
    return _table(title, ["", "faxline"], rows)


def _table(title: str, columns: Sequence[str], rows: dict[str, list[str]]) -> Table:
    table = Table(title=title, title_justify="left")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i else "left")
    for name, values in rows.items():
        table.add_row(name, *values)
    return table


def _rate_limited(race: Race) -> str:
    broken = ", ".join(f"{limit} {n}" for limit, n in race.rate_limited.items() if n)
    return f"{sum(race.rate_limited.values())}" + (f" ({broken})" if broken else "")


def _share(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.1%}"


def _seconds(spread: Spread | None, name: str) -> str:
    value: Any = getattr(spread, name, None)
    return NOTHING if value is None else f"{value:.2f} s"
