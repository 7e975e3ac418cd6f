"""What a session leaves ends with it, whether or not anybody comes."""

import asyncio
from unittest.mock import Mock

import pytest
from sqlalchemy import Engine, Table, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnection

from faxline.contract.sealing.keyring import Keyring, new_key
from faxline_console.access.links import LASTS, Links
from faxline_console.access.people import Person, Role
from faxline_console.access.sessions import Lifetimes, Session
from faxline_console.access.store import ConsoleStore
from faxline_console.asking.kept_lines import LONGEST, KeptLines, searches
from faxline_console.mailings.rows import Draft
from faxline_console.mailings.sent_lately import AT_ONCE, HOUR, KEPT, SentLately, sent_lately
from faxline_console.mailings.store import ROWS_KEPT, MailingStore, Reserved, left_out
from faxline_console.mailings.uploads import Uploads, upload_files, uploads
from faxline_console.purging import purge_often
from faxline_console.tables import links, sessions
from tests.consoles import QUICK

LINE = "to:+12025550147"
DRAFT = Draft("june.csv", b"to\n+12025550147\n", {"a.pdf": b"%PDF-1"}, "north", "US", None)


class Kept:
    """A session with a searched line and an upload."""

    def __init__(self, engine: Engine) -> None:
        self.at, self.engine = 1_800_000_000.0, engine
        self.store = ConsoleStore(self.engine, Lifetimes(idle=100), lambda: self.at, QUICK)
        self.lines = KeptLines(self.engine, None, lambda: self.at)
        self.store.add_user(Person("ada", Role.CLERK))
        self.token = self.store.begin_session("ada")
        self.key = self.lines.keep(self.session.token, LINE)
        Uploads(self.engine, None, lambda: self.at).keep(self.session.token, DRAFT)

    @property
    def session(self) -> Session:
        session = self.store.session(self.token)
        assert session is not None
        return session

    def count(self, *tables: Table) -> list[int | None]:
        with self.engine.begin() as database:
            return [database.scalar(select(func.count()).select_from(table)) for table in tables]


@pytest.fixture
def kept(engine: Engine) -> Kept:
    return Kept(engine)


@pytest.mark.parametrize("how", ["sign_out", "end_sessions", "remove_user", "purge"])
def test_what_a_session_leaves_ends_with_it(kept: Kept, how: str) -> None:
    assert kept.count(searches, uploads, upload_files) == [1, 1, 2]
    if how == "sign_out":
        kept.store.sign_out(kept.session)
    elif how == "purge":
        kept.at += 101
        kept.store.purge()
    else:
        getattr(kept.store, how)("ada")
    assert kept.count(sessions, searches, uploads, upload_files) == [0, 0, 0, 0]


def test_a_line_and_a_link_are_erased_when_they_count_no_more(kept: Kept) -> None:
    Links(kept.store, lambda: kept.at).make("ada")
    kept.at += max(LASTS, LONGEST) + 1
    assert kept.lines.line("x", kept.key) is None
    kept.lines.purge()
    kept.store.purge()
    assert kept.count(searches, links) == [0, 0]


def test_what_was_sent_is_known_for_a_day_and_by_no_number(kept: Kept) -> None:
    keyring = Keyring.read(new_key("k1"))
    for keys in (None, keyring):
        lately = SentLately(kept.engine, keys, lambda: kept.at)
        marks = lately.marks("north", "ada", [(f"+1202555{n:04}", ["d"]) for n in range(AT_ONCE + 1)])
        assert len({*marks}) == AT_ONCE + 1
        lately.note("north", [(mark, f"{place}") for place, mark in enumerate(marks)], "june")
        assert {sent.job for sent in lately.find(marks).values()} == {f"{n}" for n in range(AT_ONCE + 1)}
        assert lately.find(marks[:1], but=["0"]) == {}
    assert SentLately(kept.engine, None).marks("north", "ada", [("+12025550000", ["d"])]) != lately.marks(
        "north", "ada", [("+12025550000", ["d"])]
    )
    kept.at += HOUR + 1
    assert (len(lately.find(marks, HOUR)), len(lately.find(marks))) == (0, AT_ONCE + 1)
    kept.at += KEPT - HOUR
    lately.purge()
    assert kept.count(sent_lately) == [0]


def test_rows_that_were_left_out_are_kept_for_a_week_sealed_where_there_are_keys(kept: Kept) -> None:
    store = MailingStore(kept.engine, lambda: kept.at, keyring=Keyring.read(new_key("k1")))
    ada = Person("ada", Role.CLERK)
    assert store.reserve(ada, Reserved("north", "june", "d", 1, 1, rows=[(2, "no number", "Ms Byrne")]))
    june = store.find(ada, "north", "june")
    assert june is not None
    assert store.rows_left_out(ada, june) == [(2, "no number", "Ms Byrne")]
    assert store.rows_left_out(Person("bob", Role.CLERK), june) == []
    with kept.engine.begin() as database:
        assert "Byrne" not in str(database.execute(select(left_out)).all())
    assert MailingStore(kept.engine, lambda: kept.at).rows_left_out(ada, june) == []
    kept.at += ROWS_KEPT + 1
    store.purge()
    assert (store.rows_left_out(ada, june), kept.count(left_out)) == ([], [0])


def test_while_another_writes_a_session_is_known_and_a_line_is_read(kept: Kept) -> None:
    token = kept.session.token
    with kept.engine.begin():
        assert kept.store.session(kept.token) is not None
        assert kept.store.answers()
        assert kept.lines.line(token, kept.key) == LINE


def test_it_is_purged_again_and_again_though_the_database_was_away() -> None:
    log, done = Mock(), asyncio.Event()
    answers = iter([OperationalError("", {}, Exception()), NoConnection(), None, None])

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def purge() -> None:
            answer = next(answers, None)
            if answer is not None:
                raise answer
            loop.call_soon_threadsafe(done.set)

        task = asyncio.create_task(purge_often([purge], log, every=0.001))
        await asyncio.wait_for(done.wait(), 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    assert log.warning.call_count == 2
