"""Check Redis and what the daemon stored there."""

from collections.abc import Iterable, Iterator
from importlib.metadata import version

from faxline.contract.check import Check, Result
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.seals import Seals
from faxline.contract.wording import plural
from faxline.doctor.acl_checks import rights_checks
from faxline.doctor.cluster_checks import cluster_checks
from faxline.doctor.draining_checks import drained_check, read_drained
from faxline.doctor.process_checks import process_checks
from faxline.doctor.sealing_key_checks import keys_check
from faxline.doctor.server_checks import server_checks
from faxline.doctor.stream_checks import stream_checks
from faxline.doctor.unread_events import unread_checks
from faxline.reading import account_state as account
from faxline.reading.account_reader import read_account_state
from faxline.reading.account_state import AccountState, from_micros
from faxline.reading.draining import Drained
from faxline.reading.shared_settings import describe_differences, find_differences
from faxline.steps.commands import Command, Steps
from faxline.steps.redis_errors import is_refusal, trouble
from faxline.steps.replicas import NOT_ASKED, Confirmation

__all__ = ["Check", "Result", "examination"]

_NEAR = 0.8
"""The part of a ceiling that is reported, as by the alert FaxBacklogNearCeiling."""
_DAY_US = 86_400_000_000


def examination(
    seals: Seals,
    accounts: Iterable[str],
    confirmation: Confirmation = NOT_ASKED,
    *,
    in_cluster: bool = False,
) -> Steps[list[Check]]:
    """Run all checks of Redis and of the accounts.

    Args:
        seals: seals the entries of the first account here.
        accounts: the names of the accounts.
        confirmation: how many replicas must confirm a push.
        in_cluster: whether Redis is a cluster, of which each primary is looked at.
    """
    names = list(accounts)
    yield Command(lambda client: client.ping())
    checks = [
        Check("faxline", Result.OK, version("faxline")),
        Check("redis", Result.OK, "it answers"),
        *(yield from (cluster_checks if in_cluster else server_checks)(confirmation=confirmation)),
        *(yield from _answered("rights", rights_checks(names[0]), in_cluster=in_cluster)),
    ]
    drained = dict[str, Drained]()
    checks += yield from _answered("drained accounts", _note_drained(drained), in_cluster=in_cluster)
    served = process_checks(name for name in names if name not in drained)
    checks += yield from _answered("processes", served, in_cluster=in_cluster)
    clock_checked = False
    for name in names:
        keys = RedisKeys(name)
        try:
            state = yield from read_account_state(keys)
            if not clock_checked and (stepped := _clock(state)) is not None:
                clock_checked = True
                checks.append(stepped)
            checks += _account(state)
            if name in drained:
                checks.append(drained_check(state, drained[name]))
            checks += yield from stream_checks(keys, state)
            checks += yield from unread_checks(keys)
            checks.append((yield from keys_check(keys, state, seals if name == names[0] else None)))
        except Exception as error:
            if is_refusal(error):
                text = "not allowed to read it: use the user `operator` of ops/redis/users.acl"
                checks.append(Check(f"account {name}", Result.WARN, text))
            elif in_cluster:
                checks.append(Check(f"account {name}", Result.FAIL, trouble(error)))
            else:
                raise
    return checks


def _answered(name: str, look: Steps[list[Check]], *, in_cluster: bool) -> Steps[list[Check]]:
    """Checks, or of a cluster that the node is away that has what they look at: others may live."""
    try:
        return (yield from look)
    except Exception as error:
        if not in_cluster or is_refusal(error):
            raise
        return [Check(name, Result.FAIL, f"not looked at: {trouble(error)}")]


def _note_drained(drained: dict[str, Drained]) -> Steps[list[Check]]:
    drained.update((yield from read_drained()))
    return []


def _clock(state: AccountState) -> Check | None:
    """Check whether a dispatcher saw Redis' clock step within a day."""
    if not state.step_at or state.now - state.step_at > _DAY_US:
        return None
    at = from_micros(state.step_at)
    text = (
        f"Redis' stepped {'back' if state.step < 0 else 'forward'} by {abs(state.step):.0f} s at "
        f"{at:%H:%M:%S} UTC: "
        f"run an NTP client that slews on its machine, and on every one that a failover may choose"
    )
    return Check("clock", Result.WARN, text)


def _status(state: AccountState) -> tuple[Result, str]:
    """Check whether the account is open. The text says what to do if it is not."""
    if state.paused:
        return _paused(state)
    if state.cooling_down and not state.verifying:
        return Result.WARN, "iFax answered 429; the account waits"
    return Result.OK, "checks a new Redis first" if state.verifying else "open"


def _paused(state: AccountState) -> tuple[Result, str]:
    """Say what to do about a paused account."""
    name = state.name
    resume = f"faxline accounts resume {name}"
    match state.paused:
        case account.OPERATOR:
            return Result.WARN, f"paused by an operator: {resume}"
        case account.ROLLED_BACK:
            return Result.FAIL, (
                "paused, because Redis went back to an older state: see what was lost with "
                f"faxline accounts rollback {name}, then resume with its --resume"
            )
        case account.KEY_MISSING:
            return Result.FAIL, (
                "paused: a worker lacks the key that seals a fax: put it back into FAXLINE_SEALING_KEYS, "
                f"restart, then {resume}"
            )
        case account.UNREACHABLE:
            waiting = f"{plural(state.jobs.get('queued', 0), 'job waits', 'jobs wait')}, none is lost"
            look = "check the network, the proxy and iFax"
            return Result.FAIL, f"iFax is unreachable{_failure(state)}; {waiting}: {look}"
        case account.BREAKER:
            return (
                Result.FAIL,
                f"paused, breaker{_failure(state)}: ask iFax what it means, then {resume}",
            )
        case reason:
            return (
                Result.FAIL,
                f"paused, {reason}{_failure(state)}: fix the key or the balance at iFax",
            )


def _failure(state: AccountState) -> str:
    """The reason of the pause and the process that found it, in brackets."""
    said = [part for part in (state.paused_why, state.paused_by and f"found by {state.paused_by}") if part]
    return f" ({'; '.join(said)})" if said else ""


def _account(state: AccountState) -> Iterator[Check]:
    name = f"account {state.name}"
    yield Check(name, *_status(state))
    if state.jobs.get("in_doubt"):
        yield Check(name, Result.WARN, f"{state.jobs['in_doubt']} in doubt: faxline list --state in_doubt")
    if state.dead:
        yield Check(name, Result.WARN, f"{plural(state.dead, 'entry', 'entries')} set aside: faxline dead")
    if differ := find_differences(state.shared_settings):
        at_work = sum(bool(settings.by) for settings in state.shared_settings)
        text = f"its processes differ in settings, and the strictest hold: {describe_differences(differ)}"
        yield Check(name, Result.FAIL if at_work > 1 else Result.WARN, text)
    for kind, backlog in state.backlog.items():
        if backlog.configured and backlog.used >= backlog.configured * _NEAR:
            text = (
                f"the backlog is at {backlog.used / backlog.configured:.0%} of its ceiling of "
                f"{backlog.configured} {kind}; more is rejected: find out who pushes so much, or raise "
                f"FAXLINE_CEILINGS__{kind.upper()}"
            )
            yield Check(name, Result.FAIL if backlog.used >= backlog.configured else Result.WARN, text)
