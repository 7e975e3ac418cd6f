"""What Faxline is made of: hashes in every lock, licences that we may use, and a bill of materials."""

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from faxline_supply.__main__ import main
from faxline_supply.audit import CLEAN, NOT_AUDITED, VULNERABLE, audit
from faxline_supply.licences import UNKNOWN, allowed, licence_of, npm_licences, page
from faxline_supply.locks import NPM_LOCKS, PYTHON_LOCKS, ROOT, LockError, npm_lock, python_lock, read_lock
from faxline_supply.sbom import sbom

LOCKS = (*PYTHON_LOCKS, "audit")


@pytest.mark.parametrize("name", LOCKS)
def test_each_requirement_of_a_lock_is_pinned_and_has_hashes_and_no_index_is_named(name: str) -> None:
    packages = python_lock(name)  # an option, such as an index, raises
    assert len(packages) > 4
    assert [p.name for p in packages if not p.hashes] == []
    assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for p in packages for digest in p.hashes)
    assert "://" not in (ROOT / f"requirements/{name}.lock").read_text()


def test_every_lock_is_looked_at() -> None:
    assert {path.stem for path in (ROOT / "requirements").glob("*")} == set(LOCKS)
    found = {path.parent for path in ROOT.rglob("package-lock.json") if "node_modules" not in path.parts}
    assert found == {ROOT / folder for folder in NPM_LOCKS}


@pytest.mark.parametrize(
    "text", ["--index-url https://example.com\n", "-r other.txt\n", "a>=1\n", "a==1.*\n"]
)
def test_a_lock_that_names_an_index_or_leaves_a_version_open_is_refused(text: str) -> None:
    with pytest.raises(LockError):
        read_lock(text)


@pytest.mark.parametrize("folder", NPM_LOCKS)
def test_each_package_of_an_npm_lock_has_a_hash_and_no_registry_is_named(folder: str) -> None:
    packages = npm_lock(folder)
    assert packages
    for place, package in packages.items():
        algorithm, digest = package["integrity"].split("-", 1)
        assert (algorithm, len(base64.b64decode(digest))) == ("sha512", 64), place
        assert "resolved" not in package, place


def test_the_image_installs_nothing_without_hashes_but_our_own_wheel() -> None:
    text = (ROOT / "ops/Dockerfile").read_text().replace("\\\n", " ")
    installs = [
        step
        for line in text.splitlines()
        if line.startswith("RUN")
        for step in line.split("&&")
        if re.search(r"pip\b.* install", step)
    ]
    ours = [step for step in installs if "--no-index" in step and "--no-deps" in step]
    assert len(installs) == 3
    assert len(ours) == 1
    assert all("--require-hashes" in step and ".lock" in step for step in installs if step not in ours)


@pytest.mark.parametrize("name", PYTHON_LOCKS)
def test_each_locked_package_has_a_licence_that_we_may_use(name: str) -> None:
    assert {p.name: licence_of(p.name) for p in python_lock(name) if not allowed(licence_of(p.name))} == {}


def test_each_npm_package_that_says_its_licence_has_one_that_we_may_use() -> None:
    counted = npm_licences()
    found = {licence for licences in counted.values() for licence in licences}
    assert {licence for licence in found if not allowed(licence)} <= {UNKNOWN}
    assert {folder for folder, licences in counted.items() if licences[UNKNOWN]} == {"grafana/picture"}


@pytest.mark.parametrize(
    ("expression", "taken"),
    [
        ("MIT", True),
        ("GPL-3.0-only", False),
        (UNKNOWN, False),
        ("", False),
        ("MIT OR GPL-3.0-only", True),
        ("MIT AND GPL-3.0-only", False),
        ("(MIT OR GPL-3.0-only) AND BSD-3-Clause", True),
        ("(MIT AND GPL-3.0-only) OR AGPL-3.0-only", False),
        ("(BSD-3-Clause) AND (MIT OR Apache-2.0)", True),
    ],
)
def test_of_a_choice_of_licences_one_must_be_allowed_and_of_several_each(
    expression: str, taken: bool
) -> None:
    assert allowed(expression) is taken


