"""`faxline-worker demo`: faxes real PDFs through all of Faxline on this machine, and shows the results."""

import json
import tempfile
from collections import Counter
from pathlib import Path
from statistics import mean
from typing import Any

import pypdfium2
import redis
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from faxline import FaxLine, Job
from faxline_local.console import start_console
from faxline_local.processes import wait_for
from faxline_local.stack import ARCHIVES, Local

PDFS = {"letter.pdf": 2, "contract.pdf": 5, "report.pdf": 9}
"""The files that are made for the demo, and their page counts."""
TIME = 120.0
A4 = (595, 842)
ENDS = {"fax.delivered", "fax.failed", "fax.rejected", "fax.canceled", "fax.unconfirmed"}


def run(faxes: int) -> int:
    """Run the demo.

    Args:
        faxes: number of PDFs, in addition to one fax by URL and one by XADD.

    Returns:
        The exit code: 0 if every fax was delivered once and iFax answered no 429.
    """
    console = Console()
    with tempfile.TemporaryDirectory(prefix="faxline-demo-") as folder:
        directory = Path(folder)
        paths = [_pdf(directory / name, pages) for name, pages in PDFS.items()]
        console.print(
            f"[bold]Faxline demo[/]: {faxes + 2} faxes through Redis, Dramatiq, HTTP and a signed webhook"
        )
        sandbox = ("--call-seconds", "1", "--page-seconds", "0.3")
        with Local(directory / "logs", archives=ARCHIVES, sandbox=sandbox) as local:
            server = local.server.binary
            console.print(
                f"all parts are up; the server is {server.name} {server.version} on {local.redis_url}"
            )
            if started := start_console(local, directory):
                console.print(f"watch it in the console: {started.link}", soft_wrap=True)
            with FaxLine(local.redis_url) as line:
                names = _push(line, paths, faxes)
                _push_by_hand(local.redis_url)
                names.append("by-hand")
                _follow(console, line, names)
                jobs = [line.job(name) for name in names]
            settled = wait_for(lambda: all(fax["webhooks"] for fax in local.ledger()), 10)
            ledger, stats = local.ledger(), local.stats()
        return _show(console, jobs, ledger, stats, settled=settled, codes=local.exit_codes)


def _pdf(path: Path, pages: int) -> Path:
    document = pypdfium2.PdfDocument.new()
    for _ in range(pages):
        document.new_page(*A4)
    document.save(path)
    document.close()
    return path


def _push(line: FaxLine, paths: list[Path], faxes: int) -> list[str]:
    priorities = ("urgent", "normal", "bulk")
    jobs = [
        line.send(
            to=f"+1202555{1100 + i}",
            files=[paths[i % len(paths)]],
            id=f"demo-{i}",
            subject=f"demo-{i}",
            priority=priorities[i % len(priorities)],
        )
        for i in range(faxes)
    ]
    jobs.append(
        line.send(to="+12025551099", files=["https://example.com/letter.pdf"], id="by-url", subject="by-url")
    )
    return [job.id for job in jobs]


def _push_by_hand(url: str) -> None:
    """Push a fax as any service can, in any language: by one XADD."""
    fax = {
        "faxNumber": "+12025551098",
        "subject": "by-hand",
        "faxData": [{"fileName": "letter.pdf", "fileUrl": "https://example.com/letter.pdf"}],
    }
    with redis.Redis.from_url(url) as client:
        client.xadd("fax:{default}:intake", {"send": json.dumps({"id": "by-hand", "fax": fax})})


def _follow(console: Console, line: FaxLine, names: list[str]) -> None:
    columns = (TextColumn("{task.description:>10}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    waited = set(names)
    with Progress(*columns, console=console) as progress:
        submitted = progress.add_task("submitted", total=len(names))
        delivered = progress.add_task("delivered", total=len(names))
        for event in line.events(after="0", timeout=TIME):
            if event.name == "fax.submitted":
                progress.advance(submitted)
            if event.name in {
                "fax.delivered",
                "fax.failed",
                "fax.rejected",
                "fax.canceled",
                "fax.unconfirmed",
            }:
                progress.advance(delivered)
                waited.discard(event.job)
                if not waited:
                    break


def _show(
    console: Console,
    jobs: list[Job],
    ledger: list[dict[str, Any]],
    stats: dict[str, Any],
    *,
    settled: bool,
    codes: dict[str, int],
) -> int:
    states = Counter(str(job.state) for job in jobs)
    waits = [_queued(job) for job in jobs]
    marks = Counter(fax["subject"] for fax in ledger)
    refused = _rate_limited(stats)
    twice = sum(1 for n in marks.values() if n > 1)
    table = Table(title="what came out", show_header=False)
    rows = {
        "jobs": str(len(jobs)),
        "states": ", ".join(f"{n} {state}" for state, n in sorted(states.items())),
        "pages": f"{sum(j.pages or 0 for j in jobs)}, {sum(j.transferred or 0 for j in jobs)} transferred",
        "time in queue": f"{mean(waits):.2f} s on average, {max(waits):.2f} s at most",
        "429s": str(refused),
        "the sandbox's ledger": f"{len(ledger)} accepted, {twice} of them twice",
        "webhooks": "all answered" if settled else "some unanswered",
        "exit codes": ", ".join(f"{name} {code}" for name, code in sorted(codes.items())),
    }
    for name, value in rows.items():
        table.add_row(name, value)
    console.print(table)
    good = set(states) == {"delivered"} and len(ledger) == len(jobs) and not twice and not refused
    console.print("[green]every fax was delivered, once[/]" if good else "[red]something is wrong[/]")
    return 0 if good and not any(codes.values()) else 1


def _rate_limited(stats: dict[str, Any]) -> int:
    """The number of 429s that the sandbox counted, for all limits."""
    return sum(sum(account["rate_limited"].values()) for account in stats.values())


def _queued(job: Job) -> float:
    """Seconds from registration to acceptance, by the job's history."""
    times = {step.event: step.at for step in job.history}
    if "fax.queued" not in times or "fax.submitted" not in times:
        return 0.0
    return (times["fax.submitted"] - times["fax.queued"]).total_seconds()
