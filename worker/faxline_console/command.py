"""The command `faxline-worker console`, and its local users."""

import os
import sys
from getpass import getpass
from typing import TYPE_CHECKING, Annotated, Any, NoReturn
from zoneinfo import ZoneInfo

import typer

from faxline_console.access.people import Person, Role

if TYPE_CHECKING:
    from collections.abc import Callable

    from faxline_console.access.store import ConsoleStore
    from faxline_worker.config.settings import Settings

console = typer.Typer(
    name="console",
    help="Serve the web console. Any number may run.",
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
users = typer.Typer(help="The people who may sign in.", no_args_is_help=True)
console.add_typer(users, name="users")

Name = Annotated[str, typer.Argument(help="The name in the audit.")]
Accounts = Annotated[list[str] | None, typer.Option("--account", help="An account the user sees; repeat it.")]
AllAccounts = Annotated[bool, typer.Option("--all-accounts", help="The user sees every account.")]
Department = Annotated[
    str | None, typer.Option(metavar="KEY=VALUE", help="Metadata that a fax must have to be seen.")
]
NoDepartment = Annotated[bool, typer.Option("--no-department", help="The user sees faxes with any metadata.")]
Zone = Annotated[str | None, typer.Option(help="The time zone, such as Europe/Berlin.")]
Asks = Annotated[
    bool,
    typer.Option(
        "--password/--no-password",
        help="Ask for a password, or read it from standard input. Without one, only a trusted proxy "
        "signs the user in.",
    ),
]


@console.callback()
def run(ctx: typer.Context) -> None:
    """Serve the web console. Any number may run."""
    if ctx.invoked_subcommand is None:
        from faxline_console.process import console as serve  # noqa: PLC0415 - takes half a second

        serve()


@users.command("list")
def list_users() -> None:
    """List the users with their roles."""
    for person in _store().people():
        bounds = [*sorted(person.accounts), *(["=".join(person.department)] if person.department else [])]
        typer.echo("\t".join([person.name, str(person.role), " ".join(bounds) or "all", person.zone]))


@users.command("add")
def add_user(  # noqa: PLR0917 - the options of a command
    name: Name,
    role: Annotated[Role, typer.Option(help="What the user may do (docs/console.md).")],
    account: Accounts = None,
    department: Department = None,
    zone: Zone = None,
    password: Asks = True,
) -> None:
    """Add a user. Without --account the user sees all accounts, without --department all their faxes."""
    if not name.isprintable() or not 1 <= len(name) <= 64 or name != name.strip():  # noqa: PLR2004
        _give_up("a name has 1 to 64 printable characters")
    person = Person(name, role, _accounts(account), _department(department), _zone(zone))
    _change(lambda store: store.add_user(person, _read_password() if password else None), f"{name} was added")


@users.command("set")
def set_user(  # noqa: PLR0917 - the options of a command
    name: Name,
    role: Annotated[Role | None, typer.Option(help="What the user may do.")] = None,
    account: Accounts = None,
    all_accounts: AllAccounts = False,
    department: Department = None,
    no_department: NoDepartment = False,
    zone: Zone = None,
    password: Asks = False,
) -> None:
    """Change what is given of a user; the rest stays. The user's sessions end."""
    if all_accounts and account is not None:
        _give_up("give --account or --all-accounts, not both")
    if no_department and department is not None:
        _give_up("give --department or --no-department, not both")
    changes: dict[str, Any] = {}
    if role is not None:
        changes["role"] = role
    if account is not None or all_accounts:
        changes["accounts"] = _accounts(account)
    if department is not None or no_department:
        changes["department"] = _department(department)
    if zone is not None:
        changes["zone"] = _zone(zone)
    if not changes and not password:
        _give_up("nothing is to be changed: give --role, --account, --department, --zone or --password")
    _change(
        lambda store: store.change_user(name, changes, _read_password() if password else None),
        f"{name} was changed, and has to sign in again",
    )


@users.command("remove")
def remove_user(name: Name) -> None:
    """Remove a user. The user's sessions end."""
    _change(lambda store: store.remove_user(name), f"{name} was removed")


@users.command("sign-out")
def sign_out_user(name: Name) -> None:
    """End all sessions of a user."""
    _change(lambda store: store.end_sessions(name), f"{name} was signed out")


@users.command("link")
def link_user(name: Name) -> None:
    """Print a link that signs a user in once, within 15 minutes."""

    def make(store: "ConsoleStore") -> None:
        from faxline_console.access.links import Links  # noqa: PLC0415 - as in _store

        settings = _settings().console
        address = settings.url or f"http://{settings.host}:{settings.port}"
        typer.echo(f"{address.rstrip('/')}/sign-in/{Links(store).make(name)}")

    _change(make)


def _settings() -> "Settings":
    from faxline_worker.config.settings import read_settings  # noqa: PLC0415 - takes half a second
    from faxline_worker.config.source import SettingsError  # noqa: PLC0415 - as above

    try:
        return read_settings(os.environ)
    except SettingsError as error:
        _give_up(str(error))


def _store() -> "ConsoleStore":
    from faxline_console.process import open_store  # noqa: PLC0415 - takes half a second

    return open_store(_settings().console)


def _change(change: "Callable[[ConsoleStore], object]", done: str = "") -> None:
    try:
        store = _store()
        change(store)
    except ValueError as error:
        _give_up(str(error))
    if done:  # and where: a variable that is missing here means another database than that of the console
        typer.echo(f"{done}: {store.engine.url.render_as_string()}")


def _accounts(names: list[str] | None) -> frozenset[str]:
    """The accounts of the option. A name that is empty or unknown may be a slip of a script."""
    if names is None:
        return frozenset()
    from faxline_worker.config.live_accounts import LiveAccounts  # noqa: PLC0415 - as in _store
    from faxline_worker.observability.logs import get_logger  # noqa: PLC0415 - as above

    known = LiveAccounts(_settings(), "console", get_logger("faxline_console")).settings.accounts
    for name in names:
        if name not in known:
            _give_up(f"there is no account {name!r}; there are {', '.join(sorted(known)) or 'none'}")
    return frozenset(names)


def _department(text: str | None) -> tuple[str, str] | None:
    if text is None:
        return None
    key, equals, value = (part.strip() for part in text.partition("="))
    if not (key and equals and value):
        _give_up("--department must be KEY=VALUE, such as department=radiology")
    return key, value


def _zone(name: str | None) -> str:
    if name is None:
        return ""
    try:
        return ZoneInfo(name).key
    except (KeyError, ValueError, OSError):
        _give_up(f"there is no time zone {name!r}; give one such as Europe/Berlin")


def _read_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    first = getpass("Password: ")
    if getpass("Again: ") != first:
        _give_up("the two passwords differ")
    return first


def _give_up(message: str) -> NoReturn:
    typer.echo(f"faxline-worker: {message}", err=True)
    raise typer.Exit(2)
