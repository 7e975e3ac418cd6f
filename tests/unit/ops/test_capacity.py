"""ops/capacity.md is what its program computes from the figures that are kept, and that program is right."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks.capacity import Assumptions, Line, costs_of, fleet, line, most_accounts, waits
from tests.benchmarks.capacity_page import DOCUMENT, KEPT, keep, page


@pytest.fixture(scope="module")
def kept() -> Any:
    """The figures."""
    return json.loads(KEPT.read_text())


def test_the_document_is_what_the_program_computes_from_the_figures_that_are_kept(kept: Any) -> None:
    assert page(DOCUMENT.read_text(), kept, Assumptions()) == DOCUMENT.read_text()


def test_other_figures_make_another_document_and_leave_what_is_written_by_hand(kept: Any) -> None:
    text = DOCUMENT.read_text()
    changed = page(text, kept, Assumptions(answer=2.0))
    assert changed != text
    blocks = re.compile(r"(<!-- \w+ -->\n).*?(<!-- end -->)", re.DOTALL)
    assert blocks.sub(r"\1\2", changed) == blocks.sub(r"\1\2", text)


def test_a_document_without_the_place_of_a_table_is_refused(kept: Any) -> None:
    with pytest.raises(ValueError, match="<!-- fleet -->"):
        page(DOCUMENT.read_text().replace("<!-- fleet -->", ""), kept, Assumptions())


def test_a_short_run_and_one_without_the_fleet_are_not_kept(tmp_path: Path) -> None:
    before = KEPT.read_bytes()
    for found in ({"sections": {}, "short": False}, {"sections": {"fleet": {}}, "short": True}):
        file = tmp_path / "speed.json"
        file.write_text(json.dumps(found))
        with pytest.raises(SystemExit, match="make bench ONLY=fleet"):
            keep(file)
    assert KEPT.read_bytes() == before


def test_a_cost_is_a_line_through_two_points_that_does_not_fall() -> None:
    found = line((20, 2.0), (200, 3.8))
    assert found.base == pytest.approx(1.8)
    assert found.each == pytest.approx(0.01)
    assert line((20, 3.0), (200, 2.0)) == Line(2.5, 0.0)


def test_the_most_accounts_are_where_the_cost_meets_the_bound() -> None:
    assert most_accounts(lambda accounts: 0.5 * accounts + 0.001 * accounts**2, 600.0) == pytest.approx(
        564.0, abs=1
    )


def test_a_fleet_is_as_many_shards_as_its_accounts_fill_and_none_is_larger_than_one(kept: Any) -> None:
    given, costs = Assumptions(), costs_of(kept["runs"])
    few, full, many = (fleet(costs, given, accounts) for accounts in (10, given.group, 10_000))
    assert (few.shards, full.shards, many.shards) == (1, 1, 10_000 // given.group)
    assert many.rate == pytest.approx(2777.8, abs=0.1)
    assert (many.shard_workers, many.redis, many.shard_memory) == (
        full.shard_workers,
        full.redis,
        full.shard_memory,
    )
    assert full.shard_workers * given.threads * given.full >= given.group * given.rate * given.answer
    assert few.redis < full.redis
    assert many.memory == pytest.approx(many.shards * many.shard_memory)


def test_a_fax_waits_longer_for_a_thread_where_more_of_them_are_busy() -> None:
    rates = [40 * full / 1.25 for full in (0.6, 0.95)]
    calm, crowded = (waits(40, rate, 0.5, 2.0, calls=5000) for rate in rates)
    assert calm < crowded
    assert waits(1, 10.0, 1.0, 1.0, calls=1000) > 100  # ten times as much as it can do