def test_a_package_that_nobody_knows_has_no_licence() -> None:
    assert licence_of("no-such-package-here") == UNKNOWN


def test_the_page_of_licences_is_what_make_licences_writes() -> None:
    assert (ROOT / "docs/licences.md").read_text() == page()


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    made: dict[str, Any] = json.loads(sbom())
    return made


def test_the_bill_of_materials_keeps_cyclonedx_own_schema(bill: dict[str, Any]) -> None:
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(bill)) is None
    assert validator.validate_str(json.dumps(bill | {"components": [{"name": "a"}]})) is not None


def test_the_bill_of_materials_is_the_same_each_time() -> None:
    assert sbom() == sbom()


def test_the_bill_of_materials_has_each_locked_package_with_its_hashes_and_its_licence(
    bill: dict[str, Any],
) -> None:
    found = {
        component["name"]: (
            component["version"],
            {f"sha256:{entry['content']}" for entry in component["hashes"]},
            bool(component["licenses"]),
        )
        for component in bill["components"]
    }
    assert found == {p.name: (p.version, set(p.hashes), True) for p in python_lock("worker")}
    assert bill["metadata"]["component"]["name"] == "faxline"
    (root,) = (
        entry for entry in bill["dependencies"] if entry["ref"] == bill["metadata"]["component"]["bom-ref"]
    )
    assert any(ref.startswith("pkg:pypi/dramatiq@") for ref in root["dependsOn"])


REPORT = {"dependencies": [{"name": "a", "version": "1", "vulns": []}]}
FOUND = {"dependencies": [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}]}
SKIPPED = {"dependencies": [*REPORT["dependencies"], {"name": "b", "skip_reason": "not found"}]}


def auditor(folder: Path, report: object, code: int) -> list[str]:
    """A program that behaves as pip-audit does."""
    program = folder / "pip_audit.py"
    program.write_text(
        "import pathlib, sys\n"
        f"report = {json.dumps(json.dumps(report) if report else '')}\n"
        "if report: pathlib.Path(sys.argv[sys.argv.index('--output') + 1]).write_text(report)\n"
        f"print('the network is away', file=sys.stderr)\nsys.exit({code})\n"
    )
    return [sys.executable, str(program)]


@pytest.mark.parametrize(
    ("report", "code", "expected", "word"),
    [
        (REPORT, 0, CLEAN, "no known vulnerability"),
        (FOUND, 1, VULNERABLE, "a 1: CVE-1, fixed in 2"),
        (None, 1, NOT_AUDITED, "NOT AUDITED: pip-audit made no report of build.lock: the network is away"),
        (SKIPPED, 0, NOT_AUDITED, "NOT AUDITED: 1 of 2 packages"),
    ],
)
def test_an_audit_tells_what_was_found_and_never_passes_where_nobody_could_be_asked(
    tmp_path: Path, report: object, code: int, expected: int, word: str
) -> None:
    done = audit(auditor(tmp_path, report, code))
    assert done.code == expected
    assert word in done.lines[0]


def test_where_an_index_knows_no_advisories_it_is_not_asked_about_every_package(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    command = auditor(tmp_path, {"dependencies": SKIPPED["dependencies"][1:]}, 0)
    program = Path(command[1])
    program.write_text(program.read_text() + f"open({str(asked)!r}, 'a').write('once\\n')\n")
    program.write_text(program.read_text().replace("sys.exit(0)\n", ""))
    assert audit(command).code == NOT_AUDITED
    assert asked.read_text() == "once\n"


def test_where_an_audit_may_be_skipped_it_says_so_and_what_it_found_still_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", "--may-skip", "--", *auditor(tmp_path, SKIPPED, 0)]) == 0
    assert "NOT AUDITED" in capsys.readouterr().out
    assert main(["audit", "--may-skip", "--", *auditor(tmp_path, FOUND, 1)]) == VULNERABLE
    assert main(["audit", "--", *auditor(tmp_path, SKIPPED, 0)]) == NOT_AUDITED
