"""`python -m tests.benchmarks`: measure the limits, and write what came out; `make bench-limits` calls it."""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from faxline_local.server_binaries import choose_server
from tests.benchmarks.accounts import run_accounts
from tests.benchmarks.contenders import CONTENDERS
from tests.benchmarks.race import run_race
from tests.benchmarks.report import Report
from tests.benchmarks.scale import FULL, SHORT
from tests.benchmarks.way import run_way

PARTS = (*CONTENDERS, "way", "accounts")


def main() -> None:
    """Measure what the options name, one after the other, and keep the figures after each."""
    options = _options()
    scale = SHORT if options.short else FULL
    given = {name: getattr(options, name) for name in ("faxes", "seconds", "accounts", "account_requests")}
    scale = replace(scale, **{name: value for name, value in given.items() if value is not None})
    console = Console()
    report = Report(scale, choose_server())
    shutil.rmtree(options.out.parent / "logs", ignore_errors=True)
    for part in options.only:
        console.print(f"[bold]{part}[/] …")
        logs = options.out.parent / "logs" / part
        if part == "way":
            report.whole_way = run_way(scale, logs)
        elif part == "accounts":
            report.accounts = run_accounts(scale, logs)
        else:
            report.races.append(run_race(CONTENDERS[part](scale), logs))
        report.write(options.out)
    report.show(console)
    console.print(f"written to {options.out}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-limits", description=__doc__)
    parser.add_argument("--faxes", type=int, help="the bulk backlog (what the limits let through)")
    parser.add_argument("--seconds", type=float, help="of each contender (300)")
    parser.add_argument("--accounts", type=int, help="accounts at once (50)")
    parser.add_argument("--account-requests", type=int, help="of each of them in a minute (60)")
    parser.add_argument("--only", type=_parts, default=PARTS, help=f"some of {','.join(PARTS)}")
    parser.add_argument("--out", type=Path, default=Path(".bench/limits.json"), help="the JSON file")
    parser.add_argument("--short", action="store_true", help="only prove that everything runs")
    return parser.parse_args()


def _parts(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    if unknown := set(names) - set(PARTS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(PARTS)}")
    return names


if __name__ == "__main__":
    main()
