"""What Faxline is made of: hashes in every lock, licences that we may use, and a bill of materials."""

import base64
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
LOCKS = sorted((ROOT / "requirements").iterdir())
NPM_LOCKS = sorted(
    path for path in ROOT.rglob("package-lock.json") if not {"node_modules", ".venv"} & set(path.parts)
)
PINNED = re.compile(r"([a-z0-9-]+)==[\w.!+]+( ; [^\\]+)?((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")
"""A package of a lock: one version, where it is wanted, and the hashes of its files."""


def npm_packages(lock: Path) -> dict[str, dict[str, Any]]:
    """The packages of an npm lock, by their place in node_modules."""
    return {place: each for place, each in json.loads(lock.read_text())["packages"].items() if place}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_a_lock_holds_nothing_but_pinned_packages_with_hashes_and_names_no_index(lock: Path) -> None:
    assert len(PINNED.findall(lock.read_text())) > 4
    assert PINNED.sub("", lock.read_text()) == ""


def test_make_lock_writes_every_lock() -> None:
    written = re.findall(r"-o (requirements/\S+)", (ROOT / "Makefile").read_text())
    assert sorted(ROOT / name for name in written) == LOCKS


@pytest.mark.parametrize("lock", NPM_LOCKS, ids=lambda lock: lock.parent.name)
def test_each_package_of_an_npm_lock_has_a_hash_and_no_registry_is_named(lock: Path) -> None:
    assert npm_packages(lock)
    for place, package in npm_packages(lock).items():
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


@pytest.mark.slow
def test_each_installed_package_has_a_licence_that_pyproject_allows() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "piplicenses"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "dramatiq" in done.stdout


def test_each_npm_package_that_names_its_licence_has_one_that_we_may_use() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        listed = tomllib.load(file)["tool"]["pip-licenses"]["allow-only"]
    allowed = {*map(str.strip, listed.split(";")), "CC0-1.0", "ISC", "OFL-1.1", "Unlicense", "Zlib"}
    parts = {
        part
        for lock in NPM_LOCKS
        for package in npm_packages(lock).values()
        for part in re.split(r" AND | OR |[()]", package.get("license", ""))
    }
    assert parts - allowed - {""} == set()


@pytest.mark.slow
def test_the_bill_of_materials_names_each_package_of_the_daemon_with_its_licence_and_what_needs_it(
    tmp_path: Path,
) -> None:
    file = tmp_path / "sbom.json"
    command = ["-m", "cyclonedx_py", "environment", "--pyproject", "pyproject.toml", "--output-reproducible"]
    subprocess.run([sys.executable, *command, "-o", str(file), sys.executable], cwd=ROOT, check=True)
    bill = json.loads(file.read_text())
    packages = {each["purl"].split("@")[0]: each for each in bill["components"]}
    locked = PINNED.findall((ROOT / "requirements/worker.lock").read_text())
    everywhere = {f"pkg:pypi/{name}" for name, marker, _ in locked if not marker}
    assert everywhere - set(packages) == set()
    assert {name for name in everywhere if not packages[name].get("licenses")} == {
        "pkg:pypi/pypdfium2",  # several licences, in words of its own; docs/licences.md has them
        "pkg:pypi/uharfbuzz",  # Apache-2.0, in other words
    }
    (root,) = (each for each in bill["dependencies"] if each["ref"] == "root-component")
    assert any(each.startswith("dramatiq==") for each in root["dependsOn"])
