"""`python -m faxline_chaos chaos|fuzz`: what `make chaos` and `make fuzz` run."""

import secrets
import signal
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Annotated, get_args

import typer
from rich.console import Console
from rich.markup import escape

from faxline_chaos import baseline_run, campaign, nodes, report, rig
from faxline_chaos.document_fuzzing import run_document_fuzz
from faxline_chaos.faults import Profile, draw_faxes
from faxline_chaos.fuzzing import run_fuzz
from faxline_chaos.verdict import judge
from faxline_local.server_binaries import ServerBinary, find_servers
from tests.stepping_clock import COMPILER

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def chaos(
    faxes: Annotated[int, typer.Option(min=1)] = 2000,
    kills: Annotated[int, typer.Option(min=0)] = 100,
    seed: Annotated[
        int | None, typer.Option(help="Of all faults and kills; a random one by default.")
    ] = None,
    *,
    profile: Annotated[
        str, typer.Option(help="documented or field: how the sandbox behaves.")
    ] = "documented",
    cluster: Annotated[int, typer.Option(help="1 runs on six nodes, which have troubles.", min=0, max=1)] = 0,
    server: Annotated[str, typer.Option(help="redis or valkey; by default what there is.")] = "auto",
    baseline: Annotated[int, typer.Option(help="1 runs the plain Dramatiq actor too.", min=0, max=1)] = 0,
    logs: Annotated[
        Path | None, typer.Option(help="Where the logs go; a temporary folder by default.")
    ] = None,
) -> None:
    """Faxes under faults and kills; the exit code is 1 when one of the zeros is not."""
    console = Console()
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    folder = logs or Path(tempfile.mkdtemp(prefix="faxline-chaos-"))
    if profile not in get_args(Profile):
        raise typer.BadParameter(f"must be one of {', '.join(get_args(Profile))}", param_hint="--profile")
    chosen: Profile = "field" if profile == "field" else "documented"
    binary = _binary(server)
    command = f"make chaos FAXES={faxes} KILLS={kills} SEED={seed} PROFILE={chosen}"
    command += f" CLUSTER=1 SERVER={binary.name}" if cluster else ""
    console.print(f"[bold]{command}[/] runs this again")
    say = partial(console.print, soft_wrap=True)
    place = f", on a cluster of {binary.name} {binary.version}" if cluster else ""
    accounts = rig.ACCOUNTS if cluster else ("default",)
    drawn = draw_faxes(seed, faxes, profile=chosen, accounts=accounts)
    planned = campaign.plan(seed, kills, chosen, tuple(nodes.LENGTHS) if cluster else ())
    if COMPILER is None and not cluster:
        say("no C compiler here: Redis' clock does not step in this run")
    begun = time.monotonic()
    evidence = campaign.run(drawn, planned, seed, folder / "faxline", say=say, profile=chosen, binary=binary)
    findings = judge(drawn, evidence)
    rows = report.rows_of(drawn, planned, evidence, findings, time.monotonic() - begun)
    other = None
    if baseline:
        begun, fitting = time.monotonic(), baseline_run.baseline_hits(planned)
        end = baseline_run.run_baseline(drawn, fitting, seed, folder / "baseline", say=say, binary=binary)
        other = report.baseline_rows(drawn, fitting, end, time.monotonic() - begun)
    for text in report.findings_lines(findings):
        console.print(f"[red]{escape(text)}[/]", highlight=False)
    console.print(report.table(f"chaos, profile {chosen}, seed {seed}{place}", rows, other))
    if findings:
        console.print(f"[bold red]not proved[/]; again: {command}")
    raise typer.Exit(1 if findings else 0)


@app.command()
def fuzz(
    requests: Annotated[int, typer.Option(min=0, help="For the webhook.")] = 100_000,
    documents: Annotated[int, typer.Option(min=0, help="For the library and a dispatcher.")] = 2_000,
    seed: Annotated[int | None, typer.Option(help="Of all that is sent; a random one by default.")] = None,
    logs: Annotated[
        Path | None, typer.Option(help="Where the logs go; a temporary folder by default.")
    ] = None,
) -> None:
    """The webhook under random and mutated requests, intake under documents; 1 when something is wrong."""
    console = Console()
    seed = secrets.randbelow(1_000_000) if seed is None else seed
    folder = logs or Path(tempfile.mkdtemp(prefix="faxline-fuzz-"))
    again = f"make fuzz REQUESTS={requests} DOCUMENTS={documents} SEED={seed}"
    console.print(f"[bold]{again}[/] runs this again")
    wrong = []
    if documents:
        begun = time.monotonic()
        opened = run_document_fuzz(documents, seed, folder / "documents")
        console.print(report.document_table(documents, seed, opened, time.monotonic() - begun))
        wrong += opened.wrong()
    if requests:
        begun = time.monotonic()
        end = run_fuzz(requests, seed, folder / "requests")
        console.print(report.fuzz_table(requests, seed, end, time.monotonic() - begun))
        wrong += end.wrong()
    for text in wrong:
        console.print(f"[bold red]{escape(text)}[/]; again: {again}", highlight=False)
    raise typer.Exit(1 if wrong else 0)


def _binary(name: str) -> ServerBinary:
    for server in find_servers():
        if name in ("auto", server.name):
            return server
    raise typer.BadParameter(f"there is no {name} here", param_hint="--server")


def main() -> None:
    """The command's entry. SIGTERM ends a run as Ctrl-C does: with all that it started."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    app()


if __name__ == "__main__":
    main()
