"""How far an archive has come: no entry is lost silently, and none is told twice as two."""

import random
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import ARCHIVE_GROUP, RedisKeys
from faxline_worker.state.archive_marks import ArchiveMarks, Page, Stream, read_pages

EVENTS: Stream = "events"


class Line:
    """An account whose events are added by hand, and the archive beside it."""

    def __init__(self, client: redis.Redis) -> None:
        self.client: Any = client
        self.keys = RedisKeys("default")
        self.marks = ArchiveMarks(client, "default")
        self.added = 0
        self.kept: dict[str, str] = {}
        self.lost = 0
        self.inexact = False
        self.restarts = 0

    def add(self, count: int = 1) -> None:
        for _ in range(count):
            self.added += 1
            self.client.xadd(self.keys.events, {"event": str(self.added)}, id=f"{self.added}-0")

    def trim(self, keep: int) -> None:
        self.client.xtrim(self.keys.events, maxlen=keep, approximate=False)

    def erase(self, number: int) -> None:
        self.client.xdel(self.keys.events, f"{number}-0")

    def page(self, most: int = 1000) -> Page:
        page = self.marks.read(EVENTS, most)
        assert page is not None
        return page

    def commit(self, page: Page) -> None:
        """What the archive's database does in one transaction, and its counts."""
        for entry, fields in page.entries:
            assert self.kept.setdefault(entry, fields["event"]) == fields["event"]
        self.lost += page.lost
        self.inexact |= bool(page.lost) and not page.exact
        self.restarts += page.restarted

    def take(self, most: int = 1000) -> Page:
        page = self.page(most)
        self.commit(page)
        assert self.marks.archived(page)
        return page

    @property
    def group(self) -> dict[str, Any]:
        (group,) = self.client.xinfo_groups(self.keys.events)
        found: dict[str, Any] = group
        return found


@pytest.fixture
def line(redis_client: redis.Redis) -> Line:
    return Line(redis_client)


def test_an_archive_that_is_switched_on_reads_what_is_left_and_counts_nothing_from_before(line: Line) -> None:
    line.add(30)
    line.trim(10)
    assert line.marks.read(EVENTS) is None
    assert line.marks.switch_on()
    page = line.take()
    assert [fields["event"] for _, fields in page.entries] == [str(n) for n in range(21, 31)]
    assert (page.lost, page.exact, page.restarted, page.unread) == (0, True, False, 10)


def test_a_second_switch_keeps_the_marks(line: Line) -> None:
    line.add(3)
    assert line.marks.switch_on()
    line.take()
    assert not line.marks.switch_on()
    assert line.page().entries == ()


def test_what_is_not_marked_comes_again(line: Line) -> None:
    line.marks.switch_on()
    line.add(5)
    first = line.page(3)
    assert line.page(3) == first
    assert line.marks.archived(first)
    assert line.marks.archived(first)  # the reply was lost
    assert [entry for entry, _ in line.page().entries] == ["4-0", "5-0"]


def test_the_slower_of_two_archives_moves_no_mark(line: Line) -> None:
    line.marks.switch_on()
    line.add(5)
    slow = line.page(2)
    line.take(4)
    assert not line.marks.archived(slow)
    assert [entry for entry, _ in line.page().entries] == ["5-0"]


def test_entries_dropped_unread_are_counted_exactly_however_the_pages_fall(line: Line) -> None:
    line.marks.switch_on()
    line.add(10)
    line.take(3)
    line.trim(5)  # drops 1 to 5, of which 4 and 5 were not read
    assert line.take(2).lost == 2
    line.add(10)
    line.trim(0)
    page = line.take()
    assert (page.entries, page.lost, page.exact) == ((), 13, True)
    assert line.take().lost == 0
    line.add()
    assert line.take().lost == 0


def test_what_an_operator_erased_is_no_gap(line: Line) -> None:
    line.marks.switch_on()
    line.add(10)
    line.take(3)
    line.erase(2)
    line.erase(6)
    page = line.take()
    assert (len(page.entries), page.lost) == (6, 0)
    line.add(5)
    line.trim(3)
    page = line.take()
    assert (page.lost, page.exact) == (2, True)


def test_where_entries_were_erased_and_dropped_in_one_stretch_the_count_says_that_it_may_be_too_high(
    line: Line,
) -> None:
    line.marks.switch_on()
    line.add(10)
    line.erase(4)
    line.trim(5)
    page = line.page(2)
    assert (page.lost, page.exact) == (5, False)
    line.take(2)
    line.trim(1)
    page = line.take()
    assert (page.lost, page.exact) == (2, True)


def test_an_erased_entry_between_two_pages_makes_later_counts_uncertain_until_the_end_is_reached(
    line: Line,
) -> None:
    line.marks.switch_on()
    line.add(10)
    line.take(1)
    line.erase(3)
    line.take(4)  # 2 to 6, without the third
    line.trim(2)
    page = line.page(1)
    assert (page.lost, page.exact) == (3, False)  # 7 and 8, and the erased one
    line.take()
    line.add(4)
    line.trim(1)
    assert (line.page().lost, line.page().exact) == (3, True)


