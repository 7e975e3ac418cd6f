"""The sums of a day's faxes by the values of a member of their metadata."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import redis
from sqlalchemy import delete, update

from faxline.contract.sealing.keyring import Keyring
from faxline.reading.archived import Usage, Wanted
from faxline_archive import rotation, sums
from faxline_archive.forgetting import expire
from faxline_archive.migrations.versions import member_sums as migration
from faxline_archive.privacy import Privacy
from faxline_archive.rotation import Rotation
from faxline_archive.schema import fax_metadata, member_sums
from faxline_archive.usage import usage
from tests.archives import Faxes, archiving, check_sums, fax, new_archive, rows
from tests.stage.archives import BEGIN, StagedArchive, StagedFax

Wait = Callable[..., Any]
DAY = 86_400
FIRST = datetime.fromtimestamp(BEGIN / 1000, UTC)
MIDNIGHT = FIRST.replace(hour=0, minute=0)
OLD, BOTH = Keyring({"a": b"1" * 32}), Keyring({"b": b"2" * 32, "a": b"1" * 32})


def count(staged: StagedArchive, key: str, since: datetime | None, until: datetime | None) -> list[Usage]:
    wanted = Wanted(since=since, until=until)
    names = ("default", "acme")
    return usage(staged.engine, f"metadata.{key}", wanted, staged.privacy, accounts=names, zone=UTC)


def counted(made: list[StagedFax], key: str, since: datetime | None, until: datetime | None) -> list[Usage]:
    """What is to be counted."""
    found: dict[str, Counter[str]] = {}
    for one in made:
        at = FIRST + timedelta(seconds=one.at)
        if (since is None or at >= since) and (until is None or at < until):
            found.setdefault(one.metadata.get(key, ""), Counter()).update(["faxes", one.state])
    return [
        Usage(value, some["faxes"], some["delivered"], some["failed"], 3 * some["faxes"])
        for value, some in sorted(found.items())
    ]


def days_of(staged: StagedArchive) -> list[bool]:
    """Whether each day of a member has sums."""
    return [row["sums"] is not None for row in rows(staged.engine, member_sums)]


def test_faxes_are_counted_by_a_member_whether_its_days_have_sums_or_not(
    staged: StagedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "MOST", 3)
    random, made = Random(7), list[StagedFax]()
    for number in range(120):
        at = random.randrange(6 * DAY)
        most = 5 if at // DAY in {1, 2, 4} else 2
        metadata = {"department": f"d{random.randrange(most)}", "case": f"c{number}"}
        state, account = random.choice(["delivered", "failed"]), random.choice(["default", "acme"])
        metadata = metadata if number % 7 else {}
        made.append(StagedFax(f"fax-{number}", account=account, at=at, state=state, metadata=metadata))
    staged.add_all(made[:60])
    staged.add_all(made[60:])
    check_sums(staged.engine)
    assert set(days_of(staged)) == {True, False}
    midnight = MIDNIGHT.astimezone(ZoneInfo("America/New_York"))
    ends = [None, midnight + timedelta(days=1), midnight + timedelta(days=4), MIDNIGHT + timedelta(days=5)]
    for key in ("department", "case", "nothing"):
        for since in ends:
            for until in ends:
                if since is None or until is None or since < until:
                    assert count(staged, key, since, until) == counted(made, key, since, until)


def test_whole_days_of_utc_are_counted_from_their_sums_and_the_rest_by_fax(staged: StagedArchive) -> None:
    staged.add_all(StagedFax(f"fax-{day}", at=day * DAY, metadata={"department": "d"}) for day in range(4))
    with staged.engine.begin() as connection:
        connection.execute(update(fax_metadata).values(transferred=0))

    def pages(since: datetime, until: datetime) -> int:
        return next(row.pages for row in count(staged, "department", since, until) if row.key)

    assert pages(MIDNIGHT, MIDNIGHT + timedelta(days=4)) == 12
    assert pages(MIDNIGHT + timedelta(hours=1), MIDNIGHT + timedelta(days=3, hours=23)) == 6


def test_a_day_of_a_member_has_sums_until_there_are_too_many_values_and_never_again(
    staged: StagedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "MOST", 2)
    staged.add_all(StagedFax(f"a{value}", at=value, metadata={"case": str(value)}) for value in range(2))
    assert days_of(staged) == [True]
    staged.add("third", at=9, metadata={"case": "2"})
    assert days_of(staged) == [False]
    staged.add("again", at=10, metadata={"case": "0"})
    staged.add("tomorrow", at=DAY, metadata={"case": "3"})
    assert days_of(staged) == [False, True]
    check_sums(staged.engine)


def test_nothing_is_left_of_a_value_that_no_fax_has_nor_of_an_empty_day(
    staged: StagedArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "MOST", 2)
    made = [StagedFax(f"fax-{hour}", at=hour * 3600, metadata={"case": str(hour)}) for hour in range(3)]
    kept = StagedFax("other", at=3 * 3600, metadata={"department": "d"})
    staged.add_all([*made, kept, *(StagedFax(f"d{n}", at=n, metadata={"department": "e"}) for n in range(2))])
    assert days_of(staged) == [False, True]
    for hours, left in ((3, ["case", "department"]), (4, [])):
        before = BEGIN + hours * 3600 * 1000
        while expire(staged.engine, "default", before):
            pass
        assert [row["key"] for row in rows(staged.engine, member_sums)] == left
        check_sums(staged.engine)


def test_the_migration_makes_the_sums_that_the_writer_makes(staged: StagedArchive) -> None:
    many = [
        StagedFax(f"c{n}", at=n, metadata={"case": f"ä{n}", "quote": '"\\'}) for n in range(sums.MOST + 1)
    ]
    few = [StagedFax(f"t{n}", at=DAY + n, metadata={"case": f"ä{n}"}) for n in range(sums.MOST)]
    staged.add_all([*many, *few, StagedFax("x", state="rejected", metadata={"department": "d"})])
    assert days_of(staged) == [False, True, True]
    with staged.engine.begin() as connection:
        connection.execute(delete(member_sums))
        migration.fill(connection)
    assert days_of(staged) == [False, True, True]
    check_sums(staged.engine)


def test_a_rotation_keeps_the_sums_and_usage_where_a_day_has_as_many_values_as_it_may(
    archive_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sums, "MOST", 2)
    monkeypatch.setattr(rotation, "PIECE", 1)
    staged = StagedArchive(new_archive(archive_url), OLD)
    made = [StagedFax(f"fax-{n}", at=n, metadata={"department": f"d{n % 2}"}) for n in range(4)]
    staged.add_all(made)
    staged.keyring = BOTH
    turning, both = (
        Rotation(staged.engine, "default", staged.privacy()),
        counted(made, "department", None, None),
    )
    while turning.step():
        assert count(staged, "department", None, None) == both
        check_sums(staged.engine)
    assert days_of(staged) == [True]
    stored = {Privacy(BOTH, "default").index("metadata department", name) for name in ("d0", "d1")}
    assert {row["value"] for row in rows(staged.engine, fax_metadata)} == stored
    staged.engine.dispose()


@pytest.mark.parametrize("after", [OLD, BOTH], ids=["the same key", "a new key"])
def test_what_events_change_later_is_in_the_sums(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, after: Keyring
) -> None:
    with archiving(archive_url, redis_client, keyring=OLD) as archive:
        line = Faxes(redis_client, keyring=OLD)
        for job in ("a", "b"):
            line.queue(job, metadata={"department": "d", "urgent": True})
        wait_until(lambda: fax(archive.engine, "b"))
        check_sums(archive.engine)
    with archiving(archive_url, redis_client, keyring=after, batch=1) as archive:
        Faxes(redis_client, keyring=after).deliver("a")
        wait_until(lambda: fax(archive.engine, "a").get("state") == "delivered")
        check_sums(archive.engine)
        line.event("fax.failed", "b", reason="busy", transferred=1)
        wait_until(lambda: fax(archive.engine, "b").get("state") == "failed")
        check_sums(archive.engine)
