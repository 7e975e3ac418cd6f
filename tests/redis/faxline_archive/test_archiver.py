"""The archive copies what happened: each entry once, whatever ends in between."""

import json
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import delete, update

from faxline_archive.leaves import leaf_hash, text_hash
from faxline_archive.schema import accounts, entries, fax_metadata, faxes, positions
from faxline_local.redis_cluster import RedisCluster
from faxline_worker.state.redis_clients import state_client
from tests.archives import NUMBER, SENDER, Faxes, archiving, fax, rows

Wait = Callable[..., Any]


def test_a_fax_is_one_row_and_each_entry_one_leaf(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("a", metadata={"case": "77", "urgent": True, "list": [1]}, group="billing", priority="urgent")
    line.audit("fax-send", job="a", outcome="accepted", ms=120)
    line.deliver("a", '{"jobId":7,"secret":"ü"}')
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: fax(archive.engine, "a").get("state") == "delivered")
        wait_until(lambda: len(rows(archive.engine)) == 4)
        row = fax(archive.engine, "a")
        known = {"group_name": "billing", "priority": "urgent", "pages": 3, "transferred": 3, "job_id": 7}
        assert row | known | {"to_index": NUMBER, "from_index": SENDER, "submissions": 1, "reuse": 0} == row
        assert row["queued_at"] <= row["submitted_at"] <= row["ended_at"] == row["updated_at"]
        private = json.loads(row["private"])
        assert private["to"] == NUMBER
        assert private["metadata"]["case"] == "77"
        assert private["receipts"] == {row["receipt"]: '{"jobId":7,"secret":"ü"}'}
        assert {(each["key"], each["value"]) for each in rows(archive.engine, fax_metadata)} == {
            ("case", "77"),
            ("urgent", "true"),
        }
        leaves = rows(archive.engine)
        assert [leaf["leaf"] for leaf in leaves] == [0, 1, 2, 3]
        for leaf in leaves:
            assert leaf["leaf_hash"] == leaf_hash(leaf["body"])
            assert json.loads(leaf["body"])["private"] == text_hash(leaf["private"])
            assert "case" not in leaf["body"]
        assert rows(archive.engine, accounts)[0]["size"] == 4
        wait_until(lambda: archive.value("fax_archive_lag_seconds", account="default") == 0)
        assert archive.value("fax_archive_missing_total", account="default", what="records") == 0


def test_a_second_archive_takes_over_when_the_first_one_ends(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    with archiving(archive_url, redis_client) as second:
        with archiving(archive_url, redis_client) as first:
            wait_until(lambda: first.archiver.works.is_set() or second.archiver.works.is_set())
            line.queue("a")
            wait_until(lambda: len(rows(second.engine)) == 1)
            assert not (first.archiver.works.is_set() and second.archiver.works.is_set())
        wait_until(second.archiver.works.is_set)
        line.queue("b")
        wait_until(lambda: len(rows(second.engine)) == 2)


def test_what_was_committed_and_not_marked_is_not_stored_again(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("a")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
        mark = redis_client.hget(line.keys.account_state, "archived_events")
    line.deliver("a")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 3)
    redis_client.hset(line.keys.account_state, "archived_events", mark or b"")  # as if it had died in between
    line.queue("b")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: fax(archive.engine, "b"))
        assert [row["leaf"] for row in rows(archive.engine)] == [0, 1, 2, 3]
        assert fax(archive.engine, "a")["submissions"] == 1


