"""What the console has of an account that was removed: what the archive kept of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from faxline_archive.entries import read_entry
from faxline_archive.progress import Read
from faxline_archive.writer import write
from tests.archives import new_archive
from tests.consoles import Console, shown
from tests.stage.archives import BEGIN, StagedArchive, StagedFax


@pytest.fixture
def console(redis_url: str, redis_client: redis.Redis, tmp_path: Path) -> Iterator[Console]:
    assert redis_client.ping()
    engine = new_archive(url := f"sqlite:///{tmp_path / 'archive.db'}")
    staged = StagedArchive(engine)
    staged.add_all([StagedFax("n1", "north"), StagedFax("w1", "west", at=1), StagedFax("w2", "west", at=2)])
    fields = {"at": str(BEGIN), "who": "ada", "what": "reveal", "job": "w1", "outcome": "done"}
    entry = read_entry("west", "audit", f"{BEGIN}-0", fields)
    write(engine, [Read("west", "audit", "", f"{BEGIN}-0 1", [entry])], {}, {"west": staged.privacy("west")})
    engine.dispose()
    with Console(redis_url, tmp_path, FAXLINE_ARCHIVE__URL=url) as console:
        yield console


def test_its_faxes_are_counted_and_can_be_counted_alone(console: Console) -> None:
    admin, bound = console.person("admin"), console.person("bound")
    by_month = "/usage.csv?by=month&month=2026-11"
    assert "2026-10,3,3,0,9" in admin.get(by_month).text
    assert "2026-10,2,2,0,6" in admin.get(f"{by_month}&account=west").text
    assert "west,2,2,0,6" in admin.get("/usage.csv?by=account&month=2026-10").text
    assert "2026-10" not in bound.get(f"{by_month}&account=west").text


@pytest.mark.parametrize("searched", ["", "&job=w1"])
def test_its_audit_is_read(console: Console, searched: str) -> None:
    text = console.person("admin").get(f"/audit.csv?since=2026-10-27&until=2026-10-27{searched}").text
    assert ",west,ada,,reveal,w1,,done" in text


def test_a_search_says_that_its_faxes_are_not_searched(console: Console) -> None:
    said = "Removed accounts are not searched here: west."
    admin = console.person("admin")
    lines = {"": False, "id:w1": True, "account:west": True, "account:north": False}
    for line, told in lines.items():
        assert (said in shown(admin.get("/faxes", params={"q": line}))) is told
    assert said not in shown(console.person("bound").get("/faxes", params={"q": "id:w1"}))
