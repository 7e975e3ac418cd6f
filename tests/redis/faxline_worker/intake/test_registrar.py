"""Intake's checks of a fax: what breaks a rule is rejected with its reason before it could take a slot."""

import base64
import json
from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import redis

from faxline.contract.page_count import digest
from faxline_worker.intake.registrar import AT_ONCE, Intake
from faxline_worker.processes.common import failure_labels
from faxline_worker.state.results import Admitted, Idle
from faxline_worker.state.store import Store
from tests.hostile_files import plain_pdf
from tests.stage.daemon import dispatcher_metrics, make_intake, usual_settings
from tests.stage.intake import create_group, read_intake

NUMBER = "+12025550123"


@pytest.fixture
def store(redis_client: redis.Redis) -> Store:
    made = Store(redis_client, usual_settings(), "default")
    create_group(made)
    return made


Push = Callable[..., None]


@pytest.fixture
def push(store: Store, redis_client: Any) -> Push:
    """Push a fax with these files, and have intake take it."""
    metrics = dispatcher_metrics()

    def pushed(
        *files: dict[str, Any],
        id: str = "a",  # noqa: A002
        hosts: tuple[str, ...] = (),
        caller: str | None = None,
        own: str | None = None,
    ) -> None:
        fax = {"faxNumber": NUMBER, "faxData": list(files), "callerId": caller}
        redis_client.xadd(store.keys.intake, {"send": json.dumps({"id": id, "fax": fax})})
        Intake(store, metrics, Mock(), own, hosts=hosts).take(read_intake(redis_client, store))

    return pushed


def inline(data: bytes, name: str = "a.pdf", **more: Any) -> dict[str, Any]:
    return {"fileName": name, "fileData": base64.b64encode(data).decode(), **more}


def events(client: Any, store: Store) -> list[tuple[str, dict[str, Any]]]:
    found = client.xrange(store.keys.events)
    return [(fields[b"event"].decode(), json.loads(fields[b"data"])) for _, fields in found]


def test_a_document_inside_an_entry_is_stored_once_and_named_by_its_digest(
    push: Push, store: Store, redis_client: Any
) -> None:
    data = plain_pdf(2)
    push(inline(data), inline(data, "again.pdf"), id="a")
    push(inline(data), id="b")
    keys = list(redis_client.scan_iter(store.keys.document("*")))
    assert keys == [store.keys.document(digest(data).removeprefix("sha256:")).encode()]
    assert redis_client.get(keys[0]) == data
    admitted = store.submission.admit("permit", "")
    assert isinstance(admitted, Admitted)
    assert admitted.request["faxData"] == [
        {"fileName": "a.pdf", "document": digest(data)},
        {"fileName": "again.pdf", "document": digest(data)},
    ]
    assert b"fileData" not in b"".join(redis_client.hgetall(store.keys.job("b")).values())


def test_a_fax_whose_file_lies_on_another_host_is_rejected_and_the_url_is_in_no_event(
    push: Push, store: Store, redis_client: redis.Redis
) -> None:
    push(
        {"fileName": "a.pdf", "fileUrl": "https://files.example/a.pdf"},
        {"fileName": "b.pdf", "fileUrl": "https://files.example.evil.example/b.pdf?key=secret"},
        hosts=("files.example",),
    )
    [(event, data)] = events(redis_client, store)
    assert (event, data["reason"]) == ("fax.rejected", "host_not_allowed")
    assert data["member"] == "fax.faxData[1].fileUrl"
    assert "evil" not in json.dumps(data)
    assert isinstance(store.submission.admit("permit", ""), Idle)


def test_a_fax_whose_files_lie_on_listed_hosts_is_taken(push: Push, store: Store) -> None:
    push({"fileName": "a.pdf", "fileUrl": "https://a.files.example/a.pdf"}, hosts=("*.files.example",))
    assert isinstance(store.submission.admit("permit", ""), Admitted)


def test_rejected_hosts_are_counted_by_their_reason_from_the_start() -> None:
    assert ("intake", None, "host_not_allowed") in failure_labels()


@pytest.fixture
def take(store: Store, redis_client: Any) -> Callable[..., Mock]:
    """Push entries, a kind and its value each, and have intake take them in one go; its log."""

    def taken(*entries: tuple[str, dict[str, Any]]) -> Mock:
        for kind, value in entries:
            redis_client.xadd(store.keys.intake, {kind: json.dumps(value)})
        log = Mock()
        make_intake(store, log).take(read_intake(redis_client, store))
        return log

    return taken


def send(name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    file = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}
    return "send", {"id": name, "fax": {"faxNumber": NUMBER, "faxData": [file], **more}}


