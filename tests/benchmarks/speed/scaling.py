"""The throughput of several processes, and which resource is full."""

import os
from contextlib import closing
from itertools import product
from pathlib import Path

from faxline_local.stack import Local
from tests.benchmarks.speed.endpoint import Stub
from tests.benchmarks.speed.rounds import Field, account_names
from tests.benchmarks.speed.sheet import Section
from tests.benchmarks.speed.size import Size
from tests.benchmarks.speed.ways import FREE

THREADS = 20


def run_scaling(size: Size, logs: Path) -> Section:
    """From the intake on, to the stub; how much of a core each part uses meanwhile."""
    section = Section("scaling")
    accounts = account_names(size.accounts)
    with closing(Stub(logs)) as stub:
        settings = {**FREE, "IFAX_URL": stub.url}
        first: float | None = None
        for dispatchers, workers in product(size.dispatchers, size.workers):
            name = f"{workers} workers, {dispatchers} dispatchers"
            with Local(
                logs / f"{workers}-{dispatchers}",
                workers=workers,
                dispatchers=dispatchers,
                webhooks=0,
                threads=THREADS,
                accounts=accounts,
                settings=settings,
            ) as local:
                found = Field(local, stub).faxline(accounts, size.faxes, "s", registered=False)
            first = first or found.a_second
            section.add(f"faxes a second, {name}", found.a_second, baseline=first, beside="the first")
            seconds = found.faxes / found.a_second
            shares = {f"{part} (cores)": used / seconds for part, used in found.cpu.items()}
            whole = sum(found.cpu.values()) / seconds
            section.details[f"{name}: cores in use"] = {**shares, f"all, of {os.cpu_count()}": whole}
    return section
