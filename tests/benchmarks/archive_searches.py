"""How long each search of an archive of millions of faxes takes, on PostgreSQL.

    python -m tests.benchmarks.archive_searches [FAXES]

It fills a database of its own and prints a table (tests/benchmarks/README.md).
"""

import hashlib
import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import Engine, create_engine

from faxline.reading.archived import Wanted
from faxline_archive.privacy import Privacy
from faxline_archive.search import find_page
from faxline_archive.usage import usage
from tests.benchmarks.archive_faxes import ACCOUNT, BEGIN, KEY, STEP, fill, size_of
from tests.postgres import PostgresServer

if TYPE_CHECKING:
    from faxline_archive.places import Place

FAXES = 10_000_000
ROUNDS = 20
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Measured:
    """How long the pages of a search took, in milliseconds."""

    name: str
    rows: int
    median: float
    slowest: float


class _OneKey(Privacy):
    """Finds by the HMACs that the rows of `archive_faxes` have: of one key, and of none."""

    key_id = KEY

    def index(self, what: str, value: str) -> str:  # noqa: ARG002 - the signature of the real one
        return hashlib.sha256(value.encode()).hexdigest()

    def lookups(self, what: str, value: str) -> tuple[str, ...]:  # noqa: ARG002 - the signature of the real one
        return hashlib.sha256(value.encode()).hexdigest(), value


def at(part: float, count: int) -> datetime:
    """The time at which this part of the faxes was queued."""
    return datetime.fromtimestamp((BEGIN + part * count * STEP) / 1000, UTC)


def searches(count: int) -> Iterator[tuple[str, Callable[[int], Wanted]]]:
    """Each search by its name, and what it wants in each round."""
    spread = [(number * 7919 % 97 + 1) / 100 for number in range(ROUNDS)]

    def since(part: float, days: int) -> dict[str, datetime]:
        return {"since": at(part, count), "until": at(part, count) + timedelta(days=days)}

    yield "everything", lambda _: Wanted()
    yield "a day", lambda n: Wanted(**since(spread[n], 1))  # type: ignore[arg-type]
    yield "a number", lambda n: Wanted(to=f"to{n * 20011 % 400000}")
    yield "a number on a day", lambda n: Wanted(to=f"to{n * 20011 % 400000}", **since(spread[n], 1))  # type: ignore[arg-type]
    yield "a number nobody faxed", lambda n: Wanted(to=f"nobody{n}")
    yield "a sender", lambda n: Wanted(sender=f"from{n % 3}")
    yield "a sender that is not there", lambda n: Wanted(sender=f"nobody{n}")
    yield "delivered", lambda _: Wanted(state="delivered")
    yield "failed", lambda _: Wanted(state="failed")
    yield "in doubt", lambda _: Wanted(state="in_doubt")
    yield "failed, in a month", lambda n: Wanted(state="failed", **since(spread[n], 30))  # type: ignore[arg-type]
    yield "a reason", lambda _: Wanted(reason="busy")
    yield "a reason that is not there", lambda _: Wanted(reason="no_such_reason")
    yield "a number that failed", lambda n: Wanted(to=f"to{n * 20011 % 400000}", state="failed")
    yield "a small group", lambda n: Wanted(group=f"group-{int(spread[n] * count / 200)}")
    yield "a group of half a million", lambda _: Wanted(group="the-large-mailing")
    yield "failed in that group", lambda _: Wanted(group="the-large-mailing", state="failed")
    yield "in doubt in that group", lambda _: Wanted(group="the-large-mailing", state="in_doubt")
    yield "a case (metadata)", lambda n: Wanted(metadata={"case": f"case{int(spread[n] * count) // 5 * 5}"})
    yield "a department (metadata)", lambda n: Wanted(metadata={"department": f"department{n}"})
    yield (
        "failed in a department",
        lambda n: Wanted(metadata={"department": f"department{n}"}, state="failed"),
    )
    yield (
        "a reason in a department",
        lambda n: Wanted(metadata={"department": f"department{n}"}, reason="busy"),
    )
    yield (
        "failed in a department, in a month",
        lambda n: Wanted(metadata={"department": f"department{n}"}, state="failed", **since(spread[n], 30)),  # type: ignore[arg-type]
    )
    yield (
        "a case in a department",
        lambda n: Wanted(
            metadata={"department": f"department{n}", "case": f"case{int(spread[n] * count) // 40 * 40 + n}"}
        ),
    )
    # Of the large mailing each fax has a number that ends in 0 of 20: some things never meet.
    yield (
        "a department in that group",
        lambda n: Wanted(group="the-large-mailing", metadata={"department": f"department{n % 2 * 20}"}),
    )
    yield (
        "a department that is not in that group",
        lambda n: Wanted(group="the-large-mailing", metadata={"department": f"department{n | 1}"}),
    )
    yield "a sender, delivered", lambda n: Wanted(sender=f"from{n % 3}", state="delivered")
    yield "a sender, in doubt", lambda n: Wanted(sender=f"from{n % 3}", state="in_doubt")
    yield (
        "a sender in that group, failed",
        lambda n: Wanted(sender=f"from{n % 3}", group="the-large-mailing", state="failed"),
    )
    yield "busy, but delivered", lambda _: Wanted(reason="busy", state="delivered")


def measure(engine: Engine, count: int) -> Iterator[Measured]:
    """Time the first page, and a page in the middle, of each search."""
    privacy = _OneKey(None, ACCOUNT)
    middle: Place = (round(BEGIN + count * STEP / 2), "")
    with engine.connect() as connection:
        for name, wanted in searches(count):
            for label, after in ((name, None), (f"{name}, from the middle on", middle)):
                took: list[float] = []
                rows = 0
                for number in range(ROUNDS):
                    begin = time.perf_counter()
                    rows += len(
                        find_page(connection, ACCOUNT, wanted(number), privacy, after=after, limit=_PAGE)
                    )
                    took.append((time.perf_counter() - begin) * 1000)
                yield Measured(label, rows // ROUNDS, statistics.median(took), max(took))


def measure_usage(engine: Engine, count: int) -> Iterator[Measured]:
    """Time the counts of a month, and of everything."""
    month = Wanted(since=at(0.5, count), until=at(0.5, count) + timedelta(days=31))
    for name, wanted in (("a month", month), ("all", Wanted())):
        for by in ("account", "day", "month", "metadata.department"):
            begin = time.perf_counter()
            found = usage(engine, by, wanted, lambda name: Privacy(None, name), accounts=[ACCOUNT], zone=UTC)
            took = (time.perf_counter() - begin) * 1000
            yield Measured(f"usage by {by}, {name}", len(found), took, took)


def table(engine: Engine, count: int) -> Iterator[str]:
    """The lines of the table."""
    yield "| search | rows | median | slowest |"
    yield "| --- | --- | --- | --- |"
    for found in itertools.chain(measure(engine, count), measure_usage(engine, count)):
        yield f"| {found.name} | {found.rows} | {found.median:.1f} ms | {found.slowest:.1f} ms |"


def main() -> None:
    """Fill a server of its own, and print the table."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FAXES
    with PostgresServer() as server:
        engine = create_engine(server.url())
        fill(engine, count)
        with engine.connect() as connection:
            sys.stdout.write(f"{count} faxes, {size_of(connection) / 1e9:.1f} GB\n\n")
        for line in table(engine, count):
            sys.stdout.write(f"{line}\n")
            sys.stdout.flush()
        engine.dispose()


if __name__ == "__main__":
    main()
