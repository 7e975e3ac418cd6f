"""What may be wrong with a line: looks at Redis and at what the daemon left there."""

from collections.abc import Iterable, Iterator
from importlib.metadata import version
from typing import Any

from faxline.account import OPERATOR, AccountState, account_state
from faxline.checkup import Check, Result
from faxline.keys import INTAKE_GROUP, AccountKeys
from faxline.questions import Ask, Steps
from faxline.replies import is_refusal
from faxline.rights import rights_checks
from faxline.server_checks import server_checks

__all__ = ["Check", "Result", "examination"]

_SILENT_MS = 60_000


def examination(accounts: Iterable[str]) -> Steps[list[Check]]:
    """Look at everything."""
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
            checks += _account((yield from account_state(keys)))
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
    alive = sum(1 for consumer in consumers if consumer["idle"] < _SILENT_MS)
    if not alive:
        return Check(name, Result.FAIL, "none has read the intake for a minute: start one")
    return Check(name, Result.OK, f"{alive} at work")


def _account(state: AccountState) -> Iterator[Check]:
    name = f"account {state.name}"
    if state.paused == OPERATOR:
        yield Check(name, Result.WARN, f"paused by an operator: faxline accounts resume {state.name}")
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
