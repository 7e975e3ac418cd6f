"""The web console of the rig, with a link that signs in."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import httpx

from faxline_local.processes import free_port
from faxline_local.stack import Local

NEEDED = ("faxline_console", "argon2", "jinja2", "python_multipart", "sqlalchemy")
"""What the extra `console` brings."""
USER = "you"
NAME = "console-1"
"""Its name among the processes that have metrics."""


class Started(NamedTuple):
    """A console that runs.

    Attributes:
        link: signs an administrator in once.
        settings: the FAXLINE_ variables with which `faxline-worker console users` reaches its people.
    """

    link: str
    settings: dict[str, str]


def start_console(local: Local, directory: Path) -> Started | None:
    """Start the console beside a stack.

    Args:
        local: the stack; the console ends with it.
        directory: of its database.

    Returns:
        Where it is; None where the extra `console` is not installed.
    """
    if not all(map(find_spec, NEEDED)):
        return None
    from faxline_archive.database import open_database  # noqa: PLC0415 - only with the extra
    from faxline_console.access.links import Links  # noqa: PLC0415 - as above
    from faxline_console.access.people import Person, Role  # noqa: PLC0415 - as above
    from faxline_console.access.store import ConsoleStore  # noqa: PLC0415 - as above

    url, port = f"sqlite:///{directory.absolute() / 'console.db'}", free_port()
    engine = open_database(url, writes=True)
    store = ConsoleStore(engine)
    if store.person(USER) is not None:  # the folder of an earlier playground
        store.remove_user(USER)
    store.add_user(Person(USER, Role.ADMIN))
    local.metrics[NAME] = free_port()  # so that several run on a machine
    own = {
        "FAXLINE_CONSOLE__DATABASE": url,
        "FAXLINE_CONSOLE__PORT": str(port),
        "FAXLINE_METRICS__CONSOLE_PORT": str(local.metrics[NAME]),
    }
    command = [sys.executable, "-m", "faxline_worker", "console"]
    part = local.add("console", command, local.environment("console") | own)
    address = f"http://127.0.0.1:{port}"
    part.await_start(lambda: _answers(f"{address}/readyz"))
    token = Links(store).make(USER)
    engine.dispose()
    settings = {
        "FAXLINE_ACCOUNTS": ",".join(local.accounts),
        "FAXLINE_CONSOLE__DATABASE": url,
        "FAXLINE_CONSOLE__URL": address,
    }
    return Started(f"{address}/sign-in/{token}", settings)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).is_success
    except httpx.HTTPError:
        return False
