"""Run the command: from its arguments to its exit code, with each error as one line."""

import io
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import typer

from faxline.cli import (  # noqa: F401 - they add their commands
    accounts,
    archive,
    archive_evidence,
    asking,
    audit,
    changing,
    dead,
    doctor,
    doubts,
    events,
    following,
    jobs,
    protection,
    rolled_back,
    sending,
)
from faxline.cli.app import AWAY, BAD_USAGE, ENDED_OTHERWISE, FAULT, INTERRUPTED, NO_SUCH_JOB, UsageError, app
from faxline.cli.output import OutputClosed, complain, masked
from faxline.cli.presence import JobLost
from faxline.contract.errors import (
    ArchiveUnavailable,
    EntryNotFound,
    EntryRejected,
    FaxlineError,
    GroupNotFound,
    JobNotFound,
    NoKeys,
    NotForgotten,
    ProofRefused,
)

_OPTIONS = {"fax.faxNumber": "--to", "fax.faxQuality": "--quality", "fax.callerId": "--caller-id"}
"""The options whose names do not show which member of an entry they set."""
_ANYWHERE = ("--redis", "--redis-file", "--account", "--region")


@cache
def command() -> Any:
    """Build the command with all subcommands, once: this takes longer than most of them run."""
    return typer.main.get_command(app)


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # do not fail on a character that the terminal lacks
    try:
        code = command().main(args=_globals_first(arguments), prog_name="faxline", standalone_mode=False)
    except OutputClosed:
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001 - an operator gets one line, never a traceback
        return _failed(error)
    return code if isinstance(code, int) else 0


def _failed(error: Exception) -> int:
    match error:
        case typer.TyperException():
            text, code = masked(error.format_message().replace("Value error, ", "")), BAD_USAGE
        case EntryRejected():
            option = _OPTIONS.get(error.member)
            text, code = f"rejected ({error.reason}): {error}" + (f" [{option}]" if option else ""), BAD_USAGE
        case UsageError():
            text, code = masked(str(error)), BAD_USAGE
        case typer.Abort():
            text, code = "not confirmed; nothing was done", BAD_USAGE
        case JobLost() | EntryNotFound():
            text, code = str(error), NO_SUCH_JOB
        case JobNotFound():
            text, code = f"{error}: never pushed, rejected, forgotten, or its record has expired", NO_SUCH_JOB
        case GroupNotFound():
            text, code = f"{error}: no job of it is registered, or all records have expired", NO_SUCH_JOB
        case NotForgotten() | NoKeys() | ArchiveUnavailable() | ProofRefused():
            text, code = str(error), ENDED_OTHERWISE if isinstance(error, ProofRefused) else BAD_USAGE
        case FaxlineError():
            text, code = str(error), AWAY
        case _:
            text = masked(f"a fault of the command itself: {type(error).__name__}: {error}")
            code = FAULT
    complain(text)
    return code


def _globals_first(arguments: Sequence[str]) -> list[str]:
    """Allow the global options anywhere before `--`, and `--json` before the command."""
    first: list[str] = []
    rest: list[str] = []
    last: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            return [*first, *rest, *last, word, *left]
        if word in _ANYWHERE:
            if not left:
                raise UsageError(f"{word} needs a value")
            first += [word, left.pop(0)]
        elif word.startswith(tuple(f"{name}=" for name in _ANYWHERE)):
            first.append(word)
        else:
            (last if word == "--json" and not rest else rest).append(word)
    return [*first, *rest, *last]
