"""Uploads wait in the console's own database: for their session, on any console, and not for long."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, func, select

from faxline.contract.sealing.keyring import Keyring, new_key
from faxline_console.access.people import Person, Role
from faxline_console.access.sessions import Session
from faxline_console.access.store import ConsoleStore
from faxline_console.mailings.rows import Draft
from faxline_console.mailings.uploads import (
    KEPT,
    OF_SESSION,
    Uploads,
    UploadsFullError,
    upload_files,
    uploads,
)
from tests.consoles import QUICK

DRAFT = Draft(
    "june.csv", b"to\n+12025550147\n", {"a.pdf": b"%PDF-1", "b.pdf": b""}, "north", "US", ("a", "b")
)


@pytest.fixture
def token(engine: Engine) -> str:
    store = ConsoleStore(engine, hasher=QUICK)
    store.add_user(Person("ada", Role.CLERK))
    session = store.session(store.begin_session("ada"))
    assert session is not None
    return session.token


@pytest.mark.parametrize("keyring", [None, Keyring.read(new_key("2027"))], ids=["plain", "sealed"])
def test_another_console_finds_an_upload_and_another_session_does_not(
    engine: Engine, token: str, keyring: Keyring | None
) -> None:
    name = Uploads(engine, keyring).keep(token, DRAFT)
    other = Uploads(engine, keyring)
    assert other.find(token, name) == DRAFT
    assert other.find("another", name) is None
    with engine.begin() as database:
        contents = database.scalars(select(upload_files.c.content)).all()
    assert (DRAFT.content in contents) is (keyring is None)
    other.drop(name)
    assert other.find(token, name) is None
    engine.dispose()


def test_an_upload_is_erased_after_half_an_hour_with_its_files(engine: Engine, token: str) -> None:
    now = [1000.0]
    kept = Uploads(engine, None, lambda: now[0])
    name = kept.keep(token, DRAFT)
    now[0] += KEPT
    assert kept.find(token, name) == DRAFT
    now[0] += 1
    assert kept.find(token, name) is None
    kept.drop_old()
    with engine.begin() as database:
        assert database.scalar(select(func.count()).select_from(upload_files)) == 0
    engine.dispose()


def test_a_session_keeps_its_last_uploads_and_all_have_a_limit_together(engine: Engine, token: str) -> None:
    now, size = [1000.0], sum(map(len, [DRAFT.content, *DRAFT.files.values()]))
    kept = Uploads(engine, None, lambda: now[0], most_bytes=OF_SESSION * size)
    names = []
    for _ in range(OF_SESSION + 1):
        now[0] += 1
        names.append(kept.keep(token, DRAFT))
    assert [kept.find(token, name) is not None for name in names] == [False] + [True] * OF_SESSION
    tight = Uploads(engine, None, lambda: now[0], most_bytes=2 * size - 1)
    with pytest.raises(UploadsFullError):
        tight.keep(token, DRAFT)
    with engine.begin() as database:
        assert database.scalar(select(func.count()).select_from(uploads)) == OF_SESSION
    engine.dispose()


@pytest.mark.usefixtures("token")
def test_uploads_at_once_are_no_way_around_the_limit(engine: Engine) -> None:
    store = ConsoleStore(engine, hasher=QUICK)
    size = len(DRAFT.content) + sum(map(len, DRAFT.files.values()))
    tight, begin = Uploads(engine, None, most_bytes=2 * size), threading.Barrier(6)
    found = [store.session(store.begin_session("ada")) for _ in range(6)]

    def keep(session: Session | None) -> bool:
        assert session is not None
        begin.wait(timeout=30)
        try:
            tight.keep(session.token, DRAFT)
        except UploadsFullError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(keep, found)) == [False] * 4 + [True] * 2
