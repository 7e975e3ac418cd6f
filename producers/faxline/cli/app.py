"""The application, its global options, and what every command takes from them."""

import getpass
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from typer.core import TyperGroup

from faxline.client.sync import FaxLine
from faxline.contract.environment import check_environment
from faxline.contract.phone_numbers import check_region
from faxline.steps.replicas import REPLICAS_TIMEOUT

_Line = TypeVar("_Line", bound=FaxLine)
REDIS_URL = "redis://127.0.0.1:6379/0"
ACCOUNT = "default"
DELIVERED, ENDED_OTHERWISE, BAD_USAGE, AWAY, NO_SUCH_JOB, FAULT, INTERRUPTED = 0, 1, 2, 3, 4, 70, 130
"""The exit codes; the first means success."""

JobId = Annotated[str, typer.Argument(metavar="ID", help="The id of a job, or the name of a group.")]
FaxId = Annotated[str, typer.Argument(metavar="ID", help="The id of the fax: that of its job.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON: one document, or one a line for lists.")]

Timeout = Annotated[float, typer.Option(min=0, help="Seconds to wait.")]
WAIT = 600.0
"""Seconds that a command waits for a job's end by default."""

OrderTimeout = Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for a dispatcher.")]
ORDER_TIMEOUT = 5.0
By = Annotated[
    str | None, typer.Option(metavar="WHO", help="Who decides, for the audit. [default: user@host]")
]


class UsageError(Exception):
    """The command was used wrongly. The message is one line."""


@dataclass(frozen=True, slots=True)
class Options:
    """The global options."""

    redis_url: str
    account: str | None
    keys: str | None = field(default=None, repr=False)
    replicas: int = 0
    replicas_timeout: float = REPLICAS_TIMEOUT
    region: str | None = None


def examples(*lines: str) -> str:
    r"""Format the examples at the end of a command's help. The \b keeps their lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


SECTIONS = {
    "Send": ("send", "resend", "cancel"),
    "Follow": ("show", "explain", "wait", "list", "group", "events"),
    "Operate": ("doctor", "accounts", "resolve", "ask", "dead"),
    "Archive": ("find", "report", "proof", "verify", "usage"),
    "Records and keys": ("audit", "forget", "keys"),
}
"""The commands by their headings in the help."""


class Commands(TyperGroup):
    """The commands of the application, under headings."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - typer's signature
        """List the names. Those without a section come last."""
        listed = [name for names in SECTIONS.values() for name in names if name in self.commands]
        return [*listed, *(name for name in self.commands if name not in listed)]

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 - as above
        """Write each section."""
        width = max(map(len, self.commands))
        left = list(self.commands)
        for title, names in [*SECTIONS.items(), ("More", left)]:
            here = [name for name in names if name in left]
            left[:] = [name for name in left if name not in here]
            found = [(name, self.commands[name]) for name in here if not self.commands[name].hidden]
            rows = [
                (f"{name:<{width}}", command.get_short_help_str(formatter.width - width - 6))
                for name, command in found
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"faxline {version('faxline')}")
        raise typer.Exit


app = typer.Typer(
    name="faxline",
    cls=Commands,
    help="Push faxes onto Faxline, follow them, see why one waits, and operate the accounts.",
    epilog=examples(
        "faxline send --to +12025550123 letter.pdf --id invoice-77 --wait",
        "faxline explain invoice-77",
        "faxline list --state in_doubt",
        "faxline --account acme accounts pause acme",
        "",
        "--redis, --account and --region may also follow the command.",
        "Exit codes: 0 fine; 1 the job ended otherwise than delivered with all",
        "of its pages (of a group: any was rejected, failed or partly",
        "delivered); 2 bad usage or a rejected entry; 3 Redis or the dispatcher",
        "is away, or a timeout; 4 no such job.",
    ),
    rich_markup_mode=None,  # plain help, which keeps the examples' lines
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def options(
    ctx: typer.Context,
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    redis_url: Annotated[
        str | None,
        typer.Option(
            "--redis",
            metavar="URL",
            envvar="FAXLINE_REDIS_URL",
            help=f"The URL of Redis. [default: {REDIS_URL}]",
            show_default=False,
        ),
    ] = None,
    redis_file: Annotated[
        Path | None,
        typer.Option(
            "--redis-file",
            metavar="FILE",
            envvar="FAXLINE_REDIS_URL_FILE",
            help="A file with that URL, to keep it out of process lists. --redis takes precedence.",
        ),
    ] = None,
    account: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            envvar="FAXLINE_ACCOUNT",
            help=f"The account. [default: {ACCOUNT}]",
            show_default=False,
        ),
    ] = None,
    keys: Annotated[str | None, typer.Option(envvar="FAXLINE_SEALING_KEYS", hidden=True)] = None,
    keys_file: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            envvar="FAXLINE_SEALING_KEYS_FILE",
            help="The file of the keys that seal faxes before the push. Or set FAXLINE_SEALING_KEYS.",
        ),
    ] = None,
    replicas: Annotated[
        int,
        typer.Option(
            min=0,
            metavar="N",
            envvar="FAXLINE_REDIS_REPLICAS",
            help="How many replicas of Redis must confirm a push. If fewer do: exit code 3.",
        ),
    ] = 0,
    replicas_timeout: Annotated[
        float, typer.Option(min=0.001, envvar="FAXLINE_REDIS_REPLICAS_TIMEOUT", hidden=True)
    ] = REPLICAS_TIMEOUT,
    region: Annotated[
        str | None,
        typer.Option(metavar="XX", help="The country of numbers without a country code, such as US or DE."),
    ] = None,
) -> None:
    """Read the global options. This is the only place that reads the environment."""
    try:
        check_environment(os.environ)
    except ValueError as error:
        raise UsageError(str(error)) from None
    ctx.obj = Options(
        redis_url or _read(redis_file) or REDIS_URL,
        account or None,
        _keys(keys, keys_file),
        replicas,
        replicas_timeout,
        _region(region),
    )
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(BAD_USAGE)


def _region(text: str | None) -> str | None:
    try:
        return check_region(text)
    except ValueError as error:
        raise UsageError(f"--{error}") from None


def _keys(text: str | None, path: Path | None) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path is not None else text or None
    except OSError as error:
        raise UsageError(f"the file of the keys cannot be read: {error.strerror}") from None


def _read(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the file of --redis-file or FAXLINE_REDIS_URL_FILE cannot be read: {error}"
        ) from None


def operator() -> str:
    """The default name for the audit: user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # the user of a container may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def agree(question: str, refusal: str, *, yes: bool) -> None:
    """Ask for confirmation.

    Raises:
        UsageError: stdin is not a terminal, and --yes was not given. The message is `refusal`; if that is
            empty, a yes is taken for granted.
        typer.Abort: the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        if refusal:
            raise UsageError(refusal)
        return
    typer.confirm(question, abort=True, err=True)


@contextmanager
def faxline_of(ctx: typer.Context, account: str | None = None) -> Iterator[FaxLine]:
    """Open the line of an account. Default: the account of the global options."""
    with line_of(ctx, FaxLine, account) as line:
        yield line


@contextmanager
def line_of(ctx: typer.Context, kind: type[_Line], account: str | None = None) -> Iterator[_Line]:
    """Open the line of an account as one of this kind."""
    chosen: Any = ctx.obj
    try:
        line = kind(
            chosen.redis_url,
            account or chosen.account or ACCOUNT,
            keys=chosen.keys,
            replicas=chosen.replicas,
            replicas_timeout=chosen.replicas_timeout,
            region=chosen.region,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None
    with line:
        yield line
