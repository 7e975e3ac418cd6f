"""How long each page of the console takes, over millions of faxes, and what a live page costs Redis.

    python -m tests.benchmarks.console_pages [ARCHIVED] [QUEUED] [ARCHIVE]

It fills a PostgreSQL and a Redis of its own, starts the console, and prints two tables
(tests/benchmarks/README.md). ARCHIVE is the URL of a database that was filled before.
"""

import itertools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

from faxline_console.access.people import Role
from tests.benchmarks.archive_faxes import ACCOUNT, number
from tests.benchmarks.console_rig import EVERY, MAILING, Rig, Somebody, role_name, search
from tests.benchmarks.console_viewers import PAGES, Cost, costs
from tests.benchmarks.figures import percentile

ARCHIVED, QUEUED = 200_000, 20_000
ROUNDS = 20
Ask = Callable[[Somebody, int], httpx.Response]


@dataclass(frozen=True, slots=True)
class Measured:
    """How long a page took, the console's CPU of it (both in milliseconds), and how many bytes it has."""

    page: str
    role: str
    median: float
    p95: float
    slowest: float
    cpu: float
    size: int


@dataclass(frozen=True, slots=True)
class Case:
    """A page, as a role asks for it.

    Attributes:
        page: in words.
        ask: fetches it, for the n-th time.
        role: of the person.
        department: whether the person is bound to one.
    """

    page: str
    ask: Ask
    role: Role = Role.VIEWER
    department: bool = False


def _get(path: str) -> Ask:
    return lambda person, _: person.client.get(path, follow_redirects=True)


def _each(path: Callable[[int], str]) -> Ask:
    return lambda person, n: person.client.get(path(n), follow_redirects=True)


def _plan(verb: str) -> Ask:
    return lambda person, _: person.act("/faxes/plan", verb=verb, all="1", q="state:queued")


def _number(person: Somebody, fax: int) -> httpx.Response:
    """The two requests of a search that names a number, which is in no address."""
    found = person.act("/faxes", q=f"to:{number(fax)}")
    assert found.status_code == 303, found.status_code
    return person.client.get(found.headers["location"])