def test_entries_are_registered_in_their_order_however_many_calls_that_takes(
    take: Callable[..., Mock], store: Store, redis_client: Any
) -> None:
    names = [f"job-{i}" for i in range(2 * AT_ONCE + AT_ONCE // 2)]
    take(*map(send, names), ("cancel", {"id": names[-1]}), send("last"))
    assert redis_client.zrange(store.keys.ready, 0, -1) == [name.encode() for name in [*names[:-1], "last"]]
    events = [(fields[b"event"], fields[b"job"]) for _, fields in redis_client.xrange(store.keys.events)]
    queued = [(b"fax.queued", name.encode()) for name in names]
    assert events == [*queued, (b"fax.canceled", names[-1].encode()), (b"fax.queued", b"last")]
    assert redis_client.xlen(store.keys.intake) == 0


def test_an_id_that_is_used_again_in_the_same_batch_is_repeated_or_rejected_in_its_turn(
    take: Callable[..., Mock], store: Store, redis_client: Any
) -> None:
    resend = {"id": "c", "of": "a"}
    log = take(send("a"), send("a"), send("a", subject="other"), ("resend", resend), send("b"))
    found = events(redis_client, store)
    assert [(name, data.get("reason")) for name, data in found] == [
        *(("fax.queued", None), ("fax.rejected", "id_reused")),
        *(("fax.rejected", "unknown_job"), ("fax.queued", None)),
    ]
    assert "jobId" in found[2][1]["message"]
    assert redis_client.zrange(store.keys.ready, 0, -1) == [b"a", b"b"]
    logged = {(line.kwargs["result"], line.kwargs["count"]) for line in log.info.call_args_list}
    assert logged == {("registered", 2), ("repeated", 1)}
    assert [line.kwargs["job"] for line in log.warning.call_args_list] == ["a", "c"]


def test_among_new_jobs_one_that_is_known_is_repeated_or_rejected(
    take: Callable[..., Mock], store: Store, redis_client: Any
) -> None:
    take(send("a"), send("b"))
    place = redis_client.zscore(store.keys.ready, "a")
    take(send("c"), send("a"), send("b", subject="other"), send("d"))
    assert [(name, data.get("reason")) for name, data in events(redis_client, store)[2:]] == [
        *(("fax.queued", None), ("fax.rejected", "id_reused"), ("fax.queued", None)),
    ]
    assert redis_client.zrange(store.keys.ready, 0, -1) == [b"a", b"b", b"c", b"d"]
    assert redis_client.zscore(store.keys.ready, "a") == place


@pytest.mark.parametrize(
    ("caller", "own", "sender"),
    [
        ("+12025550100", None, b"+12025550100"),
        ("+1 (202) 555-0100", None, b"+12025550100"),
        ("Main desk", None, None),
        ("", "+1-202-555-0100", b"+12025550100"),
        (None, "2025550100", None),
    ],
)
def test_the_sender_that_receipts_are_held_against_is_in_e164_or_unknown(
    *, push: Push, store: Store, redis_client: Any, caller: str | None, own: str | None, sender: bytes | None
) -> None:
    push(inline(b"Hello", "a.txt"), caller=caller, own=own)
    assert redis_client.hget(store.keys.job("a"), "sender") == sender


def test_a_batch_of_new_jobs_is_looked_up_by_one_command(
    take: Callable[..., Mock], redis_client: Any
) -> None:
    def calls(command: str) -> int:
        return int(redis_client.info("commandstats").get(f"cmdstat_{command}", {}).get("calls", 0))

    take(send("a"))
    looked, read = calls("exists"), calls("hget")
    take(*(send(f"job-{i}") for i in range(20)))
    assert (calls("exists") - looked, calls("hget") - read) == (1, 0)


def test_jobs_that_redis_was_told_of_are_waited_for_although_the_next_entry_cannot_be_read(
    take: Callable[..., Mock], store: Store, redis_client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"job-{i}" for i in range(AT_ONCE)]
    lines: list[int] = []
    monkeypatch.setattr(store.documents, "read", Mock(side_effect=redis.ConnectionError("gone")))
    monkeypatch.setattr(Intake, "_log_results", lambda _, *found: lines.append(len(found[1])))
    document = {"fileName": "a.pdf", "document": "sha256:" + "0" * 64}
    last = {"id": "last", "fax": {"faxNumber": NUMBER, "faxData": [document]}}
    with pytest.raises(redis.ConnectionError, match="gone"):
        take(*map(send, names), ("send", last))
    assert lines == [AT_ONCE]
    assert redis_client.zcard(store.keys.ready) == AT_ONCE
    assert redis_client.xlen(store.keys.intake) == 1


def test_each_entry_that_was_taken_has_a_line_at_the_level_debug(take: Callable[..., Mock]) -> None:
    lines = take(send("b"), send("c")).debug.call_args_list
    assert [line.kwargs["job"] for line in lines] == ["b", "c"]
