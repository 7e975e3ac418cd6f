"""The benchmark of the memory: its short form runs through, and documents are not held as a whole."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from faxline.contract.page_count import page_count
from tests.benchmarks.memory import filled_pdf
from tests.benchmarks.processes import group_of, memory_of

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("memory") / "memory.json"
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--short", "--out", str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def test_all_documents_were_on_their_way_at_once_and_all_were_accepted(found: dict[str, Any]) -> None:
    assert found["at_once"] == found["accepted"] == found["calls"]


def test_a_worker_grows_by_less_than_the_documents_that_it_sends_and_the_bare_loop_by_more(
    found: dict[str, Any],
) -> None:
    documents = found["calls"] * found["size"]
    assert found["peak"] - found["idle"] < documents
    assert found["whole_peak"] - found["whole_idle"] > documents


def test_a_large_document_is_read_in_pieces(found: dict[str, Any]) -> None:
    assert found["commands"] >= found["size"] / 1_000_000 * found["calls"]


def test_a_made_pdf_has_its_size_one_page_and_content_of_its_own() -> None:
    one, other = filled_pdf(100_000, 1), filled_pdf(100_000, 2)
    assert page_count(one, "", "a.pdf") == page_count(other, "", "a.pdf") == 1
    assert 100_000 <= len(one) < 101_000
    assert one != other


def test_the_memory_and_the_group_of_this_process_are_found() -> None:
    memory = memory_of("self")
    assert min(memory.resident, memory.peak) > 1_000_000
    assert memory.threads >= 1
    assert os.getpid() in group_of(os.getpgid(0))
