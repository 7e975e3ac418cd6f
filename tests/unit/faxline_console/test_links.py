"""Links that sign in: once, soon, and only known by their hash."""

from collections.abc import Iterator

import pytest
import structlog
from argon2 import PasswordHasher
from sqlalchemy import Engine, select

from faxline_console.access.guard import COOKIE
from faxline_console.access.links import LASTS, Links
from faxline_console.access.passwords import UserInvalid
from faxline_console.access.people import Person, Role
from faxline_console.access.store import ConsoleStore
from faxline_console.tables import links
from tests.consoles import Console

QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def store(engine: Engine) -> ConsoleStore:
    store = ConsoleStore(engine, hasher=QUICK)
    store.add_user(Person("ada", Role.CLERK))
    return store


def test_a_link_signs_its_user_in_once(store: ConsoleStore) -> None:
    token = Links(store).make("ada")
    cookie = Links(store).use(token)
    assert cookie is not None
    session = store.session(cookie)
    assert session is not None
    assert session.person.name == "ada"
    assert Links(store).use(token) is None
    assert Links(store).use("x") is None


def test_a_link_counts_for_a_while_only(store: ConsoleStore) -> None:
    now = 1_790_000_000.0
    token = Links(store, lambda: now).make("ada")
    assert Links(store, lambda: now + LASTS + 1).use(token) is None
    assert Links(store, lambda: now).use(token) is None


def test_a_link_ends_with_its_user_and_there_is_none_for_a_stranger(store: ConsoleStore) -> None:
    token = Links(store).make("ada")
    store.remove_user("ada")
    assert Links(store).use(token) is None
    with pytest.raises(UserInvalid, match="no user"):
        Links(store).make("bob")


def test_the_database_has_only_the_hash_of_a_link(store: ConsoleStore) -> None:
    token = Links(store).make("ada")
    with store.engine.begin() as database:
        (row,) = database.execute(select(links)).all()
    assert token not in map(str, row)


def test_to_sign_somebody_out_everywhere_ends_the_links_as_well(store: ConsoleStore) -> None:
    token = Links(store).make("ada")
    assert store.end_sessions("ada") == 0
    assert Links(store).use(token) is None


@pytest.fixture(scope="module")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    with Console("redis://127.0.0.1:1/0", tmp_path_factory.mktemp("console")) as console:
        yield console


def test_a_link_shows_a_button_and_only_the_button_uses_it_once(console: Console) -> None:
    stranger = console.stranger()
    path = f"/sign-in/{Links(console.store).make('clerk')}"
    for method in ("HEAD", "GET", "GET"):
        looked = stranger.request(method, path)
        assert (looked.status_code, COOKIE in stranger.cookies) == (200, False)
    assert f'method="post" action="{path}"' in looked.text
    elsewhere = stranger.post(path, headers={"origin": "https://evil.example"})
    assert elsewhere.status_code == 403
    answer = stranger.post(path)
    assert (answer.status_code, answer.headers["location"]) == (303, "/faxes")
    assert COOKIE in stranger.cookies
    stranger.cookies.clear()
    again = stranger.post(path)
    assert again.status_code == 403
    assert "counts no more" in again.text
    assert COOKIE not in stranger.cookies


def test_no_log_has_a_link_that_may_still_count(console: Console) -> None:
    token = Links(console.store).make("clerk")
    with console.store.engine.begin() as database:
        database.exec_driver_sql(
            "CREATE TRIGGER full BEFORE DELETE ON links BEGIN SELECT RAISE(ABORT, 'x'); END"
        )
    try:
        with structlog.testing.capture_logs() as log:
            assert console.stranger().post(f"/sign-in/{token}").status_code == 500
    finally:
        with console.store.engine.begin() as database:
            database.exec_driver_sql("DROP TRIGGER full")
    assert [line["path"] for line in log] == ["/sign-in/…"]
    assert Links(console.store).use(token) is not None
