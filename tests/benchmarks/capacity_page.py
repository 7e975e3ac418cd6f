"""`make capacity`: computes the tables of `ops/capacity.md` from `ops/capacity/measured.json`.

With `MEASURED=.bench/speed.json` it first replaces that file by a run of `make bench` (its section `fleet`).
"""

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from tests.benchmarks.capacity import DAY, Assumptions, Costs, Fleet, costs_of, fleet, most_accounts, waits

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "ops" / "capacity" / "measured.json"
DOCUMENT = ROOT / "ops" / "capacity.md"
PARTS = ("redis", "dispatcher", "worker", "webhook")
FEW = 50
DISK = re.compile("fdatasync|everysec|always")
_BLOCK = "(<!-- {} -->\n).*?(<!-- end -->)"


def keep(measured: Path) -> None:
    """Store what the page needs of a run of the benchmark.

    Raises:
        SystemExit: the run has no section `fleet`, or is a short one, whose figures mean nothing.
    """
    found = json.loads(measured.read_text())
    if "fleet" not in found["sections"] or found["short"]:
        raise SystemExit(
            f"{measured} has no full run of the section fleet: make bench ONLY=fleet OUT={measured}"
        )
    section = found["sections"]["fleet"]
    kept = {"started_at": found["started_at"], "machine": found["machine"], "runs": section["details"]}
    kept["figures"] = {figure["figure"]: figure["measured"] for figure in section["figures"]}
    KEPT.write_text(json.dumps(_rounded(kept), indent=1) + "\n")


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(each) for name, each in value.items()}
    return float(f"{value:.5g}") if isinstance(value, float) else value


def page(text: str, kept: Mapping[str, Any], given: Assumptions) -> str:
    """Replace the tables of the page. Text outside of the markers stays unchanged.

    Raises:
        ValueError: the page has no place for a table, or several.
    """
    costs = costs_of(kept["runs"])
    tables: dict[str, str] = {
        "machine": _machine(kept),
        "assumed": table(("assumed", ""), given.rows()),
        "measured": _measured(costs, kept, given),
        "carries": _carries(costs, kept, given),
        "fleet": _fleet(costs, given),
        "threads": _threads(given),
        "check": _check(costs, kept),
    }
    for name, lines in tables.items():
        block = re.compile(_BLOCK.format(name), re.DOTALL)
        if len(block.findall(text)) != 1:
            raise ValueError(
                f"ops/capacity.md has not one place for the table {name}: <!-- {name} --> … <!-- end -->"
            )
        text = block.sub(lambda found, lines=lines: f"{found[1]}{lines}\n{found[2]}", text)  # type: ignore[misc]
    return text


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def n(value: float) -> str:
    """Format a number: three digits, with commas between thousands."""
    if value >= 100:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:.3g}"


def size(value: float) -> str:
    """Format a number of bytes with its unit."""
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{n(value)} {unit}"


def _machine(kept: Mapping[str, Any]) -> str:
    machine = kept["machine"]
    return (
        f"Measured {kept['started_at'][:10]} on {machine['cores']} cores ({machine['cpu']}), load "
        f"{machine['load']:g}, shared with the sandbox, the pushes and other work; {machine['server']}, "
        f"Python {machine['python']}."
    )


def _measured(costs: Costs, kept: Mapping[str, Any], given: Assumptions) -> str:
    def row(label: str, name: str, show: Callable[[float], str] = n) -> tuple[str, ...]:
        cost = costs.fax[name]
        idle = show(costs.account[name]) if name in costs.account else "-"
        return label, show(cost.at(FEW)), show(cost.at(given.group)), idle

    rows = [row(f"CPU of {part}, ms", f"CPU ms {part}") for part in PARTS]
    rows += [row(f"Redis: {name}", name) for name in ("commands", "round trips")]
    rows += [row(name, name, size) for name in ("bytes to Redis", "bytes from Redis", "AOF bytes")]
    head = ("", f"a fax, {FEW} accounts", f"a fax, {given.group} accounts", "an idle account, a second")
    return table(head, rows) + "\n\n" + "\n".join(f"- {line}" for line in _processes(costs, kept))


def _processes(costs: Costs, kept: Mapping[str, Any]) -> list[str]:
    series = (f"{part} {n(count)}" for part, count in costs.series.items())
    scrapes = (f"{part} {n(1000 * seconds)}" for part, seconds in costs.scrape.items())
    memory = (f"{part} {size(line.at(FEW))} + {size(line.each)}" for part, line in costs.resident.items())
    connections = (
        f"{name.removeprefix('faxline-')} {count}"
        for name, count in sorted(costs.connections.items())
        if name.startswith("faxline-")
    )
    figures = kept["figures"]
    disk = (f"{name.removeprefix('… ')} {n(value)}" for name, value in figures.items() if DISK.search(name))
    return [
        "series an account (`FAXLINE_METRICS__FAILURES_FROM_ZERO=false`): " + ", ".join(series),
        "CPU ms of a scrape, an account: " + ", ".join(scrapes),
        f"memory (RSS) of a process with {FEW} accounts, and of each further account: " + ", ".join(memory),
        "connections, one process of each: " + ", ".join(connections),
        "the disk (ms; the rest without limits, one worker, no webhooks): " + "; ".join(disk),
    ]


