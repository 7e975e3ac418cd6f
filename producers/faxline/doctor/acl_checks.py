"""Check the rights of the Redis users: whether each may do what it needs, and no more.

The users are those of ops/redis/users.acl. ACL DRYRUN asks the server itself, so nothing is tried out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from faxline.contract.check import Check, Result
from faxline.contract.redis_keys import ACCOUNTS, ARCHIVE_GROUP, DRAINING, PROCESSES, SERVING, RedisKeys
from faxline.steps.commands import Command, Steps
from faxline.steps.redis_errors import is_refusal

_DEFAULT = "default"
_LOOPBACK = ("127.", "[::1]", "/")
_WAKE_UPS = "wake-ups:faxline"
_MOST_SHOWN = 4

_Commands = Sequence[tuple[str, ...]]


def needed(keys: RedisKeys) -> Mapping[str, _Commands]:
    """The commands that each user needs, by user."""
    job, document, upload = keys.job("j"), keys.document("d"), keys.upload("u")
    push = ("XADD", keys.intake, "*", "send", "{}")
    script = ("EVALSHA", "0" * 40, "2", keys.prefix, keys.account_state)
    listed = ("SMISMEMBER", ACCOUNTS, "a")
    return {
        "producer": (
            push,
            ("XPENDING", keys.intake, "g"),
            ("SET", upload, "b", "PX", "1000"),
            ("HGETALL", job),
            ("XREAD", "STREAMS", keys.events, "0"),
            ("XAUTOCLAIM", keys.events, "g", "c", "1", "0"),
            ("HGETALL", f"{PROCESSES}worker"),
        ),
        "webhook": (("XADD", keys.status, "*", "body", "{}"), listed, *_heartbeats("webhook")),
        "dispatcher": (
            script,
            ("XREADGROUP", "GROUP", "g", "c", "STREAMS", keys.intake, ">"),
            ("SADD", ACCOUNTS, "a"),
            ("HSET", DRAINING, "a", "1"),
            ("RPUSH", _WAKE_UPS, "m"),
            ("INFO",),
            *_heartbeats("dispatcher"),
        ),
        "worker": (
            script,
            ("GETRANGE", document, "0", "1"),
            ("BLPOP", _WAKE_UPS, "1"),
            ("INFO",),
            ("HGETALL", DRAINING),
            listed,
            *_heartbeats("worker"),
        ),
        "operator": (
            ("XADD", keys.orders, "*", "order", "pause"),
            ("HGETALL", job),
            ("ZRANGE", keys.ready, "0", "1"),
            ("HGETALL", keys.lost),
            ("SMEMBERS", ACCOUNTS),
            ("INFO",),
            ("TIME",),
            ("HGETALL", f"{PROCESSES}worker"),
            ("HGETALL", f"{SERVING}worker"),
            ("HGETALL", DRAINING),
        ),
        "console": (
            push,
            ("SET", upload, "b", "PX", "1000"),
            ("XADD", keys.orders, "*", "order", "pause"),
            ("HGETALL", job),
            ("SSCAN", keys.group("g"), "0"),
            ("XREAD", "STREAMS", keys.events, "0"),
            ("ZRANGE", keys.ready, "0", "1"),
            ("XRANGE", keys.dead, "-", "+"),
            ("XREVRANGE", keys.audit, "+", "-"),
            ("XREAD", "STREAMS", keys.reply("o"), "0"),
            ("HGETALL", f"{PROCESSES}worker"),
            ("HGETALL", f"{SERVING}worker"),
            ("HGETALL", DRAINING),
            listed,
            *_heartbeats("console"),
        ),
        "archive": (
            script,
            ("XREAD", "STREAMS", keys.events, keys.audit, "0", "0"),
            ("XGROUP", "SETID", keys.audit, ARCHIVE_GROUP, "0"),
            ("HMGET", job, "request"),
            ("HSET", keys.account_state, "archive", "0"),
            ("SET", keys.archive, "0"),
            ("SMEMBERS", ACCOUNTS),
            ("HGETALL", DRAINING),
            listed,
            *_heartbeats("archive"),
        ),
    }


def _heartbeats(role: str) -> _Commands:
    """The commands that write a heartbeat, and what it says of accounts."""
    return (_heartbeat(role), ("HSET", f"{SERVING}{role}", "p", "{}"))


def _heartbeat(role: str) -> tuple[str, ...]:
    """The command that writes a heartbeat."""
    return ("HSET", f"{PROCESSES}{role}", "p", "{}")


def too_much(keys: RedisKeys) -> Mapping[str, _Commands]:
    """The commands that each user must not be able to run, by user."""
    job, document = keys.job("j"), keys.document("d")
    everything: _Commands = (("FLUSHALL",), ("CONFIG", "SET", "dir", "/"), ("ACL", "SETUSER", "u"))
    script = ("EVAL", "return 1", "1", job)
    receipt = ("XADD", keys.status, "*", "body", "{}")
    order = ("XADD", keys.orders, "*", "order", "pause")
    push = ("XADD", keys.intake, "*", "send", "{}")
    read: _Commands = (("XRANGE", keys.status, "-", "+"), ("GET", document), ("HSET", job, "state", "s"))
    alter: _Commands = (("SET", document, "b"), ("PEXPIRE", document, "1"), ("DEL", document))
    return {
        "producer": (
            *everything,
            script,
            receipt,
            order,
            *read,
            *alter,
            ("XRANGE", keys.intake, "-", "+"),
            ("DEL", job),
            _heartbeat("worker"),
            ("HGETALL", f"{SERVING}worker"),
        ),
        "webhook": (*everything, script, push, order, *read, ("HGETALL", job), _heartbeat("worker")),
        "dispatcher": (*everything, _heartbeat("worker")),
        "worker": (*everything, ("DEL", "another-program"), _heartbeat("dispatcher")),
        "operator": (*everything, script, receipt, *read, *alter, ("DEL", job), _heartbeat("worker")),
        "console": (
            *(*everything, script, receipt, *read, *alter, ("DEL", job), _heartbeat("worker")),
            ("XGROUP", "DESTROY", keys.events, "g"),
            ("SADD", ACCOUNTS, "a"),
            ("XRANGE", keys.orders, "-", "+"),
        ),
        "archive": (
            *(*everything, push, receipt, order, *read, *alter, ("DEL", job), _heartbeat("worker")),
            ("XDEL", keys.events, "0-1"),
            ("ZADD", keys.ready, "1", "j"),
        ),
    }


def rights_checks(account: str) -> Steps[list[Check]]:
    """Look at our own user, and at those of `needed`."""
    keys = RedisKeys(account)
    found = [(yield from _ourselves())]
    forbidden = too_much(keys)
    for user, commands in needed(keys).items():
        lacks = yield from _refused(user, commands)
        if lacks is None:
            text = "not allowed to read the users' rights: grant +acl|dryrun, or run this as an administrator"
            return [*found, Check("rights", Result.WARN, text)]
        if len(lacks) == len(commands) and lacks[0] == "":
            continue  # there is no such user
        refused = yield from _refused(user, forbidden[user])
        may = [line for line in map(format_command, forbidden[user]) if line not in (refused or ())]
        found.append(_judged(user, lacks, may))
    return found


def format_command(command: Sequence[str]) -> str:
    """Format a command for a text, with its subcommand or key."""
    name = " ".join(command[:2]) if command[0] in {"CONFIG", "ACL"} else command[0]
    key = next((word for word in command[1:] if word.startswith(("fax:", "wake-ups:"))), None)
    return f"{name} {key}" if key and command[0] not in {"EVAL", "EVALSHA"} else name


def _judged(user: str, lacks: Sequence[str], may: Sequence[str]) -> Check:
    name, fix = f"rights of {user}", "as in ops/redis/users.acl"
    if lacks:
        return Check(name, Result.FAIL, f"lacks {_few(lacks)}: grant them {fix}")
    if may:
        return Check(name, Result.WARN, f"may do too much: {_few(may)}; take them away {fix}")
    return Check(name, Result.OK, "what it needs, and no more")


def _few(commands: Sequence[str]) -> str:
    shown = ", ".join(commands[:_MOST_SHOWN])
    return f"{shown} and {len(commands) - _MOST_SHOWN} more" if len(commands) > _MOST_SHOWN else shown


def _refused(user: str, commands: _Commands) -> Steps[list[str] | None]:
    """Which commands a user may not run; None if the user does not exist or the server does not say."""
    lacks: list[str] = []
    for words in commands:
        try:
            answer = yield Command(_dry(user, words))
        except Exception as error:
            if not is_refusal(error):
                raise
            if "not found" in str(error).lower():
                return [""] * len(commands)
            return None
        if answer not in {b"OK", "OK", True}:
            lacks.append(format_command(words))
    return lacks


def _dry(user: str, words: Sequence[str]) -> Any:
    return lambda client: client.acl_dryrun(user, *words)


def _ourselves() -> Steps[Check]:
    try:
        user: Any = yield Command(lambda client: client.acl_whoami())
    except Exception as error:
        if not is_refusal(error):
            raise
        return Check("user", Result.WARN, "not allowed to read it: grant +acl|whoami")
    name = user.decode() if isinstance(user, bytes) else user
    if name != _DEFAULT:
        return Check("user", Result.OK, name)
    fix = "give each part a user of its own as in ops/redis/users.acl"
    if not (yield from _open_to_all()):
        return Check("user", Result.WARN, f"default, which may do everything: {fix}")
    if (yield from _on_loopback()):
        return Check("user", Result.WARN, f"default without a password, open to all on this machine: {fix}")
    return Check("user", Result.FAIL, f"default without a password, open to all who reach the port: {fix}")


def _open_to_all() -> Steps[bool]:
    try:
        default: Any = yield Command(lambda client: client.acl_getuser(_DEFAULT))
    except Exception as error:
        if not is_refusal(error):
            raise
        return False
    return "nopass" in default["flags"]


def _on_loopback() -> Steps[bool]:
    """Whether the connection comes from the server's own machine."""
    try:
        ours: Any = yield Command(lambda client: client.client_info())
    except Exception as error:
        if not is_refusal(error):
            raise
        return False
    return str(ours.get("laddr", "")).startswith(_LOOPBACK)
