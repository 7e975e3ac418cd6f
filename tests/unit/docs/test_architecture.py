"""ARCHITECTURE.md maps the folders that there are, its hunt table leads where it says, and it stays short."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CHAPTERS = ROOT / "docs/architecture"
BYTES = 45_000
"""What can be read in twenty minutes."""
PACKAGES = ("producers/faxline", "worker/faxline_worker")
_HUNT = TEXT.split("\n## Where is …?\n")[1].split("\n## ")[0]
HUNT = re.findall(r"^\| (.+?) \| (.+) \|$", _HUNT, re.MULTILINE)[1:]
ASKED = (
    *("402", "account is paused", "entry becomes a job", "permit is granted", "receipt is applied"),
    *("operator settles a doubt", "policy", "its lease ran out", "signature", "delivery is tried again"),
    *("asked how a fax ended", "number is masked", "timer", "setting is read"),
)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_map_has_every_folder_of_a_package_and_no_other(package: str) -> None:
    rows = TEXT.split(f"\n| `{package}/` |")[1].split("\n\n")[0].splitlines()[2:]
    mapped = {name for row in rows for name in re.findall(r"`(\w+)/`", row.split(" | ")[0])}
    folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
    assert mapped == folders


@pytest.mark.parametrize(("asked", "answer"), HUNT)
def test_the_hunt_leads_to_a_file_that_has_what_it_names(asked: str, answer: str) -> None:
    found = re.findall(r"`([\w./]+\.\w+)`(?:: (`\w+`(?:, `\w+`)*))?", answer)
    assert found, asked
    for path, names in found:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert all(name in text for name in re.findall(r"\w+", names)), path


def test_the_architecture_can_be_read_in_twenty_minutes() -> None:
    assert len(TEXT.encode()) <= BYTES, "details belong in a chapter of docs/architecture"


def test_the_architecture_links_every_chapter() -> None:
    chapters = {path.name for path in CHAPTERS.glob("*.md")}
    assert chapters
    assert chapters == set(re.findall(r"^\| \[\w+\]\(docs/architecture/([\w-]+\.md)\)", TEXT, re.MULTILINE))


def test_the_hunt_has_what_newcomers_look_for() -> None:
    asked = " ".join(question for question, _ in HUNT)
    assert [words for words in ASKED if words not in asked] == []
