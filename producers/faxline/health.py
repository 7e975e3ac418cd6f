"""What may be wrong with a line: looks at Redis and at what the daemon left there."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from faxline.account import OPERATOR, AccountState, account_state
from faxline.keys import INTAKE_GROUP, AccountKeys
from faxline.questions import Ask, Steps
from faxline.replies import is_refusal
from faxline.server import ServerFacts, facts

_FULL = 0.8
_SILENT_MS = 60_000


class Result(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at, and what to do about it."""

    name: str
    result: Result
    text: str

    @property
    def failed(self) -> bool:
        """Whether it must be mended."""
        return self.result is Result.FAIL

    def to_dict(self) -> dict[str, str]:
        """Its JSON."""
        return {"check": self.name, "result": str(self.result), "text": self.text}


def examination(accounts: Iterable[str]) -> Steps[list[Check]]:
    """Look at everything."""
    yield Ask(lambda client: client.ping())
    checks = [Check("redis", Result.OK, "it answers")]
    try:
        checks += _server((yield from facts()))
    except Exception as error:
        if not is_refusal(error):
            raise
        text = "INFO is refused to this user: version and durability are not known"
        checks.append(Check("server", Result.WARN, text))
    for name in accounts:
        keys = AccountKeys(name)
        checks.append((yield from _dispatcher(keys)))
        checks += _account((yield from account_state(keys)))
    return checks


def _server(facts: ServerFacts) -> Iterator[Check]:
    named = f"{facts.name} {facts.version}"
    if facts.speaks:
        yield Check("version", Result.OK, named)
    else:
        yield Check("version", Result.FAIL, f"{named}: 7.0 or newer is needed")
    if not facts.aof_on:
        yield Check("append-only file", Result.FAIL, "it is off, a restart loses faxes: set appendonly yes")
    elif facts.appendfsync == "always":
        yield Check("append-only file", Result.OK, "on, appendfsync always")
    elif facts.appendfsync is None:
        yield Check("append-only file", Result.OK, "on; appendfsync is not shown to this user")
    else:
        result = Result.WARN if facts.appendfsync == "everysec" else Result.FAIL
        text = f"appendfsync {facts.appendfsync}: a crash may lose the last second; set appendfsync always"
        yield Check("append-only file", result, text)
    if facts.maxmemory_policy == "noeviction":
        yield Check("eviction", Result.OK, "off")
    else:
        text = f"{facts.maxmemory_policy} throws faxes away: set maxmemory-policy noeviction"
        yield Check("eviction", Result.FAIL, text)
    used = facts.used_memory / facts.maxmemory if facts.maxmemory else 0.0
    told = f"{facts.used_memory / 1e6:.0f} MB" + (f", {used:.0%} of maxmemory" if facts.maxmemory else "")
    yield Check("memory", Result.WARN if used > _FULL else Result.OK, told)


def _dispatcher(keys: AccountKeys) -> Steps[Check]:
    name = f"dispatcher of {keys.account}"
    try:
        consumers: list[dict[str, Any]] = yield Ask(
            lambda client: client.xinfo_consumers(keys.intake, INTAKE_GROUP)
        )
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
