"""Jobs that have ended and are forgotten leave nothing in Redis: the short form of `make bench-drain`."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from tests.benchmarks.curves import draw, ticks
from tests.benchmarks.drain import LEFT

ROOT = Path(__file__).parents[2]
JOBS = 1500


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("drain") / "drain.json"
    command = [sys.executable, "-m", "tests.benchmarks.drain", "--jobs", str(JOBS), "--out", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def test_every_job_came_to_an_end_of_its_own_kind(found: dict[str, Any]) -> None:
    hundreds = JOBS // 100
    assert found["ends"] == {"canceled": hundreds, "failed": 3 * hundreds, "delivered": 96 * hundreds}


def test_only_the_keys_that_an_account_may_keep_are_left(found: dict[str, Any]) -> None:
    assert set(found["left"]) <= LEFT | {"fax:accounts", "fax:processes:dispatcher", "fax:serving:dispatcher"}
    assert found["end_keys"] <= found["base_keys"]


def test_nothing_is_counted_under_the_ceilings_any_more(found: dict[str, Any]) -> None:
    assert found["backlog"] == {"jobs": 0, "bytes": 0}


def test_redis_memory_comes_back_from_its_peak(found: dict[str, Any]) -> None:
    most = max(sample["memory"] for sample in found["curve"])
    assert found["end_memory"] - found["base_memory"] < 0.2 * (most - found["base_memory"])
    assert max(sample["keys"] for sample in found["curve"]) > JOBS


def test_a_curve_is_drawn_with_every_point_and_phase() -> None:
    picture = ET.fromstring(  # noqa: S314 - our own text
        draw([(0, 1), (1, 5), (2, 1)], [(0, "push"), (1, "drain"), (2, "drain")], "Memory")
    )
    texts = {text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")}
    (line,) = picture.iter("{http://www.w3.org/2000/svg}polyline")
    assert texts >= {"Memory", "push", "drain"}
    assert len(line.attrib["points"].split()) == 3


def test_ticks_are_round_and_reach_near_the_most() -> None:
    assert ticks(130) == [0, 50, 100]
    assert ticks(3) == [0, 1, 2, 3]
