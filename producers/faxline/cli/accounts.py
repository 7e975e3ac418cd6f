"""`accounts`: limits, backlog and state; `pause` and `resume`."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from faxline.cli.app import (
    ACCOUNT,
    ENDED_OTHERWISE,
    ORDER_TIMEOUT,
    By,
    Json,
    OrderTimeout,
    agree,
    app,
    examples,
    faxline_of,
    operator,
)
from faxline.cli.explaining import used_of
from faxline.cli.output import complain, moment, span, write, write_json, write_table
from faxline.cli.presence import counted, processes_of
from faxline.contract.errors import StateRolledBack
from faxline.contract.wording import by_an_operator, plural
from faxline.reading import account_state as account
from faxline.reading.account_state import OPERATOR, AccountState
from faxline.reading.processes import at_work
from faxline.reading.shared_settings import describe_differences, find_differences

accounts = typer.Typer(rich_markup_mode=None)
app.add_typer(
    accounts,
    name="accounts",
    epilog=examples(
        "faxline accounts",
        "faxline accounts show acme --json",
        "faxline accounts pause acme --yes",
        "faxline accounts resume acme",
    ),
)

_OPEN = ("queued", "submitting", "submitted", "in_doubt")
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account.")]


@accounts.callback(invoke_without_command=True)
def show_all(ctx: typer.Context, as_json: Json = False) -> None:
    """Show, pause and resume accounts.

    Alone, it shows every account that a dispatcher has run for, and the one of --account.
    """
    if ctx.invoked_subcommand is not None:
        return
    chosen: Any = ctx.obj
    with faxline_of(ctx) as line:
        known = set(line.accounts())
    if chosen.account:
        known.add(chosen.account)
    _show(ctx, sorted(known) or [ACCOUNT], as_json=as_json)


@accounts.command(epilog=examples("faxline accounts show acme", "faxline accounts show acme globex --json"))
def show(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The accounts.")],
    as_json: Json = False,
) -> None:
    """Show only these accounts."""
    _show(ctx, names, as_json=as_json)


@accounts.command(epilog=examples("faxline accounts pause acme", "faxline accounts pause acme --yes --json"))
def pause(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Pause an account: its jobs stay queued until it is resumed. Calls under way finish."""
    with faxline_of(ctx, name) as line:
        agree(
            f"Pause account {name}? Its jobs stay queued.",
            f"pausing {name} needs a yes: add --yes where nobody can be asked",
            yes=yes,
        )
        state = line.pause(by=by or operator(), timeout=timeout)
    _report(state, as_json=as_json, wanted=state.paused == OPERATOR)


@accounts.command(epilog=examples("faxline accounts resume acme"))
def resume(
    ctx: typer.Context,
    name: Name,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Resume a paused account, whatever the reason for the pause.

    After a Redis that went back, `faxline accounts rollback NAME --resume` does.
    """
    with faxline_of(ctx, name) as line:
        try:
            state = line.resume(by=by or operator(), timeout=timeout)
        except StateRolledBack as error:
            complain(str(error))
            raise typer.Exit(ENDED_OTHERWISE) from None
    _report(state, as_json=as_json, wanted=not state.paused)


def _report(state: AccountState, *, as_json: bool, wanted: bool) -> None:
    if as_json:
        write_json({"account": state.name, "paused": state.paused or None, "jobs": dict(state.jobs)})
        return
    is_so = f"paused ({state.paused})" if state.paused else "open"
    after = "" if wanted else "; the order was carried out, and another change followed"
    write(f"account {state.name} is {is_so}, {plural(state.jobs['queued'], 'job')} queued{after}")


def _show(ctx: typer.Context, names: Iterable[str], *, as_json: bool) -> None:
    states: list[AccountState] = []
    with faxline_of(ctx) as line:
        processes = processes_of(line)
    for name in dict.fromkeys(names):
        with faxline_of(ctx, name) as line:
            states.append(line.account_state())
    if as_json:
        for state in states:
            counts = at_work(processes, state.name) if processes is not None else None
            write_json(state.to_dict() | {"at_work": counts})
        return
    write_table(["account", "status", "calls", "window", "burst", "jobs"], [_row(state) for state in states])
    for state in states:
        if more := _more(state):
            write(f"{state.name}: {'; '.join(more)}")
    if processes is not None:
        write(counted(processes))


def _row(state: AccountState) -> list[str]:
    limits = [
        used_of(limit) if state.known else "-" for limit in (state.concurrency, state.window, state.burst)
    ]
    jobs = [f"{n} {name.replace('_', ' ')}" for name in _OPEN if (n := state.jobs[name])]
    return [state.name, _status(state).partition(";")[0], *limits, ", ".join(jobs) or "-"]


def _more(state: AccountState) -> list[str]:
    """What does not fit into a line of the table."""
    notes = [_status(state).replace("; ", ", ")] if ";" in _status(state) else []
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
    now = datetime.fromtimestamp(0, tz=UTC) + timedelta(microseconds=state.now)

    def at(us: int) -> str:
        return moment(now + timedelta(microseconds=us - state.now), now)

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