def cases(archived: int) -> Iterator[Case]:
    """All pages."""
    spread = [(one * 7919 % 97 + 1) / 100 for one in range(ROUNDS)]
    days = [f"{datetime.now(UTC) - timedelta(days=one):%Y-%m-%d}" for one in range(ROUNDS)]

    def ended(n: int) -> int:
        return max(EVERY, int(spread[n] * archived) // (10 * EVERY) * 10 * EVERY)

    def middle(n: int) -> str:
        at = round(time.time() * 1000) - round(spread[n] * archived) * 15_000
        return search("", after=f"{at}~{ACCOUNT}~invoice-1")

    yield Case("faxes", _get("/faxes"))
    yield Case("faxes", _get("/faxes"), department=True)
    yield Case("faxes, a later page", _each(middle))
    yield Case("faxes, a later page", _each(middle), department=True)
    for state in (
        "queued",
        "sending",
        "in_doubt",
        "delivered",
        "partial",
        "failed",
        "unconfirmed",
        "canceled",
    ):
        yield Case(f"faxes, {state}", _get(search(f"state:{state}")))
    yield Case("faxes, failed", _get(search("state:failed")), department=True)
    yield Case("faxes, failed or unconfirmed", _get(search("state:failed,unconfirmed")))
    yield Case("faxes, not delivered", _get(search("-state:delivered")))
    yield Case("faxes, a day", _each(lambda n: search(f"since:{days[n]} until:{days[n]}")))
    yield Case(
        "faxes, failed on a day", _each(lambda n: search(f"state:failed since:{days[n]} until:{days[n]}"))
    )
    yield Case("faxes, a reason", _get(search("reason:busy")))
    yield Case("faxes, a number", lambda person, n: _number(person, ended(n)), Role.CLERK)
    yield Case("faxes, a number nobody faxed", lambda person, n: _number(person, -n - 1), Role.CLERK)
    yield Case("faxes, an id", _each(lambda n: search(f"invoice-{ended(n)}")))
    yield Case("faxes, a jobId", _each(lambda n: search(f"jobid:{ended(n)}")))
    yield Case("faxes, a group", _each(lambda n: search(f"group:group-{ended(n) // 200}")))
    yield Case("faxes, a mailing on its way", _get(search(f"group:{MAILING}")))
    yield Case("faxes, a department", _each(lambda n: search(f"meta.department:department{n}")))
    yield Case("faxes, a case", _each(lambda n: search(f"meta.case:case{ended(n)}")))
    yield Case("a fax on its way", _each(lambda n: f"/faxes/{ACCOUNT}/letter-{n}-0"))
    yield Case("a fax that ended", _each(lambda n: f"/faxes/{ACCOUNT}/invoice-{ended(n)}"))
    yield Case("send", _get("/send"), Role.CLERK)
    yield Case("mailings", _get("/mailings"))
    yield Case("a new mailing", _get("/mailings/new"), Role.CLERK)
    yield Case("a mailing", _get(f"/mailings/{ACCOUNT}/{MAILING}"))
    yield Case("what needs attention", _get("/attention"), Role.OPERATOR)
    yield Case("what needs attention", _get("/attention"), Role.OPERATOR, department=True)
    yield Case("accounts", _get("/accounts"), Role.OPERATOR)
    for by in ("day", "account", "month", "metadata&key=department"):
        name = by.removeprefix("metadata&key=")
        yield Case(f"usage by {name}", _get(f"/usage?by={by}"), Role.AUDITOR)
    yield Case("usage by day", _get("/usage?by=day"), Role.AUDITOR, department=True)
    yield Case("system", _get("/system"), Role.OPERATOR)
    yield Case("audit", _get("/audit"), Role.AUDITOR)
    for verb in ("cancel", "export"):
        yield Case(f"a plan for all that match: {verb}", _plan(verb), Role.CLERK)


def measure(rig: Rig, case: Case, rounds: int = ROUNDS) -> Measured:
    """Time a page, with the way over the loopback."""
    took: list[float] = []
    with rig.person(role_name(case.role, department=case.department)) as person:
        person.client.get("/healthz")  # connects
        cpu = rig.cpu()
        for n in range(rounds):
            begin = time.perf_counter()
            answer = case.ask(person, n)
            took.append((time.perf_counter() - begin) * 1000)
            if answer.status_code != 200:
                raise AssertionError(f"{case.page}: {answer.status_code} {answer.text[-500:]}")
        cpu = rig.cpu() - cpu
    ordered = sorted(took)
    return Measured(
        case.page,
        role_name(case.role, department=case.department),
        statistics.median(took),
        percentile(ordered, 0.95),
        ordered[-1],
        cpu / rounds * 1000,
        len(answer.content),
    )


def table(rig: Rig) -> Iterator[str]:
    """The lines of the table of the pages."""
    yield "| page | role | median | p95 | slowest | CPU | kB |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for found in (measure(rig, case) for case in cases(rig.archived)):
        times = f"{found.median:.0f} ms | {found.p95:.0f} ms | {found.slowest:.0f} ms | {found.cpu:.0f} ms"
        yield f"| {found.page} | {found.role} | {times} | {found.size / 1000:.0f} |"


def table_of_costs(found: Iterator[Cost]) -> Iterator[str]:
    """The lines of the table of what live pages cost."""
    yield "| page | viewers | events a second | Redis commands a second | … a viewer |"
    yield "| --- | --- | --- | --- | --- |"
    for cost in found:
        each = cost.commands / cost.viewers if cost.viewers else 0.0
        yield f"| {cost.page} | {cost.viewers} | {cost.events:.0f} | {cost.commands:.1f} | {each:.1f} |"


def main() -> None:
    """Fill, and print the tables."""
    given = dict(enumerate(sys.argv))
    archived, queued = int(given.get(1, ARCHIVED)), int(given.get(2, QUEUED))
    with Rig(archived, queued, given.get(3, "")) as rig:
        head = f"{archived:,} archived, {queued:,} queued, load {os.getloadavg()[0]:.0f}"
        lines = itertools.chain([head, ""], table(rig), [""], table_of_costs(costs(rig, PAGES)))
        for line in lines:
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