def test_a_mark_that_is_ahead_of_its_stream_begins_again_and_says_so(line: Line) -> None:
    line.marks.switch_on()
    line.add(10)
    line.take()
    line.client.delete(line.keys.events)
    line.added = 0
    line.kept.clear()
    line.add(4)
    page = line.take()
    assert (len(page.entries), page.restarted, page.lost) == (4, True, 0)
    line.add()
    assert not line.take().restarted
    line.client.delete(line.keys.events)
    page = line.take()
    assert (page.entries, page.restarted) == ((), True)
    assert not line.page().restarted


def test_a_redis_that_lost_the_switch_says_that_no_archive_is_on(line: Line) -> None:
    line.marks.switch_on()
    line.add(3)
    page = line.page()
    line.client.flushall()
    assert line.marks.read(EVENTS) is None
    assert not line.marks.archived(page)
    assert line.marks.switch_on()


def test_the_consumer_group_shows_the_lag(line: Line) -> None:
    line.marks.switch_on()
    line.add(10)
    assert (line.group["name"], line.group["lag"]) == (ARCHIVE_GROUP.encode(), 10)
    line.take(4)
    assert (line.group["last-delivered-id"], line.group["lag"]) == (b"4-0", 6)
    line.client.xgroup_destroy(line.keys.events, ARCHIVE_GROUP)
    line.take(4)
    assert line.group["lag"] == 2


def test_switching_off_leaves_nothing(line: Line) -> None:
    line.marks.switch_on()
    line.add(3)
    line.take()
    assert line.marks.switch_off()
    assert not line.marks.switch_off()
    assert line.marks.read(EVENTS) is None
    assert line.client.hgetall(line.keys.account_state) == {}
    assert not line.client.exists(line.keys.archive)
    assert line.client.xinfo_groups(line.keys.events) == []


def test_the_pages_of_several_accounts_come_in_one_round_trip(redis_client: redis.Redis) -> None:
    every = [ArchiveMarks(redis_client, name) for name in ("a", "b")]
    every[1].switch_on()
    redis_client.xadd(every[1].keys.audit, {"who": b"caf\xc3"})
    events, audit = read_pages(every)[2:]
    assert read_pages(every)[:2] == [None, None]
    assert events is not None
    assert audit is not None
    assert events.entries == ()
    assert [fields for _, fields in audit.entries] == [{"who": "caf\ufffd"}]
    assert read_pages([]) == []


def test_after_a_restored_copy_an_id_that_comes_again_is_read_again(line: Line) -> None:
    """Redis' clock went back with the copy: the archive sees that the fields differ."""
    line.marks.switch_on()
    line.add(2)
    line.take()
    copy = {name: line.client.dump(name) for name in line.client.keys("fax:*")}
    line.add(2)
    line.take()
    line.client.flushall()
    for name, value in copy.items():
        line.client.restore(name, 0, value)
    line.client.xadd(line.keys.events, {"event": "another"}, id="3-0")
    page = line.page()
    assert (page.entries, page.lost, page.restarted) == ((("3-0", {"event": "another"}),), 0, False)


def happen(line: Line, draw: random.Random, what: str) -> None:
    match what:
        case "add":
            line.add(draw.randint(1, 6))
        case "drop":
            line.trim(draw.randint(0, 12))
        case "take":
            line.take(draw.randint(1, 8))
        case "crash before the commit":
            line.page(draw.randint(1, 8))
        case "crash before the mark":
            page = line.page(draw.randint(1, 8))
            for entry, fields in page.entries:
                line.kept[entry] = fields["event"]


@pytest.mark.parametrize("course", range(40))
def test_in_any_course_each_entry_is_kept_or_counted(line: Line, course: int) -> None:
    draw = random.Random(course)
    line.marks.switch_on()
    for _ in range(80):
        happen(line, draw, draw.choice(["add", "add", "drop", "take", "crash before the commit"]))
    while line.take(5).entries:
        pass
    assert len(line.kept) + line.lost == line.added
    assert not line.inexact


@pytest.mark.parametrize("course", range(40))
def test_in_any_course_with_restored_copies_all_that_redis_has_is_kept(line: Line, course: int) -> None:
    draw = random.Random(course)
    line.marks.switch_on()
    copy: dict[bytes, bytes] = {}
    for _ in range(80):
        what = draw.choice(["add", "add", "drop", "take", "crash before the mark", "copy", "go back"])
        if what == "copy":
            copy = {name: line.client.dump(name) for name in line.client.keys("fax:*")}
        elif what == "go back" and copy:
            line.client.flushall()
            for name, value in copy.items():
                line.client.restore(name, 0, value)
            line.add()
            assert line.take().entries  # also those whose ids are below what the archive has
        else:
            happen(line, draw, what)
    while line.take(5).entries:
        pass
    assert line.restarts == 0
    assert {entry.decode() for entry, _ in line.client.xrange(line.keys.events)} <= set(line.kept)
