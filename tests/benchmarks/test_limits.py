"""The benchmark itself: its short form runs through, and its arithmetic is right."""

import json
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest

from faxline import FaxLine, Job
from tests.benchmarks.expectations import NOT_AVAILABLE, Expectations, ExpectedStart
from tests.benchmarks.figures import (
    first_arrivals,
    percentile,
    sent_twice,
    share_between,
    share_of_quota,
    spread_of,
    waits,
)

ROOT = Path(__file__).parents[2]
HALVES = {"races": "faxline,plain,paced", "daemon": "way,accounts"}


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the short form wrote; its halves run side by side, for its figures mean nothing."""
    folder = tmp_path_factory.mktemp("bench")
    paths = {name: folder / name / "limits.json" for name in HALVES}
    running = {
        name: subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks", "--short", "--only", only, "--out", str(paths[name])],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for name, only in HALVES.items()
    }
    said = {name: process.communicate()[0] for name, process in running.items()}
    assert {name: process.returncode for name, process in running.items()} == {"races": 0, "daemon": 0}, said
    return {name: json.loads(path.read_text()) for name, path in paths.items()}


def test_the_contenders_run_and_faxline_draws_no_429_and_sends_nothing_twice(
    documents: dict[str, Any],
) -> None:
    found = documents["races"]["contenders"]
    assert set(found) == {"faxline", "plain", "paced"}
    for race in found.values():
        assert race["accepted"] > 0
        assert race["commands_per_fax"] > 0
        assert race["quota"] is not None
        assert race["most_in_window"] <= 40
    assert sum(found["faxline"]["rate_limited"].values()) == found["faxline"]["twice"] == 0
    assert found["faxline"]["expected_start"] is not None


def test_the_whole_way_delivers_everything_and_many_accounts_draw_no_429(documents: dict[str, Any]) -> None:
    way, accounts = documents["daemon"]["whole_way"], documents["daemon"]["accounts"]
    assert way["delivered"] == way["pushed"] == 80
    assert way["rate_limited"] == accounts["rate_limited"] == 0
    assert accounts["hanging_calls"] > 0
    assert accounts["most_in_window"] <= 5


def test_the_share_of_the_quota_leaves_out_the_first_window_and_a_part_of_the_last() -> None:
    arrivals = [0.0] * 10 + [10.0] * 5 + [20.0] * 10 + [30.0] * 9
    assert share_of_quota(arrivals, requests=10, window=10, until=35) == (0.75, 2)
    assert share_of_quota(arrivals, requests=10, window=10, until=20) == (0.5, 1)
    assert share_of_quota(arrivals, requests=10, window=10, until=19) is None
    assert share_of_quota([], requests=10, window=10, until=19) is None


def test_a_share_counts_from_its_beginning_until_before_its_end() -> None:
    assert share_between([1.0, 2.0, 3.0], 1.0, 3.0, requests=4, window=4) == 1.0


def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed() -> None:
    values = [float(i) for i in range(1, 101)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile([7.0], 0.95)) == (50, 95, 7)
    assert spread_of([]) is None


def test_an_urgent_fax_that_never_arrived_counts_with_its_wait_so_far() -> None:
    assert waits({"a": 1.0, "b": 2.0}, {"a": 1.5}, until=12.0) == [0.5, 10.0]


def test_a_fax_arrives_when_it_is_accepted_first_and_once_more_is_twice() -> None:
    ledger = [{"subject": name, "accepted_at": at} for name, at in (("a", 1.0), ("b", 2.0), ("a", 3.0))]
    assert first_arrivals(ledger) == {"a": 1.0, "b": 2.0}
    assert sent_twice(ledger) == 1


def test_an_expected_start_is_compared_with_the_arrival(monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    job = SimpleNamespace(expected_start=datetime.fromtimestamp(now + 100, UTC))
    monkeypatch.setattr(Job, "expected_start", None, raising=False)
    monkeypatch.setattr(FaxLine, "job", lambda _line, _name: job)
    client = fakeredis.FakeRedis()
    for name in ("other", "a", "b"):
        event = {"event": "fax.queued", "job": name, "at": 0, "data": "{}"}
        client.xadd("fax:{default}:events", event)  # type: ignore[arg-type]
    expectations = Expectations(client, ["a", "b"])
    expectations.look()
    found = expectations.compare({"a": now + 200})
    assert isinstance(found, ExpectedStart)
    assert (found.sampled, found.without) == (2, 1)
    assert found.seconds
    assert found.of_the_wait
    assert found.seconds.median == pytest.approx(100, abs=0.01)
    assert found.of_the_wait.p95 == pytest.approx(0.5, abs=0.1)


def test_without_the_attribute_the_expected_start_is_not_available(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Job, "expected_start", raising=False)
    assert Expectations(fakeredis.FakeRedis(), []).compare({}) == NOT_AVAILABLE
