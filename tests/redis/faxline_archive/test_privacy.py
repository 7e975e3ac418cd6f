"""What the archive keeps about people is sealed, found, rotated, forgotten and expires."""

import json
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
import structlog
from prometheus_client import CollectorRegistry
from sqlalchemy import text

from faxline.contract.errors import KeyMissing
from faxline.contract.sealing.keyring import Keyring
from faxline_archive.forgetting import expire
from faxline_archive.leaves import leaf_hash
from faxline_archive.metrics import ArchiveMetrics
from faxline_archive.privacy import NUMBER, Privacy, member
from faxline_archive.rotation import Rotation
from faxline_archive.schema import AUDIT, accounts, fax_metadata, faxes, member_sums, usage_sums
from faxline_archive.upkeep import Upkeep
from faxline_worker.config.archive import Archive
from faxline_worker.observability.pulse import Loop
from faxline_worker.state.archive_marks import ArchiveMarks, Page
from tests.archives import NUMBER as TO
from tests.archives import SENDER, Faxes, archiving, check_sums, contents, fax, rows

Wait = Callable[..., Any]
OTHER = "+12025550199"
NAME = "Grace Marked-Hopper"
MARKS = (TO.removeprefix("+"), SENDER.removeprefix("+"), NAME, "marked-receipt")
KEY, NEXT = os.urandom(32), os.urandom(32)
RECEIPT = json.dumps({"jobId": 7, "toNumber": TO, "note": "marked-receipt"})


def test_with_keys_no_number_name_or_receipt_can_be_read_in_the_database(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, request: pytest.FixtureRequest
) -> None:
    keyring = Keyring({"first": KEY})
    line = Faxes(redis_client, keyring=keyring)
    line.queue("a", metadata={"patient": NAME})
    line.deliver("a", RECEIPT)
    with archiving(archive_url, redis_client, keyring=keyring) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 3)
        row, privacy = fax(archive.engine, "a"), Privacy(keyring, "default")
        private = json.loads(privacy.open(row["private"], row["key_id"], "fax", "a", "0"))
        assert (private["to"], private["metadata"]) == (TO, {"patient": NAME})
        assert private["receipts"][row["receipt"]] == RECEIPT
        assert row["to_index"] in privacy.lookups(NUMBER, TO)
        (known,) = rows(archive.engine, fax_metadata)
        assert known["value"] in privacy.lookups(member("patient"), NAME)
    dump = contents(archive_url, request.getfixturevalue("postgres") if "postgres" in archive_url else None)
    assert "delivered" in dump
    assert [mark for mark in MARKS if mark in dump] == []


def test_without_keys_the_same_marks_are_there_so_the_search_finds_them(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, request: pytest.FixtureRequest
) -> None:
    line = Faxes(redis_client)
    line.queue("a", metadata={"patient": NAME})
    line.deliver("a", RECEIPT)
    postgres = request.getfixturevalue("postgres") if "postgres" in archive_url else None
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 3)
        hashes = [row["leaf_hash"] for row in rows(archive.engine)]
        assert [mark for mark in MARKS if mark in contents(archive_url, postgres)] == list(MARKS)
        line.audit("forget", job="a", outcome="done")
        wait_until(lambda: not fax(archive.engine, "a"))
        left = rows(archive.engine)
        assert [row["leaf_hash"] for row in left][:3] == hashes
        assert {(row["job"], row["body"], row["private"], row["kind"]) for row in left[:3]} == {(None,) * 4}
        assert left[3]["leaf_hash"] == leaf_hash(left[3]["body"])  # that it was ordered stays
        for table in (fax_metadata, usage_sums, member_sums):
            assert rows(archive.engine, table) == []
        upkeep = Upkeep(
            archive.engine, Archive(), None, ArchiveMetrics(CollectorRegistry(), ()), structlog.get_logger()
        )

        def left_behind() -> list[str]:
            upkeep.step(Loop("upkeep", 60, 60), lambda: False)
            return [mark for mark in MARKS if mark in contents(archive_url, postgres)]

        wait_until(lambda: left_behind() == [])


@pytest.mark.parametrize("keyring", [None, Keyring({"first": KEY})], ids=["plain", "sealed"])
def test_a_number_is_forgotten_with_all_its_faxes_that_have_ended(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, keyring: Keyring | None
) -> None:
    line = Faxes(redis_client, keyring=keyring)
    for job, number in (("old", TO), ("other", OTHER), ("open", TO), ("again", TO)):
        line.queue(job, number=number)
    for job in ("old", "other", "again"):
        line.deliver(job)
    with archiving(archive_url, redis_client, keyring=keyring) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 10)
        line.queue("again", number=OTHER)  # the id is used again, for somebody else
        line.deliver("again")
        wait_until(lambda: len(rows(archive.engine)) == 13)
        at = round(time.time() * 1000)
        redis_client.rpush(line.keys.archive_forget, json.dumps({"number": TO, "at": at}))
        line.audit("forget", about="…0123", outcome="done")
        wait_until(lambda: not fax(archive.engine, "old"))
        left = {(row["job"], row["reuse"]) for row in rows(archive.engine, faxes)}
        assert left == {("other", 0), ("open", 0), ("again", 1)}
        named = [row["job"] for row in rows(archive.engine)]
        assert (named.count("old"), named.count("again"), named.count("open")) == (0, 3, 1)
        wait_until(lambda: redis_client.llen(line.keys.archive_forget) == 0)
        check_sums(archive.engine)


