"""`faxline-worker console users`: a slip lets nobody see more."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from faxline_archive.database import open_database
from faxline_console.access import store
from faxline_console.access.people import Person, Role
from faxline_console.access.store import ConsoleStore
from faxline_console.command import console
from tests.consoles import QUICK

ADA = Person("ada", Role.CLERK, frozenset({"north"}), ("department", "radiology"), "Europe/Berlin")
PASSWORD = "correct horse battery"


class Users:
    """The command on a database of its own."""

    def __init__(self, url: str) -> None:
        self._environment = {"FAXLINE_ACCOUNTS": "north,south", "FAXLINE_CONSOLE__DATABASE": url}
        self.store = ConsoleStore(open_database(url, writes=True))

    def run(self, *arguments: str, typed: str = "") -> Result:
        return CliRunner().invoke(console, ["users", *arguments], input=typed, env=self._environment)


@pytest.fixture
def users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Users:
    monkeypatch.setattr(store, "PasswordHasher", lambda: QUICK)  # the command opens a store of its own
    users = Users(f"sqlite:///{tmp_path / 'console.db'}")
    users.store.add_user(ADA)
    return users


@pytest.mark.parametrize(
    ("arguments", "changed"),
    [
        (["--role", "operator"], Person("ada", Role.OPERATOR, ADA.accounts, ADA.department, ADA.zone)),
        (["--account", "south"], Person("ada", ADA.role, frozenset({"south"}), ADA.department, ADA.zone)),
        (["--all-accounts"], Person("ada", ADA.role, frozenset(), ADA.department, ADA.zone)),
        (["--department", "unit=b"], Person("ada", ADA.role, ADA.accounts, ("unit", "b"), ADA.zone)),
        (["--no-department"], Person("ada", ADA.role, ADA.accounts, None, ADA.zone)),
        (["--zone", "UTC"], Person("ada", ADA.role, ADA.accounts, ADA.department, "UTC")),
    ],
)
def test_what_is_not_given_stays_as_it_is(users: Users, arguments: list[str], changed: Person) -> None:
    assert users.run("set", "ada", *arguments).exit_code == 0
    assert users.store.person("ada") == changed


def test_a_new_password_changes_nothing_else(users: Users) -> None:
    assert users.run("set", "ada", "--password", typed=f"{PASSWORD}\n").exit_code == 0
    assert users.store.person("ada") == ADA
    assert users.store.sign_in("ada", PASSWORD, "192.0.2.7") is not None


def test_each_change_says_what_was_done_and_in_which_database(users: Users) -> None:
    where = str(users.store.engine.url)
    added = users.run("add", "bob", "--role", "clerk", "--no-password")
    assert added.stdout == f"bob was added: {where}\n"
    changes = (["set", "bob", "--role", "viewer"], ["sign-out", "bob"], ["remove", "bob"])
    for command, said in zip(changes, ("was changed", "was signed out", "was removed"), strict=True):
        assert f"bob {said}" in users.run(*command).stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--account", ""], "there is no account ''; there are north, south"),
        (["--account", "north", "--account", " "], "there is no account"),
        (["--account", "nort"], "there is no account 'nort'"),
        (["--department", ""], "must be KEY=VALUE"),
        (["--department", "department="], "must be KEY=VALUE"),
        (["--department", " =radiology"], "must be KEY=VALUE"),
        (["--zone", ""], "there is no time zone ''"),
        (["--zone", "Mars"], "there is no time zone 'Mars'"),
    ],
)
def test_an_empty_or_unknown_bound_is_refused_and_never_means_everything(
    users: Users, arguments: list[str], said: str
) -> None:
    for command in (["set", "ada"], ["add", "bob", "--role", "clerk", "--no-password"]):
        refused = users.run(*command, *arguments)
        assert refused.exit_code == 2
        assert said in refused.stderr
    assert users.store.people() == [ADA]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing is to be changed"),
        (["--account", "north", "--all-accounts"], "not both"),
        (["--department", "unit=b", "--no-department"], "not both"),
    ],
)
def test_a_change_that_says_nothing_or_two_things_is_refused(
    users: Users, arguments: list[str], said: str
) -> None:
    refused = users.run("set", "ada", *arguments)
    assert refused.exit_code == 2
    assert said in refused.stderr
    assert users.store.person("ada") == ADA


def test_a_database_that_is_away_is_told_in_one_line(
    tmp_path: Path, free_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    away = [f"postgresql+psycopg://ada:hunter2secret@127.0.0.1:{free_port}/console"]
    for url in [*away, f"sqlite:///{tmp_path / 'none' / 'console.db'}"]:
        environment = {"FAXLINE_ACCOUNTS": "north", "FAXLINE_CONSOLE__DATABASE": url}
        told = CliRunner().invoke(console, ["users", "list"], env=environment)
        said = told.stderr + capsys.readouterr().err
        assert told.exit_code == 2
        assert said.startswith("faxline-worker: FAXLINE_CONSOLE__DATABASE: the database is away or refuses: ")
        assert said.count("\n") == 1
        assert "hunter2secret" not in said
