"""Local users and their sessions, on a real database."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from argon2 import PasswordHasher
from sqlalchemy import Engine, inspect, update

from faxline_archive.database import open_database
from faxline_console.access.passwords import UserInvalid
from faxline_console.access.people import Person, Role
from faxline_console.access.sessions import Lifetimes
from faxline_console.access.store import MOST_SESSIONS, ConsoleStore
from faxline_console.access.tries import TooManyTries
from faxline_console.tables import users
from tests.archives import contents

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PASSWORD = "correct horse battery"
ADA = Person("ada", Role.CLERK, frozenset({"north"}), ("department", "radiology"), "Europe/Berlin")


class Clock:
    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(engine: Engine, clock: Clock) -> ConsoleStore:
    return ConsoleStore(engine, Lifetimes(longest=1000, idle=100, window=60, attempts=3), clock, QUICK)


def test_a_table_of_an_earlier_version_is_dropped_and_the_users_stay(engine: Engine) -> None:
    ConsoleStore(engine, hasher=QUICK).add_user(ADA)
    with engine.begin() as database:
        database.exec_driver_sql("CREATE TABLE failures (about VARCHAR(128), at BIGINT)")
    assert ConsoleStore(engine, hasher=QUICK).people() == [ADA]
    assert "failures" not in inspect(engine).get_table_names()


def test_consoles_that_start_at_once_make_the_tables_once(engine: Engine) -> None:
    begin = threading.Barrier(4)

    def start(_: int) -> list[Person]:
        own = open_database(str(engine.url), writes=True)
        begin.wait(timeout=30)
        found = ConsoleStore(own, hasher=QUICK).people()
        own.dispose()
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(4))) == [[]] * 4


def sign_in(
    store: ConsoleStore, password: str = PASSWORD, name: str = "ada", address: str = "a"
) -> str | None:
    return store.sign_in(name, password, address)


def test_a_user_is_kept_with_role_bounds_and_zone(store: ConsoleStore) -> None:
    store.add_user(ADA, PASSWORD)
    assert store.person("ada") == ADA
    assert store.people() == [ADA]


def test_only_the_right_password_begins_a_session(store: ConsoleStore) -> None:
    store.add_user(ADA, PASSWORD)
    assert sign_in(store, PASSWORD + "x") is None
    assert sign_in(store, "") is None
    assert sign_in(store, name="eve") is None
    token = sign_in(store)
    assert token is not None
    session = store.session(token)
    assert session is not None
    assert session.person == ADA


def test_a_user_without_a_password_signs_in_by_no_password(store: ConsoleStore) -> None:
    store.add_user(ADA)
    for password in ("", "None", PASSWORD):
        assert sign_in(store, password) is None
    assert store.session(store.begin_session("ada")) is not None


def test_a_session_ends_when_it_is_not_used_and_goes_on_when_it_is(store: ConsoleStore, clock: Clock) -> None:
    store.add_user(ADA, PASSWORD)
    token = store.begin_session("ada")
    for _ in range(3):
        clock.at += 90
        assert store.session(token) is not None
    clock.at += 101
    assert store.session(token) is None


def test_a_session_tells_how_long_it_goes_on_and_whether_a_use_puts_its_end_off(
    store: ConsoleStore, clock: Clock
) -> None:
    store.add_user(ADA, PASSWORD)
    token = store.begin_session("ada")

    def left(*, use: bool) -> tuple[float, bool]:
        session = store.session(token, use=use)
        assert session is not None
        return session.left, session.last

    clock.at += 60
    assert left(use=False) == (40, False)
    assert left(use=True) == (100, False)
    for _ in range(9):
        clock.at += 95
        left(use=True)
    clock.at += 30
    assert left(use=True) == (55, True)


def test_a_user_has_so_many_sessions_at_most_and_the_longest_unused_makes_room(
    store: ConsoleStore, clock: Clock
) -> None:
    store.add_user(ADA, PASSWORD)
    tokens = []
    for _ in range(MOST_SESSIONS + 2):
        clock.at += 1
        tokens.append(store.begin_session("ada"))
    assert [store.session(token) is not None for token in tokens] == [False] * 2 + [True] * MOST_SESSIONS


def test_what_a_page_does_by_itself_is_no_use_of_a_session(store: ConsoleStore, clock: Clock) -> None:
    store.add_user(ADA, PASSWORD)
    token = store.begin_session("ada")
    clock.at += 90
    assert store.session(token, use=False) is not None
    clock.at += 11
    assert store.session(token) is None


def test_a_session_goes_on_until_it_ends_or_its_person_changes(store: ConsoleStore, clock: Clock) -> None:
    store.add_user(ADA, PASSWORD)
    session = store.session(store.begin_session("ada"))
    assert session is not None
    assert store.goes_on(session)
    with store.engine.begin() as database:
        database.execute(update(users).values(accounts="south"))
    assert not store.goes_on(session)
    again = store.session(store.begin_session("ada"))
    assert again is not None
    clock.at += 101
    assert not store.goes_on(again)


def test_a_session_ends_after_its_longest_time_however_much_it_is_used(
    store: ConsoleStore, clock: Clock
) -> None:
    store.add_user(ADA, PASSWORD)
    token = store.begin_session("ada")
    for _ in range(20):
        clock.at += 50
        store.session(token)
    clock.at += 1
    assert store.session(token) is None


@pytest.mark.parametrize("how", ["sign_out", "end_sessions", "change_user", "remove_user"])
def test_sessions_are_revoked(store: ConsoleStore, how: str) -> None:
    store.add_user(ADA, PASSWORD)
    token = store.begin_session("ada")
    session = store.session(token)
    assert session is not None
    if how == "sign_out":
        store.sign_out(session)
    elif how == "change_user":
        store.change_user("ada", {"role": Role.VIEWER})
    else:
        getattr(store, how)("ada")
    assert store.session(token) is None


def test_a_changed_password_is_the_only_one(store: ConsoleStore) -> None:
    store.add_user(ADA, PASSWORD)
    store.change_user("ada", {}, "another long password")
    assert sign_in(store) is None
    assert sign_in(store, "another long password") is not None


def refused(store: ConsoleStore, name: str, address: str, password: str = PASSWORD) -> bool:
    try:
        store.sign_in(name, password, address)
    except TooManyTries:
        return True
    return False


def test_failed_sign_ins_make_a_name_wait_at_that_address_and_nobody_else(
    store: ConsoleStore, clock: Clock
) -> None:
    store.add_user(ADA, PASSWORD)
    for _ in range(3):
        assert sign_in(store, "wrong", address="192.0.2.1") is None
    assert refused(store, "ada", "192.0.2.1")
    assert not refused(store, "eve", "192.0.2.1", "wrong")
    assert sign_in(store, address="192.0.2.2") is not None
    assert refused(store, "ada", "192.0.2.1")
    clock.at += 61
    assert sign_in(store, address="192.0.2.1") is not None


def test_who_succeeds_is_forgiven_what_failed_before_and_others_are_not(store: ConsoleStore) -> None:
    store.add_user(ADA, PASSWORD)
    for _ in range(30):
        sign_in(store, "wrong")
        assert sign_in(store) is not None
    for _ in range(3):
        assert sign_in(store, "wrong", name="eve") is None
    assert sign_in(store) is not None
    assert refused(store, "eve", "a")


def test_many_names_at_one_address_and_one_name_from_many_have_to_wait_later(store: ConsoleStore) -> None:
    store.add_user(ADA, PASSWORD)
    for n in range(30):
        assert sign_in(store, "wrong", name=f"somebody {n}", address="192.0.2.1") is None
        assert sign_in(store, "wrong", name="eve", address=f"198.51.100.{n}") is None
    assert refused(store, "ada", "192.0.2.1")
    assert refused(store, "eve", "203.0.113.1")
    assert sign_in(store, address="203.0.113.1") is not None


def test_a_name_has_the_same_tries_however_it_is_written(store: ConsoleStore) -> None:
    store.add_user(ADA, PASSWORD)
    for zeros in range(3):  # which PostgreSQL takes for no letters
        assert sign_in(store, "wrong", name="ada" + "\0" * zeros) is None
    assert refused(store, "ada", "a")
    assert refused(store, "a\0da", "a")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1:4711", "192.0.2.1:4712", True),
        ("192.0.2.1:4711", "192.0.2.2:4711", False),
        ("[2001:db8:1:2::1]:4711", "2001:db8:1:2::9", True),
        ("x" * 100, "x" * 99, True),
    ],
)
def test_an_address_is_what_one_household_has(store: ConsoleStore, one: str, other: str, same: bool) -> None:
    for _ in range(3):
        assert sign_in(store, "wrong", name="eve", address=one) is None
    assert refused(store, "eve", other, "wrong") is same


def test_tries_at_once_are_no_way_around_the_limit(store: ConsoleStore) -> None:
    store.add_user(ADA, PASSWORD)
    begin = threading.Barrier(12)

    def guess(_: int) -> bool:
        begin.wait(timeout=30)
        return refused(store, "ada", "192.0.2.1", "wrong")

    with ThreadPoolExecutor(12) as pool:
        assert sorted(pool.map(guess, range(12))) == [False] * 3 + [True] * 9


@pytest.mark.parametrize("password", ["short", "x" * 257])
def test_a_password_that_is_too_short_or_too_long_is_refused(store: ConsoleStore, password: str) -> None:
    with pytest.raises(UserInvalid, match="12 to 256"):
        store.add_user(ADA, password)
    assert store.people() == []


def test_a_name_is_given_once_and_an_unknown_user_is_an_error(store: ConsoleStore) -> None:
    store.add_user(ADA, PASSWORD)
    with pytest.raises(UserInvalid, match="already"):
        store.add_user(ADA, PASSWORD)
    for change in (store.remove_user, store.begin_session):
        with pytest.raises(UserInvalid, match="no user"):
            change("eve")
    with pytest.raises(UserInvalid, match="no user"):
        store.change_user("eve", {"role": Role.ADMIN})


def test_neither_password_nor_session_is_in_the_database(
    store: ConsoleStore, request: pytest.FixtureRequest
) -> None:
    store.add_user(ADA, PASSWORD)
    token, url = store.begin_session("ada"), str(store.engine.url)
    held = contents(url, None if url.startswith("sqlite") else request.getfixturevalue("postgres"))
    assert "ada" in held
    assert PASSWORD not in held
    assert token not in held
