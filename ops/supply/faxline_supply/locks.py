"""The lock files: each package with its version, its marker and the hashes of its files."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
PYTHON_LOCKS = ("worker", "build", "dev")
"""Those of `requirements`: what the daemon runs with, what builds its wheel, what we work with.

`audit.lock` stands apart: its tool runs in an environment of its own and is part of nothing.
"""
NPM_LOCKS = ("producers/examples/node", "tests/asyncapi", "grafana/picture")
"""The folders with an npm lock: an example, a test, the drawing of a picture."""

_HASH = re.compile(r"--hash=(\S+)")


class LockError(ValueError):
    """A lock holds what it must not; the text names the line."""


@dataclass(frozen=True, order=True)
class Locked:
    """One package of a lock.

    Args:
        name: as PyPI normalizes it.
        version: the only one that is installed.
        marker: where it is installed, or nothing.
        hashes: of each of its files, as `algorithm:digest`.
    """

    name: str
    version: str
    marker: str = field(default="", compare=False)
    hashes: tuple[str, ...] = field(default=(), compare=False)


def read_lock(text: str) -> list[Locked]:
    """The packages of a requirements file that names each with `==`.

    Raises:
        LockError: a line is an option (such as an index), or a requirement is not pinned.
    """
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        words = line.split("#", 1)[0].strip()
        if not words:
            continue
        if words.startswith("-"):
            raise LockError(f"an option: {words.split()[0]}")
        requirement = Requirement(_HASH.sub("", words).strip())
        pins = [pin for pin in requirement.specifier if pin.operator == "==" and "*" not in pin.version]
        if len(pins) != 1 or requirement.url:
            raise LockError(f"not pinned: {requirement.name}")
        marker = str(requirement.marker or "")
        found.append(
            Locked(canonicalize_name(requirement.name), pins[0].version, marker, tuple(_HASH.findall(words)))
        )
    return found


def python_lock(name: str) -> list[Locked]:
    """The packages of `requirements/NAME.lock`."""
    return read_lock((ROOT / "requirements" / f"{name}.lock").read_text())


def npm_lock(folder: str) -> Mapping[str, Mapping[str, Any]]:
    """The packages of a folder's npm lock, by their place in node_modules."""
    content = json.loads((ROOT / folder / "package-lock.json").read_text())
    return {place: package for place, package in content["packages"].items() if place}
