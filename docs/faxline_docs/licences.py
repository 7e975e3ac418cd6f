"""docs/licences.md: the licences of what the daemon runs with, as pip-licenses lists them."""

import re
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]


def table() -> str:
    """A row a package of requirements/worker.lock that is installed.

    Raises:
        subprocess.CalledProcessError: a package has a licence that pyproject.toml does not allow.
    """
    names = re.findall(r"^[\w-]+", (_ROOT / "requirements/worker.lock").read_text(), re.MULTILINE)
    command = [sys.executable, "-m", "piplicenses", "--format", "markdown", "--packages", *names]
    return subprocess.run(command, cwd=_ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603
