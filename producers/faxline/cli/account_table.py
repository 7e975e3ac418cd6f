"""How an account stands, as the table of `accounts` and its notes show it."""

from collections.abc import Callable

from faxline.cli.explaining import used_of
from faxline.cli.output import moment, span
from faxline.contract.wording import by_an_operator
from faxline.reading import account_state as account
from faxline.reading.account_state import AccountState, from_micros
from faxline.reading.shared_settings import describe_differences, find_differences

_OPEN = ("queued", "submitting", "submitted", "in_doubt")


def row_of(state: AccountState, *, drained: bool = False) -> list[str]:
    """A line of the table. A drained account is not open, whatever its state says."""
    limits = [
        used_of(limit) if state.known else "-" for limit in (state.concurrency, state.window, state.burst)
    ]
    jobs = [f"{n} {name.replace('_', ' ')}" for name in _OPEN if (n := state.jobs[name])]
    status = "drained" if drained else _status(state).partition(";")[0]
    return [state.name, status, *limits, ", ".join(jobs) or "-"]


def notes_of(state: AccountState) -> list[str]:
    """What does not fit into a line of the table."""
    notes = [status_of(state)] if ";" in _status(state) else []
    limits = {"calls": state.concurrency, "window": state.window, "burst": state.burst}
    if lowered := [f"{name} from {x.configured}" for name, x in limits.items() if x.effective < x.configured]:
        notes.append(f"limits are lowered: {', '.join(lowered)}")
    if oldest := [f"{name.replace('_', ' ')} {span(age)}" for name, age in state.oldest.items() if age]:
        notes.append(f"the oldest: {', '.join(oldest)}")
    if ceilings := _ceilings(state):
        notes.append(f"ceilings: {ceilings}")
    if differ := find_differences(state.shared_settings):
        notes.append(f"its processes differ, and the strictest hold: {describe_differences(differ)}")
    return notes


def status_of(state: AccountState) -> str:
    """The status with why and until when, such as `paused, by an operator (jane)`."""
    return _status(state).replace("; ", ", ", 1)


def _ceilings(state: AccountState) -> str:
    """How much of the ceilings the backlog uses."""
    used = [
        f"{part.used} of {part.configured} {name}"
        for name, part in state.backlog.items()
        if part.configured and part.used
    ]
    return ", ".join(used)


def _status(state: AccountState) -> str:
    """The status in a word or two; after a semicolon, why and until when."""
    now = from_micros(state.now)

    def at(us: int) -> str:
        return moment(from_micros(us), now)

    if not state.known:
        return "never run"
    match state.paused:
        case "":
            return _open(state, at)
        case account.OPERATOR:
            return f"paused; {by_an_operator(state.paused_by)}"
        case account.ROLLED_BACK:
            return f"paused; {state.paused}, see faxline accounts rollback {state.name}"
        case reason:
            why = f" ({state.paused_why})" if state.paused_why else ""
            since = f" since {at(state.paused_since)}" if state.paused_since else ""
            held = "unreachable" if reason == account.UNREACHABLE else f"paused; {reason}"
            more = f"{since}{why}, next probe {at(max(state.now, state.probe_at))}"
            return f"{held};{more}" if reason == account.UNREACHABLE else f"{held}{more}"


def _open(state: AccountState, at: Callable[[int], str]) -> str:
    if state.verifying:
        return f"new Redis; looked at until {at(state.verified_at)}"
    if state.cooling_down:
        return f"429; closed until {at(state.cooldown_until)}"
    return "settings differ" if find_differences(state.shared_settings) else "open"
