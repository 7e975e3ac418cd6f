"""Faxes a second without limits, beside a bare Dramatiq actor, and the CPU time that each costs."""

from contextlib import closing
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING

from faxline_local.stack import DEFAULT, Local, token_of
from tests.benchmarks.pushes import fax
from tests.benchmarks.speed.bare import Bare
from tests.benchmarks.speed.endpoint import Endpoint, Sandbox, Stub
from tests.benchmarks.speed.load import Load, run_load
from tests.benchmarks.speed.rounds import Field, Round, account_names, middle
from tests.benchmarks.speed.sheet import Section, Wanted
from tests.benchmarks.speed.size import Size
from tests.benchmarks.speed.ways import ENDLESS, FREE

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 20
AT_ONCE = ("--answer-seconds", "0", "0", "--call-seconds", "0", "--page-seconds", "0")
REGISTERED, INTAKE, BARE = "registered ahead", "from the intake on", "a bare actor"


def run_throughput(size: Size, logs: Path) -> Section:
    """To the stub, then to the sandbox without and with webhooks; faxes by URL, so no document is read."""
    section = Section("throughput")
    with closing(Stub(logs)) as stub:
        settings = {**FREE, "IFAX_URL": stub.url}
        accounts = account_names(size.accounts)
        with Local(logs / "stub", webhooks=0, threads=THREADS, accounts=accounts, settings=settings) as local:
            _compare(section, size, local, stub)
    for webhooks in (0, 1):
        options = (*ENDLESS, *AT_ONCE)
        directory = logs / f"sandbox-{webhooks}"
        with Local(
            directory, webhooks=webhooks, threads=THREADS, accounts=accounts, settings=FREE, sandbox=options
        ) as local:
            if webhooks:
                _with_receipts(section, size, local)
            else:
                _compare(section, size, local, Sandbox(local))
    return section


def _compare(section: Section, size: Size, local: Local, endpoint: Endpoint) -> None:
    accounts = account_names(size.accounts)
    with closing(Bare(local, endpoint.url, THREADS)) as bare:
        field = Field(local, endpoint, bare)
        ways: dict[str, Callable[[str], Round]] = {
            REGISTERED: lambda mark: field.faxline(accounts, size.faxes, mark, registered=True),
            INTAKE: lambda mark: field.faxline(accounts, size.faxes, mark, registered=False),
            BARE: lambda mark: field.plain(accounts, size.faxes, mark),
        }
        found: dict[str, list[Round]] = {name: [] for name in ways}
        for i in range(size.rounds):
            for j, (name, way) in enumerate(ways.items()):
                found[name].append(way(f"r{i}{j}"))
    rounds = {name: middle(each) for name, each in found.items()}
    plain, to = rounds[BARE], endpoint.name
    for name in (REGISTERED, INTAKE):
        section.add(
            f"faxes a second to the {to}, {name}",
            rounds[name].a_second,
            baseline=plain.a_second,
            beside="bare actor",
            wanted=Wanted(0.8, of="ratio"),
        )
    for name in (REGISTERED, INTAKE):
        section.add(
            f"CPU ms a fax, all but the {to}, {name}",
            rounds[name].cpu_ms() - rounds[name].cpu_ms(to),
            baseline=plain.cpu_ms() - plain.cpu_ms(to),
            beside="bare actor",
        )
    section.add(
        f"… of the worker alone ({to})",
        rounds[REGISTERED].cpu_ms("worker"),
        baseline=plain.cpu_ms("worker"),
        beside="bare actor",
    )
    ceiling = _ceiling(endpoint, size)
    section.add(f"the {to}'s own ceiling, requests a second", ceiling)
    for name, one in rounds.items():
        section.details[f"CPU ms a fax by part, {to}, {name}"] = {part: one.cpu_ms(part) for part in one.cpu}
    section.details[f"rounds to the {to}, faxes a second"] = {
        f"{name} {i + 1}": one.a_second for name, each in found.items() for i, one in enumerate(each)
    }


def _with_receipts(section: Section, size: Size, local: Local) -> None:
    """Each fax's webhook comes back while others are sent."""
    field, accounts = Field(local, Sandbox(local)), account_names(size.accounts)
    rounds = [field.faxline(accounts, size.receipts, f"w{i}", registered=True) for i in range(size.rounds)]
    one = middle(rounds)
    section.add("faxes a second to the sandbox with webhooks, registered ahead", one.a_second)
    section.details["CPU ms a fax by part, sandbox with webhooks"] = {
        part: one.cpu_ms(part) for part in one.cpu
    }


def _ceiling(endpoint: Endpoint, size: Size) -> float:
    """What a caller that costs next to nothing gets out of an endpoint."""
    headers = {"accessToken": token_of(DEFAULT), "content-type": "application/json"}
    bodies: tuple[tuple[str, dict[str, str]], ...] = tuple(
        (dumps(fax(f"ceiling-{i}")), {}) for i in range(100)
    )
    load = Load(f"{endpoint.url}/customer/fax-send", headers, bodies, THREADS, min(3.0, size.webhook_seconds))
    return run_load(load).a_second
