"""What may be wrong with a line: looks at Redis and at what the daemon left there."""

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

from faxline.account import OPERATOR, AccountState, account_state
from faxline.checkup import Check, Result
from faxline.key_checks import keys_check
from faxline.keys import INTAKE_GROUP, VERSION_SIGN, AccountKeys
from faxline.questions import Ask, Steps
from faxline.replies import is_refusal
from faxline.rights import rights_checks
from faxline.seals import Seals
from faxline.server_checks import server_checks

__all__ = ["Check", "Result", "examination"]

_SILENT_MS = 60_000
_NEAR = 0.8
"""The part of a ceiling from which on it is told, as by the alert FaxBacklogNearCeiling."""
_KEY_MISSING = "key_missing"


def examination(seals: Seals, accounts: Iterable[str]) -> Steps[list[Check]]:
    """Look at everything.

    Args:
        seals: what the first account's entries are sealed with here.
        accounts: their names.
    """
    names = list(accounts)
    yield Ask(lambda client: client.ping())
    checks = [
        Check("faxline", Result.OK, version("faxline")),
        Check("redis", Result.OK, "it answers"),
        *(yield from server_checks()),
        *(yield from rights_checks(names[0])),
    ]
    for name in names:
        keys = AccountKeys(name)
        checks.append((yield from _dispatcher(keys)))
        try:
            state = yield from account_state(keys)
            checks += _account(state)
            checks.append((yield from keys_check(keys, state, seals if name == names[0] else None)))
        except Exception as error:
            if not is_refusal(error):
                raise
            text = "not allowed to look at it: use the user `operator` of ops/redis/users.acl"
            checks.append(Check(f"account {name}", Result.WARN, text))
    return checks


def _dispatcher(keys: AccountKeys) -> Steps[Check]:
    from redis.exceptions import NoPermissionError  # noqa: PLC0415 - `import faxline` is to be quick

    name = f"dispatcher of {keys.account}"
    try:
        consumers: list[dict[str, Any]] = yield Ask(
            lambda client: client.xinfo_consumers(keys.intake, INTAKE_GROUP)
        )
    except NoPermissionError:
        return Check(name, Result.WARN, f"not allowed to look: grant +xinfo|consumers on {keys.intake}")
    except Exception as error:
        if not is_refusal(error):
            raise
        return Check(name, Result.FAIL, "none has ever run: start one with this account in its settings")
    alive = [_text(consumer["name"]) for consumer in consumers if consumer["idle"] < _SILENT_MS]
    if not alive:
        return Check(name, Result.FAIL, "none has read the intake for a minute: start one")
    versions = sorted({each.rpartition(VERSION_SIGN)[2] for each in alive if VERSION_SIGN in each})
    told, ours = f"{len(alive)} at work", version("faxline")
    if versions:
        told += f", version {' and '.join(versions)}"
    if len(versions) > 1:
        return Check(name, Result.WARN, f"{told}: bring the roll-out to its end")
    if versions and _number(versions[0]) < _number(ours):
        text = f"{told}, older than ours: it rejects what is new; upgrade it first"
        return Check(name, Result.WARN, text)
    return Check(name, Result.OK, told)


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _number(named: str) -> tuple[int, ...]:
    """A version's numbers, to compare; what does not begin with one counts as 0."""
    parts = [re.match(r"\d+", part) for part in named.split(".")]
    return tuple(int(part[0]) if part else 0 for part in parts[:3])


def _account(state: AccountState) -> Iterator[Check]:
    name = f"account {state.name}"
    if state.paused == OPERATOR:
        yield Check(name, Result.WARN, f"paused by an operator: faxline accounts resume {state.name}")
    elif state.paused == _KEY_MISSING:
        text = (
            "paused, for a worker lacks a key that seals a fax: put it back into FAXLINE_KEYS, restart, then "
            f"faxline accounts resume {state.name}"
        )
        yield Check(name, Result.FAIL, text)
    elif state.paused:
        yield Check(name, Result.FAIL, f"paused, {state.paused}: mend the key or the balance at iFax")
    elif state.gated:
        yield Check(name, Result.WARN, "iFax answered 429; the account waits")
    else:
        yield Check(name, Result.OK, "open")
    if state.jobs.get("in_doubt"):
        yield Check(name, Result.WARN, f"{state.jobs['in_doubt']} in doubt: faxline list --state in_doubt")
    if state.dead:
        yield Check(name, Result.WARN, f"{state.dead} entries set aside: faxline dead")
    for kind, backlog in state.backlog.items():
        if backlog.configured and backlog.used >= backlog.configured * _NEAR:
            text = (
                f"the backlog is at {backlog.used / backlog.configured:.0%} of its ceiling of "
                f"{backlog.configured} {kind}; more is rejected: find out who pushes so much, or raise "
                f"FAXLINE_CEILINGS__{kind.upper()}"
            )
            yield Check(name, Result.FAIL if backlog.used >= backlog.configured else Result.WARN, text)
