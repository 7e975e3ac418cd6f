"""Known vulnerabilities of what is locked, by pip-audit; and a plain word where nobody could be asked."""

import json
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faxline_supply.locks import PYTHON_LOCKS, ROOT, python_lock

CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 3


@dataclass(frozen=True)
class Audit:
    """What came of it: an exit code, and lines to print."""

    code: int
    lines: tuple[str, ...]


def audit(command: Sequence[str]) -> Audit:
    """Ask pip-audit about one lock after the other, the shortest first.

    pip-audit ends with 1 both when it finds something and when it cannot ask; in the second case there is no
    report. And it ends with 0 when an index knows no advisories (a mirror): then it says that it skipped.
    Where nothing of a lock could be asked about, the next is not tried.

    Args:
        command: pip-audit's.
    """
    asked: dict[str, Mapping[str, Any]] = {}
    for lock in sorted(PYTHON_LOCKS, key=lambda name: len(python_lock(name))):
        report, said = _report(command, lock)
        if report is None:
            return Audit(NOT_AUDITED, (f"NOT AUDITED: pip-audit made no report of {lock}.lock: {said}",))
        asked |= {package["name"]: package for package in report}
        if all("skip_reason" in package for package in report):
            break
    return _judged(list(asked.values()))


def _report(command: Sequence[str], lock: str) -> tuple[list[dict[str, Any]] | None, str]:
    """What pip-audit found of a lock's packages, or None; and the last line that it said."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        options += ["--output", str(report), "--requirement", str(ROOT / "requirements" / f"{lock}.lock")]
        done = subprocess.run(  # noqa: S603 - the command is the Makefile's
            [*command, *options], capture_output=True, text=True, check=False
        )
        text = report.read_text() if report.exists() else ""
    said = [line for line in done.stderr.splitlines() if line.strip()]
    return json.loads(text)["dependencies"] if text else None, said[-1] if said else "no word"


def _judged(packages: Sequence[Mapping[str, Any]]) -> Audit:
    skipped = [package for package in packages if "skip_reason" in package]
    found = tuple(
        f"{package['name']} {package['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no version yet'}"
        for package in packages
        for vulnerability in package.get("vulns", ())
    )
    told: tuple[str, ...] = ()
    if skipped:
        one = skipped[0]["skip_reason"]
        told = (f"NOT AUDITED: {len(skipped)} of {len(packages)} packages could not be asked about: {one}",)
    if found:
        return Audit(VULNERABLE, (*told, *found))
    if told:
        return Audit(NOT_AUDITED, told)
    return Audit(CLEAN, (f"{len(packages)} packages, no known vulnerability",))
