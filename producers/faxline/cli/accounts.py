"""`accounts`: limits, backlog and state; `pause`, `probe` and `resume`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from faxline.cli.account_table import notes_of, row_of, status_of
from faxline.cli.app import (
    ACCOUNT,
    AWAY,
    ENDED_OTHERWISE,
    ORDER_TIMEOUT,
    By,
    Json,
    OrderTimeout,
    UsageError,
    agree,
    app,
    examples,
    faxline_of,
    line_of,
    operator,
)
from faxline.cli.glance import Glance
from faxline.cli.output import complain, write, write_json, write_table
from faxline.cli.presence import counted, processes_of
from faxline.contract.errors import NotAllowed, PauseChanged, QueueUnavailable, StateRolledBack
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.wording import plural
from faxline.reading.account_state import OPERATOR, ROLLED_BACK, AccountState
from faxline.reading.draining import Drained
from faxline.reading.processes import Process, at_work

accounts = typer.Typer(rich_markup_mode=None)
app.add_typer(
    accounts,
    name="accounts",
    epilog=examples(
        "faxline accounts",
        "faxline accounts show acme --json",
        "faxline accounts pause acme --yes",
        "faxline accounts probe acme",
        "faxline accounts resume acme",
    ),
)

_Unanswered = tuple[str, QueueUnavailable]
"""What Redis did not answer, and why."""
Name = Annotated[str, typer.Argument(metavar="NAME", help="The account.")]


@accounts.callback(invoke_without_command=True)
def show_all(ctx: typer.Context, as_json: Json = False) -> None:
    """Show, pause, probe and resume accounts.

    Alone, it shows every account that a dispatcher has run for, and the one of --account.
    """
    if ctx.invoked_subcommand is not None:
        return
    chosen: Any = ctx.obj
    with line_of(ctx, Glance) as line:
        away: list[_Unanswered] = []
        known = {chosen.account} if chosen.account else set[str]()
        try:
            known.update(line.accounts())
        except NotAllowed:
            raise
        except QueueUnavailable as error:
            away.append(("which accounts there are is not known", error))
        _show(line, sorted(known) or [ACCOUNT], away, as_json=as_json)


@accounts.command(epilog=examples("faxline accounts show acme", "faxline accounts show acme globex --json"))
def show(
    ctx: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The accounts.")],
    as_json: Json = False,
) -> None:
    """Show only these accounts."""
    with line_of(ctx, Glance) as line:
        _show(line, names, [], as_json=as_json)


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


@accounts.command(epilog=examples("faxline accounts probe acme", "faxline accounts probe acme --json"))
def probe(
    ctx: typer.Context,
    name: Name,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Let the call that finds out whether an account's pause is over go now.

    One fax goes alone. If iFax takes it, the account opens; if not, it stays paused. Exit code 1 if only an
    operator ends the pause.
    """
    with faxline_of(ctx, name) as line, _told():
        seen = line.account_state()
        came = line.probe(by=by or operator(), pause=seen.pause, timeout=timeout)
    if as_json:
        write_json({"account": name, "paused": seen.paused or None, "probe": came})
    else:
        write(f"account {name} {_PROBED[came].format(was=status_of(seen))}")
    if came == "held":
        raise typer.Exit(ENDED_OTHERWISE)


_PROBED = {
    "done": "is {was}; its probe goes now, or as soon as a fax waits; if iFax takes it the account opens",
    "idle": "is open: there is nothing to find out",
    "busy": "is {was}; a call is under way, and its answer tells whether the pause is over",
    "held": "is {was}: nothing was tried, because only an operator ends this pause",
}


@accounts.command(epilog=examples("faxline accounts resume acme", "faxline accounts resume acme --yes"))
def resume(
    ctx: typer.Context,
    name: Name,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask for confirmation.")] = False,
    by: By = None,
    timeout: OrderTimeout = ORDER_TIMEOUT,
    as_json: Json = False,
) -> None:
    """Resume a paused account, whatever the reason for the pause.

    It shows the pause, and at a terminal it asks. Exit code 1 if another pause has begun since.
    After a Redis that went back, `faxline accounts rollback NAME --resume` does.
    """
    with faxline_of(ctx, name) as line, _told():
        seen = line.account_state()
        if seen.paused and seen.paused != ROLLED_BACK:
            agree(f"Account {name} is {status_of(seen)}. Resume it?", "", yes=yes)
        opens = seen.paused or not seen.known  # nothing that began after the look
        state = line.resume(by=by or operator(), pause=seen.pause, timeout=timeout) if opens else seen
    if seen.paused and not as_json:
        write(f"account {name} was {status_of(seen)}")
    _report(state, as_json=as_json, wanted=not state.paused)


@contextmanager
def _told() -> Iterator[None]:
    """Say why an order about a pause was not carried out, with the exit code for that."""
    try:
        yield
    except (PauseChanged, StateRolledBack) as error:
        complain(str(error))
        raise typer.Exit(ENDED_OTHERWISE) from None


def _report(state: AccountState, *, as_json: bool, wanted: bool) -> None:
    if as_json:
        write_json({"account": state.name, "paused": state.paused or None, "jobs": dict(state.jobs)})
        return
    is_so = f"paused ({state.paused})" if state.paused else "open"
    after = "" if wanted else "; the order was carried out, and another change followed"
    write(f"account {state.name} is {is_so}, {plural(state.jobs['queued'], 'job')} queued{after}")


def _show(line: Glance, names: Iterable[str], away: list[_Unanswered], *, as_json: bool) -> None:
    """Show what answers, and say what does not: of a cluster, one node may be away and the others not."""
    try:
        keys = [RedisKeys(name) for name in dict.fromkeys(names)]
    except ValueError as error:
        raise UsageError(str(error)) from None
    states: list[AccountState] = []
    for found in line.states(keys):
        if isinstance(found, AccountState):
            states.append(found)
        else:
            away.append((f"account {found[0]}", found[1]))
    if away and not states:
        raise away[0][1]
    drained: dict[str, Drained] | None = None
    processes = processes_of(line)
    try:
        drained = line.drained()
    except QueueUnavailable as error:
        complain(f"which accounts are drained is not known: {error}")
    _write(states, processes, drained, as_json=as_json)
    for what, why in away:
        complain(f"{what}: {why}")
    if away:
        raise typer.Exit(AWAY)


def _write(
    states: Sequence[AccountState],
    processes: list[Process] | None,
    drained: Mapping[str, Drained] | None,
    *,
    as_json: bool,
) -> None:
    if as_json:
        for state in states:
            counts = at_work(processes, state.name) if processes is not None else None
            is_drained = None if drained is None else state.name in drained
            write_json(state.to_dict() | {"at_work": counts, "drained": is_drained})
        return
    drained = drained or {}
    columns = ["account", "status", "calls", "window", "burst", "jobs"]
    write_table(columns, [row_of(state, drained=state.name in drained) for state in states])
    for state in states:
        if gone := drained.get(state.name):
            write(f"{state.name}: its folder is gone since {gone.since:%Y-%m-%d %H:%M} UTC: nothing new goes")
        if more := notes_of(state):
            write(f"{state.name}: {'; '.join(more)}")
    if processes is not None:
        write(counted(processes))
