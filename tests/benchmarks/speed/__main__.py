"""`python -m tests.benchmarks.speed`: measure speed and size beside baselines; `make bench` calls it."""

import argparse
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from faxline_local.server_binaries import choose_server
from tests.benchmarks.speed.backlog import run_backlog
from tests.benchmarks.speed.bounds import run_bounds
from tests.benchmarks.speed.fleet import run_fleet
from tests.benchmarks.speed.intake import run_intake
from tests.benchmarks.speed.latency import run_latency
from tests.benchmarks.speed.resident import run_resident
from tests.benchmarks.speed.scaling import run_scaling
from tests.benchmarks.speed.sheet import Section, Sheet
from tests.benchmarks.speed.size import FULL, SHORT, Size
from tests.benchmarks.speed.starts import run_starts
from tests.benchmarks.speed.throughput import run_throughput
from tests.benchmarks.speed.ways import run_ways
from tests.benchmarks.speed.webhooks import run_webhooks

SECTIONS: Mapping[str, Callable[[Size, Path], Section]] = {
    "throughput": run_throughput,
    "commands": run_ways,
    "intake": run_intake,
    "latency": run_latency,
    "backlog": run_backlog,
    "bounds": run_bounds,
    "webhooks": run_webhooks,
    "memory": run_resident,
    "start-up": run_starts,
    "scaling": run_scaling,
    "fleet": run_fleet,
}


def main() -> None:
    """Measure what the options name, one after the other, and keep the figures after each."""
    options = _options()
    size = SHORT if options.short else FULL
    console = Console(width=130)
    sheet = Sheet(choose_server(), options.short)
    for name in options.only:
        logs = options.out.parent / "logs" / name
        shutil.rmtree(logs, ignore_errors=True)
        began = time.monotonic()
        sheet.sections.append(SECTIONS[name](size, logs))
        console.print(f"[bold]{name}[/] took {time.monotonic() - began:.0f} s")
        sheet.write(options.out)
    sheet.show(console)
    console.print(f"written to {options.out}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument(
        "--only", type=_sections, default=tuple(SECTIONS), help=f"some of {','.join(SECTIONS)}"
    )
    parser.add_argument("--out", type=Path, default=Path(".bench/speed.json"), help="the JSON file")
    parser.add_argument("--short", action="store_true", help="only prove that everything runs")
    return parser.parse_args()


def _sections(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(SECTIONS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(SECTIONS)}")
    return names


if __name__ == "__main__":
    main()
