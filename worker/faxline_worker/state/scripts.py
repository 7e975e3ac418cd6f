"""Loads the Lua scripts: one file a decision, with the shared pieces that it includes."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.exceptions import NoScriptError

from faxline.steps.replicas import Confirmation
from faxline_worker.state.redis_clients import TooFewReplicasError

_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)
FLAGS = "#!lua flags=allow-oom"
"""Every script runs on when memory is full: what is inside must go on, only producers' entries are
refused."""
LAYOUT = (1, 4)
"""MAJOR and MINOR of what this version stores (maintenance/schema_version.py)."""
CLOCK, STEADY = "clock", "steady"
"""The piece that tells the time, and the one that follows it wherever it is included."""
FIRST = "layout"
"""The piece that stands in front of every script."""


@cache
def source(name: str, clock: str | None = None) -> str:
    """The whole text of one script: the pieces its `-- include:` line names, then the script itself.

    Args:
        name: the file, without .lua.
        clock: Lua text in the clock's place, for tests: it defines `now_us`, `now` and `int`.
    """
    folder = files("faxline_worker") / "state" / "lua"
    text = (folder / f"{name}.lua").read_text(encoding="utf-8")
    match = _INCLUDE.search(text)
    pieces = match[1].replace(CLOCK, f"{CLOCK} {STEADY}", 1).split() if match else []

    def piece(which: str) -> str:
        if which == CLOCK and clock is not None:
            return clock
        return (folder / "lib" / f"{which}.lua").read_text(encoding="utf-8")

    return "\n".join([FLAGS, f"local LAYOUT = {LAYOUT[0]}", *map(piece, [FIRST, *pieces]), text])


class Script:
    """A script on a client. redis-py's own asks more of Python than of Redis on each call.

    Args:
        client: any of redis-py's, bytes replies.
        text: the whole of it.
    """

    def __init__(self, client: Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._sha = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - Redis' name for it

    def __call__(self, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it, and load it first where the server does not know it.

        Raises:
            redis.RedisError: the server is away or refuses, or the script raised.
        """
        run: Callable[..., Any] = self._client.execute_command
        try:
            return run("EVALSHA", self._sha, len(keys), *keys, *args)
        except NoScriptError:
            run("SCRIPT LOAD", self._text)
            return run("EVALSHA", self._sha, len(keys), *keys, *args)

    def confirmed(self, confirmation: Confirmation, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it, and ask the replicas in the same round trip. It must write whenever it is called.

        Raises:
            TooFewReplicasError: it was run, and too few replicas have what it wrote.
            redis.RedisError: as above.
        """
        done, missed = self.asking(confirmation, keys, args)
        if missed:
            raise TooFewReplicasError(missed)
        return done

    def asking(self, confirmation: Confirmation, keys: Sequence[str], args: Sequence[Any]) -> tuple[Any, str]:
        """Run it, and ask the replicas: the reply, and how many are missed (`Confirmation.missed`).

        Raises:
            redis.RedisError: as above.
        """
        if not confirmation:
            return self(keys, args), ""
        done, waited = self._confirming(confirmation, keys, args)
        if isinstance(done, NoScriptError):
            self._client.execute_command("SCRIPT LOAD", self._text)  # type: ignore[no-untyped-call]
            done, waited = self._confirming(confirmation, keys, args)
        if isinstance(done, Exception):
            raise done
        return done, confirmation.missed(waited)

    def _confirming(self, confirmation: Confirmation, keys: Sequence[str], args: Sequence[Any]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.execute_command("EVALSHA", self._sha, len(keys), *keys, *args)  # type: ignore[no-untyped-call]
            confirmation.ask(pipe)
            replies: list[Any] = pipe.execute(raise_on_error=False)
        return replies


def register(client: Redis, name: str, clock: str | None = None) -> Script:
    """One of our scripts on a client."""
    return Script(client, source(name, clock))


class Scripts:
    """Scripts on a client, by name.

    Args:
        client: any of redis-py's, bytes replies.
        names: of the files, without .lua.
        clock: Lua text that tells the time, for tests (`source`).
    """

    def __init__(self, client: Redis, names: Iterable[str], clock: str | None = None) -> None:
        self._by_name = {name: register(client, name, clock) for name in names}

    def run(self, name: str, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run one.

        Raises:
            redis.RedisError: the server is away or refuses, or the script raised.
        """
        return self._by_name[name](keys=list(keys), args=list(args))

    def confirmed(
        self, confirmation: Confirmation, name: str, keys: Sequence[str], args: Sequence[Any]
    ) -> Any:
        """Run one that writes, and ask the replicas, as `Script.confirmed`."""
        return self._by_name[name].confirmed(confirmation, list(keys), list(args))

    def asking(
        self, confirmation: Confirmation, name: str, keys: Sequence[str], args: Sequence[Any]
    ) -> tuple[Any, str]:
        """Run one that writes, and ask the replicas, as `Script.asking`."""
        return self._by_name[name].asking(confirmation, list(keys), list(args))
