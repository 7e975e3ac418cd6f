"""Packages of npm for a test: installed from a lock, outside of the tree."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

AWAY = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH")
"""What npm says where it cannot reach its registry."""


def do_without(reason: str) -> None:
    """Skip the test on a developer's machine; in CI, where everything is to be there, fail."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def installed(source: Path, target: Path) -> Path:
    """A copy of a folder, with the packages of its package-lock.json.

    Args:
        source: has package.json, package-lock.json and .npmrc.
        target: where the copy goes; must not be there.
    """
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            do_without(f"{program} is not on this machine")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("node_modules"))
    done = subprocess.run(
        ["npm", "ci", "--no-audit", "--no-fund"],  # noqa: S607 - found on the PATH above
        cwd=target,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    if done.returncode and any(word in done.stderr for word in AWAY):
        do_without("npm cannot reach its registry")
    assert done.returncode == 0, done.stderr
    return target