def _carries(costs: Costs, kept: Mapping[str, Any], given: Assumptions) -> str:
    group, core, free = given.group, 1000 * given.full, given.memory * given.full
    always = kept["figures"]["faxes a second without limits, appendfsync always"]
    rate, long, days = given.rate, given.long_retention / DAY, given.retention / DAY
    record = given.retention * given.record
    written = given.document + costs.fax["bytes to Redis"].at(group)

    def by_cpu(part: str, in_group: float | None = None) -> float:
        return rate * most_accounts(lambda x: costs.cpu(part, x, x * rate, group=in_group), core)

    rates = [
        (f"a Redis' memory, records kept for {long:g} days", free / (given.long_retention * given.record)),
        (f"… for {days:g} day", free / record),
        ("… and the waiting faxes' documents", free / (record + given.backlog * given.document)),
        (f"a worker's threads, answers after {given.answer:g} s", given.threads * given.full / given.answer),
        ("a worker's core", core / costs.cpu("worker", 0, 1.0, group=group)),
        ("a dispatcher's core, all accounts in one group", by_cpu("dispatcher")),
        ("a webhook's core", core / costs.cpu("webhook", 0, 1.0, group=group)),
        (f"a Redis' core, groups of {group}", by_cpu("redis", group)),
        ("… where it waits for this disk (`always`)", always * given.full),
        ("a Redis' link, with documents", given.link * given.full / written),
    ]
    head = ("one of these", "faxes a second", "accounts at full quota")
    return table(head, [(name, n(each), n(each / rate)) for name, each in rates])


def _fleet(costs: Costs, given: Assumptions) -> str:
    fleets = [fleet(costs, given, accounts) for accounts in given.fleet]
    rows: list[tuple[str, Callable[[Fleet], str]]] = [
        ("faxes a second", lambda f: n(f.rate)),
        ("shards", lambda f: n(f.shards)),
        (f"a shard: workers of {given.threads} threads, and 1 spare", lambda f: n(f.shard_workers)),
        ("webhooks, and 1 spare", lambda f: n(f.shard_webhooks)),
        ("cores of its dispatchers", lambda f: n(f.dispatcher)),
        ("cores of its Redis", lambda f: n(f.redis)),
        ("memory of its Redis: records, documents", lambda f: size(f.shard_memory)),
        ("bytes to its Redis a second", lambda f: size(f.shard_link)),
        ("bytes to its AOF a second", lambda f: size(f.shard_aof)),
        ("connections to its Redis", lambda f: n(f.shard_clients)),
        ("all: workers", lambda f: n(f.workers)),
        ("memory of Redis", lambda f: size(f.memory)),
        ("series in Prometheus", lambda f: n(f.series)),
    ]
    head = ("accounts", *(f"{one.accounts:,}" for one in fleets))
    return table(head, [(name, *(show(one) for one in fleets)) for name, show in rows])


def _threads(given: Assumptions) -> str:
    rows = []
    least, most = given.answers
    for processes, full in product((1, 5, 100), (given.full, 0.8, 0.95)):
        threads = processes * given.threads
        late = waits(threads, threads * full / ((least + most) / 2), least, most)
        rows.append((f"{processes} x {given.threads}", f"{full:.0%}", n(1000 * late)))
    return table(("workers x threads", "busy", "wait for a thread, p99, ms"), rows)


def _check(costs: Costs, kept: Mapping[str, Any]) -> str:
    run = kept["runs"]["at full quota"]
    accounts, rate = run["accounts"], run["faxes a second"]
    rows = []
    for name, measured in run["busy"].items():
        if name == "CPU ms sandbox":
            continue
        computed = costs.account.get(name, 0.0) * accounts + rate * costs.fax[name].at(accounts)
        rows.append((f"{name} a second", n(computed), n(measured), f"{measured / computed:.2f}"))
    faxes = round(rate * run["seconds"])
    head = (f"{accounts} accounts, {faxes:,} faxes in {n(run['seconds'])} s", "computed", "measured", "ratio")
    return table(head, rows)


def main() -> None:
    """Write `ops/capacity.md`."""
    parser = argparse.ArgumentParser(prog="make capacity", description=__doc__)
    parser.add_argument("--measured", type=Path, help="a JSON file of make bench")
    options = parser.parse_args()
    if options.measured:
        keep(options.measured)
    text = page(DOCUMENT.read_text(), json.loads(KEPT.read_text()), Assumptions())
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    main()