def test_every_other_entry_under_an_id_that_redis_gave_again_is_stored_as_well(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("a")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
        (stored,) = rows(archive.engine)
    given = [stored["entry_id"]]
    for nth in (2, 3, 4):
        redis_client.delete(line.keys.events)  # Redis went back, and its clock, too
        redis_client.hset(line.keys.account_state, "archived_events", "0-0 0")
        told = f'{{"state":"submitted","attempt":1,"jobId":{nth}}}'
        data: Any = {"event": "fax.submitted", "job": "a", "at": 5, "data": told}
        redis_client.xadd(line.keys.events, data, id=stored["entry_id"])
        given.append(f"{stored['entry_id']}/{nth}")
        for _ in range(2):  # and it is read again, as the mark was lost
            redis_client.hset(line.keys.account_state, "archived_events", "0-0 0")
            with archiving(archive_url, redis_client) as archive:
                wait_until(lambda: redis_client.hget(line.keys.account_state, "archived_events") != b"0-0 0")
                assert fax(archive.engine, "a")["job_id"] == nth
                assert [row["entry_id"] for row in rows(archive.engine)] == given
                assert fax(archive.engine, "a")["last_event"] == given[-1]


def test_a_database_that_is_older_than_redis_gets_what_it_lacks(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("a")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
        marks = rows(archive.engine, positions)
        line.queue("b")
        line.audit("pause", outcome="done")
        wait_until(lambda: len(rows(archive.engine)) == 3)
        with archive.engine.begin() as connection:  # a backup is restored
            connection.execute(delete(entries).where(entries.c.leaf > 0))
            connection.execute(delete(faxes).where(faxes.c.job == "b"))
            connection.execute(update(accounts).values(size=1))
            connection.execute(delete(positions))
            connection.execute(positions.insert(), marks)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 3)
        assert fax(archive.engine, "b")["state"] == "queued"
        with archive.engine.begin() as connection:  # a new database
            for table in (entries, faxes, accounts, positions):
                connection.execute(delete(table))
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 3)


def test_what_redis_dropped_unread_is_counted_once(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("a")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
    for number in range(10):
        line.queue(f"b{number}")
    redis_client.xtrim(line.keys.events, maxlen=4, approximate=False)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 5)
        wait_until(lambda: archive.value("fax_archive_missing_total", account="default", what="entries") == 6)
        (events,) = (row for row in rows(archive.engine, positions) if row["stream"] == "events")
        assert events["missing"] == 6
        line.queue("c")
        wait_until(lambda: len(rows(archive.engine)) == 6)
        assert archive.value("fax_archive_missing_total", account="default", what="entries") == 6


def test_a_fax_whose_record_is_gone_is_archived_and_counted(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.event("fax.queued", "gone", metadata={"case": "9"})
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: fax(archive.engine, "gone"))
        wait_until(lambda: archive.value("fax_archive_missing_total", account="default", what="records") == 1)


