"""The Lua files: one a transition, put together from shared pieces and registered on a client."""

import re
from functools import cache
from importlib.resources import files

from redis import Redis
from redis.commands.core import Script

_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)
FLAGS = "#!lua flags=allow-oom"
"""Every script runs on when memory is full: what is inside must go on, only producers' entries are
refused."""
LAYOUT = (1, 1)
"""MAJOR and MINOR of what this version stores (layout.py)."""
CLOCK = "clock"
"""The piece that tells the time."""
FIRST = "layout"
"""The piece that stands in front of every script."""


@cache
def source(name: str, clock: str | None = None) -> str:
    """The whole text of one script: the pieces its `-- include:` line names, then the script itself.

    Args:
        name: the file, without .lua.
        clock: Lua text in the clock's place, for tests: it defines `now_us`, `now` and `int`.
    """
    folder = files("faxline_worker") / "lua"
    text = (folder / f"{name}.lua").read_text(encoding="utf-8")
    match = _INCLUDE.search(text)
    pieces = match[1].split() if match else []

    def piece(which: str) -> str:
        if which == CLOCK and clock is not None:
            return clock
        return (folder / "lib" / f"{which}.lua").read_text(encoding="utf-8")

    return "\n".join([FLAGS, f"local LAYOUT = {LAYOUT[0]}", *map(piece, [FIRST, *pieces]), text])


def register(client: Redis, name: str, clock: str | None = None) -> Script:
    """Register a script on a client: EVALSHA, and EVAL where the server does not know it yet."""
    return client.register_script(source(name, clock))
