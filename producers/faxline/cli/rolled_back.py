"""`accounts rollback`: show what Redis lost when it went back to an older state, and recover."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from faxline.cli.accounts import Name, accounts
from faxline.cli.app import ENDED_OTHERWISE, By, Json, UsageError, examples, faxline_of, operator
from faxline.cli.output import complain, moment, write, write_json, write_table
from faxline.contract.errors import NotRolledBack
from faxline.contract.wording import plural
from faxline.operating.rollback import LostCall, Recovered, Rollback

_PATIENCE = 60.0
_SHOWN = 20
"""The most ids in one line; --json has all."""


@accounts.command(
    epilog=examples(
        "faxline accounts rollback acme",
        "faxline accounts rollback acme --json",
        "faxline accounts rollback acme --resume",
    )
)
def rollback(
    ctx: typer.Context,
    name: Name,
    resume: Annotated[
        bool, typer.Option("--resume", help="Put lost faxes in doubt, and resume the account.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask for confirmation if more was lost than is known.")
    ] = False,
    by: By = None,
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait for a dispatcher.")] = _PATIENCE,
    as_json: Json = False,
) -> None:
    """Show what Redis lost when it went back to an older state (`state_rolled_back`), and resume.

    The account is then paused, because faxes sent in the lost time would be sent again. --resume puts each of
    them in doubt, or makes it submitted if its jobId is known. Faxes that are gone are named: push them
    again. Exit code 1 if the account was not rolled back.
    """
    with faxline_of(ctx, name) as line:
        if resume:
            _ask(line.rollback(), yes=yes)
            try:
                done = line.recover(by=by or operator(), timeout=timeout)
            except NotRolledBack as error:
                complain(str(error))
                raise typer.Exit(ENDED_OTHERWISE) from None
            _report(name, done, as_json=as_json)
            return
        found = line.rollback()
    if found is None:
        complain(f"account {name!r} was not rolled back")
        raise typer.Exit(ENDED_OTHERWISE)
    _show(found, as_json=as_json)


def _ask(found: Rollback | None, *, yes: bool) -> None:
    """Ask for confirmation if faxes may have been sent that no process remembers."""
    if found is None or not found.unknown or yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            "more was done than any process remembers, and faxes sent then would be sent again: check "
            "the logs and iFax, cancel those jobs, then add --yes"
        )
    typer.confirm(
        "More was done than any process remembers. Faxes sent in that time that are queued go again. Go on?",
        abort=True,
        err=True,
    )


def _show(found: Rollback, *, as_json: bool) -> None:
    if as_json:
        write_json(found.to_dict())
        return
    now = datetime.now(tz=UTC)
    since = f"knows nothing after {moment(found.since, now)}" if found.since else "came back empty"
    until = (
        f"; the last event that a process remembers is of {moment(found.until, now)}" if found.until else ""
    )
    write(f"The state of account {found.account} went back: Redis {since}{until}. Nothing is sent.")
    if found.calls:
        write(f"{plural(len(found.calls), 'call')} to iFax that Redis does not know:")
        write_table(
            ["job", "attempt", "at", "answer", "jobId", "state now"],
            [_row(call, now) for call in found.calls],
        )
    if found.pushed:
        were = plural(len(found.pushed), "fax was", "faxes were")
        write(f"{were} accepted and Redis has no record: {_some(found.pushed)}")
    if found.canceled:
        were = plural(len(found.canceled), "fax was", "faxes were")
        write(f"{were} canceled, and could be sent after all: {_some(found.canceled)}")
    if found.more:
        write(f'{found.more} more are not listed; the processes\' logs have them ("lost by Redis")')
    if found.unknown:
        write(
            "More was done in that time than any process remembers: the workers' logs have it (iFax answered)"
        )
    write(
        f"`faxline accounts rollback {found.account} --resume` goes on: what iFax took stays sent, "
        "what is unknown becomes a doubt, and none of these calls is made again."
    )


def _row(call: LostCall, now: datetime) -> list[str]:
    return [
        call.job,
        str(call.attempt),
        moment(call.at, now),
        call.decision or "not known",
        str(call.job_id) if call.job_id is not None else "-",
        call.state or "no record",
    ]


def _report(name: str, done: Recovered, *, as_json: bool) -> None:
    if as_json:
        write_json(done.to_dict())
        return
    for ids, text in (
        (done.in_doubt, "in doubt now: see faxline list --state in_doubt"),
        (done.submitted, "submitted under their jobIds; their receipts settle them"),
        (done.settled, "settled by receipts that had come"),
        (done.canceled, "canceled once more"),
        (done.ended, "ended in the meantime, or go on with another attempt"),
        (done.known, "known to Redis by now, or not taken by iFax: nothing was to be done"),
        (done.gone, "gone, and were not sent: push them again"),
    ):
        if ids:
            write(f"{len(ids)} {text}: {_some(ids)}")
    write(f"account {name} is " + (f"paused ({done.paused})" if done.paused else "open"))


def _some(ids: tuple[str, ...]) -> str:
    more = f" and {len(ids) - _SHOWN} more (--json has all)" if len(ids) > _SHOWN else ""
    return ", ".join(ids[:_SHOWN]) + more
