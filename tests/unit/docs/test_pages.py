"""The pages are true where a program can tell: links, paths, names, generated parts."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from faxline.contract.event_data import CANCEL_REFUSALS
from faxline_docs.commands import commands_of, faxline_command, worker_command
from faxline_docs.pages import PAGES, renewed, stale
from faxline_docs.settings import UNDESCRIBED, variables
from tests.yaml_files import read_yaml

ROOT = Path(__file__).parents[3]
FOLDERS = ("docs", "grafana", "ops", "producers", "tests/benchmarks", ".github")
FILES = sorted([*ROOT.glob("*.md"), *(page for folder in FOLDERS for page in (ROOT / folder).rglob("*.md"))])
PAGE = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in FILES
    if "node_modules" not in path.parts
}
OTHERS = {"FAXLINE_PROMETHEUS_URL"}
"""Variables of Grafana's container, and not of Faxline."""
HISTORY = "CHANGELOG.md"
"""It names what there was."""
NOW = {name: text for name, text in PAGE.items() if name != HISTORY}
README_LINES = 150
LINK = re.compile(r"\]\(([^)\s]+)\)")
PATH = re.compile(r"`((?:producers|worker|ops|grafana|docs|tests|requirements)/[\w./-]*\w)`")
VARIABLE = re.compile(r"\bFAXLINE_[A-Z][A-Z_]*(?:<NAME>[A-Z_]+)?")
COMMAND = re.compile(r"(?:^ *(?:\$ |\.venv/bin/)?|`)(faxline(?:-worker)?) ([a-z][^`\n#|&;<>]*)", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken(name: str, link: str) -> bool:
    target, _, anchor = link.partition("#")
    path = (ROOT / name).parent / target if target else ROOT / name
    if not path.exists():
        return True
    return bool(anchor) and anchor not in anchors(path.read_text(encoding="utf-8"))


def test_every_link_between_pages_leads_somewhere() -> None:
    found = {
        (name, link)
        for name, text in PAGE.items()
        for link in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        if "://" not in link and not link.startswith("mailto:") and broken(name, link)
    }
    assert found == set()


def test_every_page_of_docs_is_linked_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[\w.-]+\.md)", PAGE["README.md"]))
    assert {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")} - linked == {"docs/licences.md"}


def test_the_readme_is_short() -> None:
    assert len(PAGE["README.md"].splitlines()) <= README_LINES


def test_every_path_that_a_page_names_exists() -> None:
    found = {(name, path) for name, text in NOW.items() for path in PATH.findall(text)}
    assert {(name, path) for name, path in found if not (ROOT / path).exists()} == set()


def known_variable(variable: str) -> bool:
    """Whether a variable, or the beginning of several (`FAXLINE_LIMITS__`), is a setting."""
    name = re.sub(r"__(?:DEFAULT|ACME|NAME|A|B)__", "__<NAME>__", variable).removesuffix("_FILE")
    return any(each == name or each.startswith(name.rstrip("_") + "__") for each, _ in variables())


def test_every_variable_that_a_page_names_is_a_setting() -> None:
    found = {
        (name, each) for name, text in NOW.items() for each in VARIABLE.findall(text) if each not in OTHERS
    }
    assert {
        pair for pair in found if pair[1].strip("_") != "FAXLINE" and not known_variable(pair[1])
    } == set()


@cache
def commands() -> dict[str, Any]:
    """Every command by its full name."""
    return dict(
        (*commands_of("faxline", faxline_command()), *commands_of("faxline-worker", worker_command()))
    )


def mistakes(program: str, line: str) -> Iterator[str]:
    """What is wrong with a command line: a command or an option that there is not."""
    name, options = program, set(known_options(commands()[program]))
    for word in line.split():
        if f"{name} {word}" in commands():
            name = f"{name} {word}"
            options |= known_options(commands()[name])
        elif word.startswith("--") and word.partition("=")[0].rstrip(",.:)") not in options:
            yield f"{name}: {word}"
    if name == program and line[0].islower() and not line.startswith("--"):
        yield f"{program}: {line}"


def known_options(command: Any) -> set[str]:
    return {"--help", *(name for each in command.params for name in (*each.opts, *each.secondary_opts))}


def test_every_command_and_option_that_a_page_names_exists() -> None:
    found = {
        (name, mistake)
        for name, text in NOW.items()
        for program, line in COMMAND.findall(text)
        for mistake in mistakes(program, line)
    }
    assert found == set()


def test_a_command_a_variable_and_a_link_that_there_are_not_would_be_noticed() -> None:
    assert list(mistakes("faxline", "resolve ID --accept 7"))
    assert list(mistakes("faxline", "stop"))
    assert not known_variable("FAXLINE_HTTP_TIMEOUTS")
    assert broken("README.md", "docs/limits.md#nothing")


def test_every_target_of_make_that_a_page_names_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {(name, each) for name, text in NOW.items() for each in re.findall(r"`make ([a-z-]+)", text)}
    assert {pair for pair in named if pair[1] not in targets} == set()


def test_the_generated_parts_are_what_make_docs_writes() -> None:
    assert stale() == [], "run `make docs`"


@pytest.mark.parametrize("page", PAGES)
def test_a_page_without_a_marked_part_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="must mark exactly these parts"):
        renewed("no markers", PAGES[page])


def test_every_setting_is_described() -> None:
    assert UNDESCRIBED not in PAGE["docs/settings.md"]


def test_the_page_of_the_events_has_every_reason_of_a_refused_cancellation() -> None:
    assert set(re.findall(r"^\| `([a-z_]+)` \| \w", PAGE["docs/events.md"], re.MULTILINE)) >= set(
        CANCEL_REFUSALS
    )


def test_the_page_of_operations_has_every_alert() -> None:
    rules = [read_yaml(path) for path in (ROOT / "ops/prometheus/rules").glob("*.yaml")]
    alerts = {
        rule["alert"]
        for file in rules
        for group in file["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert set(re.findall(r"\bFax[A-Z]\w+", PAGE["docs/operations.md"].split("\n## Alerts\n")[1])) >= alerts


def test_the_page_of_the_limits_has_the_defaults_of_the_settings_that_it_names() -> None:
    defaults = dict(variables())
    rows = re.findall(r"^\| .+? \| (.+?) \| `(FAXLINE_\w+)` \|$", PAGE["docs/limits.md"], re.MULTILINE)
    said = {name: int(re.sub(r"\D", "", text) or 0) for text, name in rows}
    assert said == {name: defaults[name] for name in said}
