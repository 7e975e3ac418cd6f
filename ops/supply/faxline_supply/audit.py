"""Known vulnerabilities of what is locked, by pip-audit; and a plain word where nobody could be asked."""

import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from faxline_supply.locks import PYTHON_LOCKS, ROOT

CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 3


@dataclass(frozen=True)
class Audit:
    """What came of it: an exit code, and lines to print."""

    code: int
    lines: tuple[str, ...]


def audit(command: Sequence[str]) -> Audit:
    """Ask pip-audit about every lock.

    pip-audit ends with 1 both when it finds something and when it cannot ask; in the second case there is no
    report. And it ends with 0 when an index knows no advisories (a mirror): then it says that it skipped.

    Args:
        command: pip-audit's.
    """
    locks = [word for name in PYTHON_LOCKS for word in ("-r", str(ROOT / "requirements" / f"{name}.lock"))]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        options = ["--require-hashes", "--disable-pip", "--progress-spinner", "off", "--format", "json"]
        done = subprocess.run(  # noqa: S603 - the command is the Makefile's
            [*command, *options, "--output", str(report), *locks], capture_output=True, text=True, check=False
        )
        text = report.read_text() if report.exists() else ""
    if not text:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        return Audit(
            NOT_AUDITED, (f"NOT AUDITED: pip-audit made no report: {said[-1] if said else 'no word'}",)
        )
    packages = json.loads(text)["dependencies"]
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
