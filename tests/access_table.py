"""docs/console-access.md: who is let in where, as it was tried. `make access` writes it, a test holds it."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import redis

from faxline_docs.markdown import code, table
from faxline_docs.pages import renewed
from faxline_local.redis_server import RedisServer
from tests.access import OPEN, ROLES, STRANGERS, TWISTS, WHO, Outcome, Trial
from tests.access_stage import Answers
from tests.archives import new_archive
from tests.consoles import Console
from tests.stage.archives import StagedArchive

PAGE = Path(__file__).parents[1] / "docs/console-access.md"
Rows = Mapping[tuple[str, str], Mapping[str, Outcome]]


@contextmanager
def trial(url: str, folder: Path) -> Iterator[Trial]:
    """A console with an archive, and something that answers its orders.

    Args:
        url: of a Redis database that may be emptied.
        folder: for the databases.
    """
    archive = f"sqlite:///{folder / 'archive.db'}"
    engine = new_archive(archive)
    StagedArchive(engine).add("old", account="north", metadata={"department": "billing"})
    engine.dispose()
    with (
        redis.Redis.from_url(url) as client,
        Console(url, folder, FAXLINE_ARCHIVE__URL=archive) as console,
        Answers(client) as answers,
    ):
        yield Trial(console, client, answers)


def page(rows: Rows) -> str:
    """The page with these outcomes."""
    head = ("", "no session", *ROLES, *STRANGERS, "forged", "named")
    shown = [
        _row(*route, outcomes) for route, outcomes in sorted(rows.items(), key=_order) if route[1] not in OPEN
    ]
    return renewed(PAGE.read_text(encoding="utf-8"), {"access": lambda _: table(head, shown)})


def _order(row: tuple[tuple[str, str], object]) -> tuple[str, str]:
    (method, path), _ = row
    return path, method


def _row(method: str, path: str, outcomes: Mapping[str, Outcome]) -> list[str]:
    forged = {cell(outcomes[twist]) for twist in TWISTS} if method == "POST" else {""}
    return [
        code(f"{method} {path}"),
        cell(outcomes[WHO[0]]),
        *(cell(outcomes[role]) for role in ROLES),
        *(cell(outcomes[who]).replace("yes", "own") for who in STRANGERS),
        " or ".join(sorted(forged)),
        "yes" if outcomes["admin"].by else "",
    ]


def cell(outcome: Outcome) -> str:
    """What the table says of an outcome."""
    return "yes" if outcome.let_in else str(outcome.status)


def main() -> None:
    """Write the page."""
    with (
        tempfile.TemporaryDirectory() as folder,
        RedisServer() as server,
        trial(server.url(0), Path(folder)) as tried,
    ):
        PAGE.write_text(page({route: tried.row(*route) for route in tried.routes()}), encoding="utf-8")
    sys.stdout.write(f"docs/{PAGE.name} was written\n")


if __name__ == "__main__":
    main()