def test_a_forgotten_number_leaves_redis_before_the_mark_moves_so_a_crash_between_leaves_none(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = Faxes(redis_client)
    line.queue("old")
    line.deliver("old")
    real = ArchiveMarks.archived

    def archived(marks: ArchiveMarks, page: Page) -> bool:
        if page.stream == AUDIT:
            raise redis.ConnectionError
        return real(marks, page)

    monkeypatch.setattr(ArchiveMarks, "archived", archived)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 3)
        at = round(time.time() * 1000) + 1
        redis_client.rpush(line.keys.archive_forget, json.dumps({"number": TO, "at": at}))
        line.audit("forget", about="…0123", outcome="done")
        wait_until(lambda: not fax(archive.engine, "old"))
        wait_until(lambda: redis_client.llen(line.keys.archive_forget) == 0)


def test_a_job_that_redis_has_no_more_is_forgotten_and_an_open_one_is_not(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("ended")
    line.deliver("ended")
    line.queue("open")
    line.audit("forget", job="open", outcome="refused")
    line.audit("forget", job="ended", outcome="refused")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: [row["job"] for row in rows(archive.engine, faxes)] == ["open"])
        assert len(rows(archive.engine)) == 6


def test_a_rotation_reaches_what_is_archived_and_the_old_key_opens_nothing_any_more(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    old, both, new = Keyring({"a": KEY}), Keyring({"b": NEXT, "a": KEY}), Keyring({"b": NEXT})
    line = Faxes(redis_client, keyring=old)
    line.queue("plain")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
    line.queue("a", metadata={"patient": NAME})
    line.deliver("a", RECEIPT)
    with archiving(archive_url, redis_client, keyring=old) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 4)
        assert fax(archive.engine, "a")["to_index"] in Privacy(both, "default").lookups(NUMBER, TO)
        rotation = Rotation(archive.engine, "default", Privacy(both, "default"))
        assert rotation.needed()
        while rotation.step():
            pass
        assert not Rotation(archive.engine, "default", Privacy(both, "default")).needed()
        privacy = Privacy(new, "default")
        for job in ("a", "plain"):
            row = fax(archive.engine, job)
            assert (row["key_id"], row["to_index"]) == ("b", privacy.index(NUMBER, TO))
            assert json.loads(privacy.open(row["private"], "b", "fax", job, "0"))["to"] == TO
        (known,) = rows(archive.engine, fax_metadata)
        assert known["value"] == privacy.index(member("patient"), NAME)
        for leaf in rows(archive.engine):
            private = privacy.open(leaf["private"], leaf["key_id"], "entry", "events", leaf["entry_id"])
            assert leaf["leaf_hash"] == leaf_hash(leaf["body"])
            assert json.loads(private)["salt"]
        with pytest.raises(KeyMissing):
            Privacy(old, "default").open(row["private"], row["key_id"], "fax", "plain", "0")


def test_what_is_past_its_retention_goes_and_the_hashes_stay(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("old", metadata={"patient": NAME})
    line.deliver("old")
    line.queue("open")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 4)
        now = round(time.time() * 1000) + 1
        wait_until(lambda: time.time() * 1000 > now + 1)
        line.event("fax.submitted", "open", jobId=9)
        wait_until(lambda: len(rows(archive.engine)) == 5)
        hashes = [row["leaf_hash"] for row in rows(archive.engine)]
        while expire(archive.engine, "default", now):
            pass
        found = rows(archive.engine)
        assert [row["leaf_hash"] for row in found] == hashes
        assert [row["body"] is None for row in found] == [True, True, True, True, False]
        assert [row["job"] for row in rows(archive.engine, faxes)] == ["open"]
        assert rows(archive.engine, accounts)[0]["expired"] == 4
        check_sums(archive.engine)


def test_the_upkeep_does_all_of_it_by_itself(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    keyring = Keyring({"first": KEY})
    line = Faxes(redis_client)
    line.queue("a")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
        settings, log = Archive(), structlog.get_logger()
        upkeep = Upkeep(archive.engine, settings, keyring, ArchiveMetrics(CollectorRegistry(), ()), log)
        upkeep.step(Loop("upkeep", 60, 60), lambda: False)
        assert fax(archive.engine, "a")["key_id"] == "first"
        with archive.engine.begin() as connection:  # six years ago
            connection.execute(text("UPDATE entries SET at = 1"))
            connection.execute(text("UPDATE faxes SET queued_at = 1, updated_at = 1"))
        again = Upkeep(archive.engine, settings, keyring, ArchiveMetrics(CollectorRegistry(), ()), log)
        again.step(Loop("upkeep", 60, 60), lambda: False)
        assert rows(archive.engine, faxes) == []
        assert rows(archive.engine)[0]["body"] is None
