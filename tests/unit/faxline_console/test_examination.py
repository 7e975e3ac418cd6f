"""The doctor's checks of the console."""

from pathlib import Path

import pytest
from argon2 import PasswordHasher
from sqlalchemy import text

from faxline.contract.check import Result
from faxline_archive.database import open_database
from faxline_console.access.people import Person, Role
from faxline_console.access.store import ConsoleStore
from faxline_console.examination import examine

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
EVERYWHERE = "0.0.0.0"  # noqa: S104 - a setting; nothing listens
GOOD = "https://fax.example.org"


@pytest.fixture
def database(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'console.db'}"


def found(database: str, **settings: str) -> dict[str, tuple[Result, str]]:
    environment = {"FAXLINE_ACCOUNTS": "default", "FAXLINE_CONSOLE__DATABASE": database}
    environment |= {f"FAXLINE_CONSOLE__{name}": value for name, value in settings.items()}
    return {check.name: (check.result, check.text) for check in examine(environment)}


def store(database: str) -> ConsoleStore:
    return ConsoleStore(open_database(database, writes=True), hasher=QUICK)


def test_where_nothing_of_a_console_is_set_nothing_is_checked() -> None:
    assert examine({"FAXLINE_ACCOUNTS": "default"}) == []


@pytest.mark.parametrize(
    ("url", "host", "result"),
    [
        (GOOD, EVERYWHERE, Result.OK),
        ("http://fax.example.org", EVERYWHERE, Result.FAIL),
        ("", EVERYWHERE, Result.FAIL),
        ("", "fax.example.org", Result.FAIL),
        ("", "127.0.0.1", Result.WARN),
        ("", "localhost", Result.WARN),
        ("http://fax.example.org", "::1", Result.WARN),
    ],
)
def test_an_address_without_tls_is_told_and_fails_where_others_reach_it(
    database: str, url: str, host: str, result: Result
) -> None:
    assert found(database, URL=url, HOST=host)["console address"][0] is result


@pytest.mark.parametrize(
    ("proxies", "result", "told"),
    [
        ("", Result.OK, "by password"),
        ("192.0.2.7", Result.OK, "192.0.2.7/32"),
        ("192.0.2.7,2001:db8::/121", Result.OK, "X-Forwarded-User"),
        ("10.0.0.0/8", Result.WARN, "10.0.0.0/8"),
        ("192.0.2.0/24,198.51.100.0/24", Result.WARN, "198.51.100.0/24"),
        ("0.0.0.0/0", Result.FAIL, "anybody"),
        ("192.0.2.7,::/0", Result.FAIL, "anybody"),
    ],
)
def test_a_proxy_is_a_few_addresses(database: str, proxies: str, result: Result, told: str) -> None:
    check = found(database, PROXIES=proxies)["console sign-in"]
    assert check[0] is result
    assert told in check[1]


def test_whoever_may_choose_the_address_of_a_failed_sign_in_is_told(database: str) -> None:
    for network, result in (("0.0.0.0/0", Result.FAIL), ("192.0.2.7", Result.OK)):
        assert found(database, FORWARDERS=network)["console sign-in"][0] is result


def test_the_database_answers_with_its_users(database: str, tmp_path: Path) -> None:
    assert found(database)["console database"][0] is Result.WARN
    assert not list(tmp_path.iterdir())  # a check makes no file
    users = store(database)
    assert "users add" in found(database)["console database"][1]
    users.add_user(Person("ada", Role.CLERK))
    assert found(database)["console database"] == (Result.OK, "it answers; users: 1")


def test_a_database_of_another_version_is_told_with_what_it_lacks(database: str) -> None:
    users = store(database)
    with users.engine.begin() as connection:
        connection.execute(text("DROP TABLE links"))
    assert found(database)["console database"] == (
        Result.WARN,
        "it lacks links: start the console of this version once",
    )
    with users.engine.begin() as connection:
        connection.execute(text("ALTER TABLE users DROP COLUMN zone"))
    check = found(database)["console database"]
    assert check[0] is Result.FAIL
    assert "users.zone" in check[1]


def test_a_database_that_is_away_is_told_without_its_password() -> None:
    check = found("postgresql+psycopg://faxline:hidden@127.0.0.1:1/console")["console database"]
    assert check[0] is Result.FAIL
    assert "FAXLINE_CONSOLE__DATABASE" in check[1]
    assert "hidden" not in check[1]


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    (tmp_path / "console.db").write_bytes(b"no database at all" * 100)
    assert found(f"sqlite:///{tmp_path / 'console.db'}")["console database"][0] is Result.FAIL
