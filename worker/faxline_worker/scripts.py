"""The Lua files: one a transition, put together from shared pieces and registered on a client."""

import re
from functools import cache
from importlib.resources import files

from redis import Redis
from redis.commands.core import Script

_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)


@cache
def source(name: str) -> str:
    """The whole text of one script: the pieces its `-- include:` line names, then the script itself."""
    folder = files("faxline_worker") / "lua"
    text = (folder / f"{name}.lua").read_text(encoding="utf-8")
    match = _INCLUDE.search(text)
    pieces = match[1].split() if match else []
    return "\n".join(
        [*((folder / "lib" / f"{piece}.lua").read_text(encoding="utf-8") for piece in pieces), text]
    )


def register(client: Redis, name: str) -> Script:
    """Register a script on a client: EVALSHA, and EVAL where the server does not know it yet."""
    return client.register_script(source(name))
