"""Loads the Lua scripts. Each file is one decision, and includes shared pieces."""

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from functools import cache
from importlib.resources import files
from typing import Any, TypeAlias

from redis import Redis
from redis.exceptions import NoScriptError

from faxline.contract.redis_keys import RedisKeys
from faxline.steps.replicas import Confirmation
from faxline_worker.state.redis_clients import TooFewReplicasError

_INCLUDE = re.compile(r"^-- include: (.+)$", re.MULTILINE)
FLAGS = "#!lua flags=allow-oom"
"""Every script may run when memory is full: accepted faxes go on, and only new entries are refused."""
LAYOUT = (1, 6)
"""MAJOR and MINOR of what this version stores (maintenance/schema_version.py)."""
CLOCK, STEADY = "clock", "steady"
"""The piece that reads the time, and the piece that always follows it."""
FIRST = ("layout", "keys")
"""The pieces that every script of an account begins with."""
OF_NO_ACCOUNT = {"register_accounts", "wake"}
"""Scripts that work on no account. They declare a key of their own, and know no layout."""
Argument: TypeAlias = str | bytes | int | float
"""What a script takes as an argument."""


def declared(keys: RedisKeys) -> tuple[str, str]:
    """The two keys that every script of an account declares: the prefix, which is never a key, and the hash.

    The script makes the names of all other keys from the prefix (ARCHITECTURE.md, Keys).
    """
    return keys.prefix, keys.account_state


@cache
def source(name: str, clock: str | None = None) -> str:
    """Build the text of a script: the pieces that its `-- include:` lines name, then the script itself.

    Args:
        name: the file, without .lua.
        clock: Lua text that replaces the clock, for tests. It defines `now_us`, `now` and `int`.
    """
    folder = files("faxline_worker") / "state" / "lua"
    text = (folder / f"{name}.lua").read_text(encoding="utf-8")
    pieces = " ".join(_INCLUDE.findall(text)).replace(CLOCK, f"{CLOCK} {STEADY}", 1).split()

    def piece(which: str) -> str:
        if which == CLOCK and clock is not None:
            return clock
        return (folder / "lib" / f"{which}.lua").read_text(encoding="utf-8")

    if name in OF_NO_ACCOUNT:
        return f"{FLAGS}\n{text}"
    return "\n".join([FLAGS, f"local LAYOUT = {LAYOUT[0]}", *map(piece, [*FIRST, *pieces]), text])


class Script:
    """A script on a client. redis-py's own class spends more time in Python than Redis needs for the script.

    Args:
        client: any redis-py client with bytes replies.
        text: the text of the script.
    """

    def __init__(self, client: Redis, text: str) -> None:
        self._client = client
        self._text = text
        self._sha = hashlib.sha1(text.encode()).hexdigest()  # noqa: S324 - Redis' name for it

    def __call__(self, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run the script. Load it first if the server does not know it.

        Raises:
            redis.RedisError: the server is away or refuses, or the script raised.
        """
        run: Callable[..., Any] = self._client.execute_command
        try:
            return run("EVALSHA", self._sha, len(keys), *keys, *args)
        except NoScriptError:
            run("SCRIPT LOAD", self._text)
            return run("EVALSHA", self._sha, len(keys), *keys, *args)

    def each(self, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        """Run the script with each of these keys and arguments, in one round trip.

        Raises:
            redis.RedisError: the server is away or refuses, or the script raised in one of them.
        """
        replies = self._each(calls)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            self._client.execute_command("SCRIPT LOAD", self._text)  # type: ignore[no-untyped-call]
            replies = self._each(calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def _each(self, calls: Sequence[tuple[Sequence[str], Sequence[Argument]]]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            for keys, args in calls:
                pipe.execute_command("EVALSHA", self._sha, len(keys), *keys, *args)  # type: ignore[no-untyped-call]
            replies: list[Any] = pipe.execute(raise_on_error=False)
        return replies

    def confirmed(self, confirmation: Confirmation, keys: Sequence[str], args: Sequence[Argument]) -> Any:
        """Run the script and wait for the replicas, in one round trip. The script must write on each call.

        Raises:
            TooFewReplicasError: the script has run, but too few replicas have its writes.
            redis.RedisError: as above.
        """
        done, missed = self.asking(confirmation, keys, args)
        if missed:
            raise TooFewReplicasError(missed)
        return done

    def asking(
        self, confirmation: Confirmation, keys: Sequence[str], args: Sequence[Argument]
    ) -> tuple[Any, str]:
        """Run the script and wait for the replicas. Returns the reply, and `Confirmation.missed`.

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

    def _confirming(
        self, confirmation: Confirmation, keys: Sequence[str], args: Sequence[Argument]
    ) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipe:
            pipe.execute_command("EVALSHA", self._sha, len(keys), *keys, *args)  # type: ignore[no-untyped-call]
            confirmation.ask(pipe)
            replies: list[Any] = pipe.execute(raise_on_error=False)
        return replies


def register(client: Redis, name: str, clock: str | None = None) -> Script:
    """Make a script on a client."""
    return Script(client, source(name, clock))


class Scripts:
    """The scripts of one account on a client, by name.

    Args:
        client: any redis-py client with bytes replies.
        keys: the account's keys.
        names: the names of the files, without .lua.
        clock: Lua text that gives the time, for tests (`source`).
    """

    def __init__(
        self, client: Redis, keys: RedisKeys, names: Iterable[str], clock: str | None = None
    ) -> None:
        self._keys = declared(keys)
        self._by_name = {name: register(client, name, clock) for name in names}

    def run(self, name: str, *args: Argument) -> Any:
        """Run a script.

        Raises:
            redis.RedisError: the server is away or refuses, or the script raised.
        """
        return self._by_name[name](self._keys, args)

    def each(self, name: str, calls: Sequence[tuple[RedisKeys, Sequence[Argument]]]) -> list[Any]:
        """Run a script for each of these accounts, in one round trip; see `Script.each`."""
        return self._by_name[name].each([(declared(keys), args) for keys, args in calls])

    def of(self, keys: RedisKeys) -> "Scripts":
        """The same scripts for another account."""
        other = copy(self)
        other._keys = declared(keys)  # noqa: SLF001 - of this class
        return other

    def confirmed(self, confirmation: Confirmation, name: str, *args: Argument) -> Any:
        """Run a script that writes, and wait for the replicas; see `Script.confirmed`."""
        return self._by_name[name].confirmed(confirmation, self._keys, args)

    def asking(self, confirmation: Confirmation, name: str, *args: Argument) -> tuple[Any, str]:
        """Run a script that writes, and wait for the replicas; see `Script.asking`."""
        return self._by_name[name].asking(confirmation, self._keys, args)
