"""`python -m tests.benchmarks.memory`: the memory of a worker with many large documents on their way at once.

`make bench-memory` calls it. The same documents are then sent by a bare loop that builds each body whole.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from faxline import EventName, FaxLine, JobState
from faxline.contract.page_count import digest
from faxline_local.processes import Part, wait_for
from faxline_local.stack import DEFAULT, TOKEN, Local
from tests.benchmarks.processes import group_of, memory_of
from tests.benchmarks.whole_bodies import Setup
from tests.hostile_files import ONE_PAGE, pdf

MEGABYTE = 1_000_000
PATIENCE = 180.0
"""Seconds for which anything is awaited."""


@dataclass(frozen=True)
class Load:
    """How much is sent at once.

    Args:
        calls: documents, threads and calls at once.
        size: bytes of each document.
        hold: seconds that the sandbox keeps each answer back, so that all calls are under way at once.
    """

    calls: int = 20
    size: int = 14 * MEGABYTE
    hold: float = 10.0


FULL, SHORT = Load(), Load(calls=6, size=6 * MEGABYTE, hold=1.0)


@dataclass(frozen=True)
class Memory:
    """What was found; memory in bytes, resident.

    Attributes:
        calls, size: of the load.
        at_once: the most calls of the worker that the sandbox had open at once.
        accepted: the worker's faxes that the sandbox accepted.
        idle: of the worker process with nothing to do.
        sending: of the worker process while all calls were under way.
        peak: the most that the worker process ever had.
        processes_peak: the same of all of the worker's processes together, what they share counted twice.
        whole_idle, whole_peak: of the bare loop, before its first and after its last call.
        commands: Redis commands that read documents, of the worker.
    """

    calls: int
    size: int
    at_once: int
    accepted: int
    idle: int
    sending: int
    peak: int
    processes_peak: int
    whole_idle: int
    whole_peak: int
    commands: int


def filled_pdf(size: int, mark: int) -> bytes:
    """A PDF of one page and about so many bytes, most of them in a stream; other marks, other bytes."""
    filling = (b"%08d" % mark) * (size // 8)
    return pdf([*ONE_PAGE, b"<</Length %d>>stream\n%b\nendstream" % (len(filling), filling)])


def run_memory(load: Load, directory: Path) -> Memory:
    """Send the documents by a worker, then by the bare loop, and look at the memory of both."""
    parts = Local(
        directory,
        threads=load.calls,
        webhooks=0,
        settings={"HTTP_TIMEOUT": f"{PATIENCE:g}", "NUMBERS__CONCURRENT": "0"},
        sandbox=("--answer-seconds", f"{load.hold:g}", f"{load.hold:g}", "--burst", str(2 * load.calls)),
    )
    with parts as local, FaxLine(local.redis_url) as line:
        line.pause(by="benchmark")
        documents = list(_push(line, load))
        _await(lambda: all(_queued(line, name) for name, _ in documents), "not all faxes are queued")
        worker = local.part(local.names("worker")[0])
        caller = max(group_of(worker.process.pid), key=lambda pid: memory_of(pid).threads)
        idle = memory_of(caller).resident
        before = _reads(local.redis_url)
        line.resume(by="benchmark")
        _await(lambda: _stats(local)["max_concurrent"] >= load.calls, "not all calls are under way")
        _await(lambda: _stats(local)["accepted"] >= load.calls, "not all faxes are accepted")
        sending = memory_of(caller).resident
        _submitted(line, load.calls)
        reads = _reads(local.redis_url) - before
        found, stats = memory_of(caller), _stats(local)
        together = sum(memory_of(pid).peak for pid in group_of(worker.process.pid))
        whole = _loop(local, [key for _, key in documents], load)
    return Memory(
        calls=load.calls,
        size=load.size,
        at_once=stats["max_concurrent"],
        accepted=stats["accepted"],
        idle=idle,
        sending=sending,
        peak=found.peak,
        processes_peak=together,
        whole_idle=whole["idle"],
        whole_peak=whole["peak"],
        commands=reads,
    )


def _push(line: FaxLine, load: Load) -> Iterator[tuple[str, str]]:
    """Push the faxes; their names and the keys of their documents."""
    for i in range(load.calls):
        data = filled_pdf(load.size, i)
        line.send(to="+12025550123", files=[("large.pdf", data)], id=f"large-{i}")
        yield f"large-{i}", line.keys.document(digest(data).removeprefix("sha256:"))


def _queued(line: FaxLine, name: str) -> bool:
    return any(job.id == name for job in line.jobs(state=JobState.QUEUED))


def _stats(local: Local) -> Any:
    return local.stats()[DEFAULT]


def _submitted(line: FaxLine, count: int) -> None:
    left = count
    for event in line.events(after="0", timeout=PATIENCE):
        left -= event.name == EventName.SUBMITTED
        if not left:
            return


def _reads(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        stats: Any = client.info("commandstats")
        names = ("cmdstat_get", "cmdstat_getrange", "cmdstat_strlen")
        return sum(int(stats.get(name, {}).get("calls", 0)) for name in names)


def _loop(local: Local, keys: Sequence[str], load: Load) -> dict[str, int]:
    setup = Setup(local.redis_url, local.ifax_url, TOKEN, tuple(keys), PATIENCE)
    command = [sys.executable, "-m", "tests.benchmarks.whole_bodies"]
    part: Part = local.add("whole", command, local.environment() | setup.environment())
    _await(lambda: part.process.poll() is not None, f"{load.calls} whole bodies are not sent")
    found: dict[str, int] = json.loads(part.log.read_text().splitlines()[-1])
    return found


def _await(condition: Any, failure: str) -> None:
    if not wait_for(condition, PATIENCE, every=0.2):
        raise TimeoutError(f"{failure} after {PATIENCE:g} s")


def show(memory: Memory, console: Console) -> None:
    """Print the table."""
    table = Table(title="resident memory", title_justify="left")
    for i, column in enumerate(("", "the worker", "a bare loop with whole bodies")):
        table.add_column(column, justify="right" if i else "left")
    at_once, size = memory.at_once, _megabytes(memory.size)
    table.add_row("idle", _megabytes(memory.idle), _megabytes(memory.whole_idle))
    table.add_row(f"with {at_once} calls of {size} under way", _megabytes(memory.sending), "")
    table.add_row("at the most", _megabytes(memory.peak), _megabytes(memory.whole_peak))
    table.add_row("… all its processes together", _megabytes(memory.processes_peak), "")
    table.add_row("reads of Redis a document", f"{memory.commands / memory.calls:.1f}", "1.0")
    console.print(table)


def _megabytes(value: int) -> str:
    return f"{value / MEGABYTE:.0f} MB"


def main() -> None:
    """Measure, print and write what was found."""
    parser = argparse.ArgumentParser(prog="make bench-memory", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(".bench/memory.json"), help="the JSON file")
    parser.add_argument("--short", action="store_true", help="only prove that everything runs")
    options = parser.parse_args()
    logs = options.out.parent / "logs" / "memory"
    shutil.rmtree(logs, ignore_errors=True)
    memory = run_memory(SHORT if options.short else FULL, logs)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(asdict(memory), indent=2) + "\n")
    console = Console()
    show(memory, console)
    console.print(f"written to {options.out}")


if __name__ == "__main__":
    main()