def test_an_id_that_is_free_again_makes_another_row(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("a", metadata={"month": "1"})
    line.deliver("a")
    ended = time.time_ns() // 10**6
    wait_until(lambda: time.time_ns() // 10**6 > ended + 1)  # records are told apart by milliseconds
    line.queue("a", metadata={"month": "2"})
    line.event("fax.submitted", "a", jobId=8)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 5)
        found = rows(archive.engine, faxes)
        assert [(row["reuse"], row["state"], row["job_id"]) for row in found] == [
            (0, "delivered", 7),
            (1, "submitted", 8),
        ]
        told = [(row["value"], row["state"], row["reason"]) for row in rows(archive.engine, fax_metadata)]
        assert told == [("1", "delivered", "success"), ("2", "submitted", None)]
        line.event("fax.failed", "a", jobId=8, reason="busy", code=17)
        wait_until(lambda: fax(archive.engine, "a")["state"] == "failed")
        told = [(row["value"], row["state"], row["reason"]) for row in rows(archive.engine, fax_metadata)]
        assert told == [("1", "delivered", "success"), ("2", "failed", "busy")]


def test_a_rejected_entry_changes_no_fax_with_its_id(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("a")
    line.deliver("a")
    line.event("fax.rejected", "a", reason="id_reused", member="id", message="m", entry="1-0")
    line.event("fax.rejected", "b", reason="bad_number", member="fax.faxNumber", message="m", entry="1-0")
    line.queue("b")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 6)
        assert [
            (row["job"], row["reuse"], row["state"], row["reason"]) for row in rows(archive.engine, faxes)
        ] == [
            ("a", 0, "delivered", "success"),
            ("b", 0, "rejected", "bad_number"),
            ("b", 1, "queued", None),
        ]


def test_what_no_column_can_hold_is_kept_in_the_leaf(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    odd = {"a\0b": "x\0y\ud800", "large": "z" * 4000, "number": 10**400, "k" * 500: "v"}
    line.queue("a", metadata=odd)
    line.event("fax.submitted", "a", jobId=2**70)
    line.event("fax.failed", "a", jobId=7, reason="r" * 100, code=2**40, message="nul \0", pages="three")
    fields: dict[Any, Any] = {"event": "fax.new_name", "job": "a", "at": "soon", "data": "[" * 100_000}
    redis_client.xadd(line.keys.events, fields)
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 4)
        assert json.loads(rows(archive.engine)[0]["private"])["metadata"] == odd
        assert json.loads(rows(archive.engine)[1]["body"])["fields"]["data"].count(str(2**70)) == 1
        row = fax(archive.engine, "a")
        assert (row["code"], row["reason"], row["message"]) == (None, "r" * 64, "nul ")


@pytest.mark.slow
def test_accounts_on_the_nodes_of_a_cluster_are_archived_together(
    redis_cluster: RedisCluster, tmp_path: Path, wait_until: Wait
) -> None:
    names = ("acme", "beta", "gamma", "delta")
    with closing(state_client(redis_cluster.url())) as client:
        for name in names:
            line = Faxes(client, name)
            line.queue("a", metadata={"of": name})
            line.deliver("a")
            line.audit("fax-send", job="a", outcome="accepted")
        with archiving(f"sqlite:///{tmp_path / 'archive.db'}", client, *names) as archive:
            wait_until(lambda: len(rows(archive.engine)) == 4 * len(names))
            found = [(row["account"], row["state"]) for row in rows(archive.engine, faxes)]
            assert found == [(name, "delivered") for name in sorted(names)]


def test_a_fax_whose_request_named_no_sender_has_that_of_its_receipt(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    line = Faxes(redis_client)
    line.queue("a")
    redis_client.hdel(line.keys.job("a"), "sender")
    line.deliver(
        "a", json.dumps({"event": "fax.completed", "data": {"jobId": 7, "fromNumber": "12025550177"}})
    )
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: fax(archive.engine, "a").get("state") == "delivered")
        row = fax(archive.engine, "a")
        assert (row["from_index"], json.loads(row["private"])["from"]) == ("+12025550177",) * 2


def test_what_is_owed_of_an_account_that_was_removed_while_the_archive_was_down_is_archived(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    gone, unknown = Faxes(redis_client, "gone"), Faxes(redis_client, "unknown")
    gone.queue("a")
    with archiving(archive_url, redis_client, "default", "gone") as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
    gone.deliver("a")
    unknown.queue("b")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 3)
        assert fax(archive.engine, "a")["state"] == "delivered"
        assert not redis_client.exists(unknown.keys.account_state)


def test_an_account_that_is_gone_from_redis_is_not_made_there_again(
    archive_url: str, redis_client: redis.Redis, wait_until: Wait
) -> None:
    gone, line = Faxes(redis_client, "gone"), Faxes(redis_client)
    gone.queue("a")
    with archiving(archive_url, redis_client, "default", "gone") as archive:
        wait_until(lambda: len(rows(archive.engine)) == 1)
    for key in redis_client.scan_iter(f"{gone.keys.prefix}*"):
        redis_client.delete(key)
    line.queue("b")
    with archiving(archive_url, redis_client) as archive:
        wait_until(lambda: len(rows(archive.engine)) == 2)
    assert list(redis_client.scan_iter(f"{gone.keys.prefix}*")) == []
