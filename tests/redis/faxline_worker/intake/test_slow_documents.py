"""Entries with PDFs that take long to open: they end, and nobody else waits for them."""

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
import redis
import structlog

from faxline.contract.pdf import process as pdf_process
from faxline.contract.pdf.reader import PdfReader
from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys
from faxline_worker.config.settings import read_settings
from faxline_worker.dispatcher.dispatcher import Dispatcher
from faxline_worker.intake import slow_documents
from faxline_worker.intake.pdf_time import OWED, SAVED, SHARE, TimeShare
from faxline_worker.intake.pdfs import OpenLater
from faxline_worker.intake.pending_entries import PendingEntries
from faxline_worker.intake.slow_documents import SlowDocuments
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.observability.pulse import Loops
from faxline_worker.state.store import Store
from tests.hostile_files import page_tree, plain_pdf, xref_stream
from tests.stage.daemon import dispatcher_metrics, make_dispatcher

ACCOUNTS = ("good", "hostile")
GOOD, HOSTILE = (RedisKeys(name) for name in ACCOUNTS)
HANGS = page_tree(60)
TAKEOVER = 1.0
Start = Callable[..., Dispatcher]


@pytest.fixture
def registry() -> Any:
    return new_registry()


@pytest.fixture
def start(redis_client: redis.Redis, registry: Any) -> Iterator[Start]:
    """Start a dispatcher for both accounts."""
    settings = read_settings({"FAXLINE_ACCOUNTS": "good,hostile"})
    started: list[Dispatcher] = []

    def dispatcher(
        name: str = "first", *, timeout: float = 0.5, takeover: float = 60.0, **more: Any
    ) -> Dispatcher:
        made = make_dispatcher(
            redis_client,
            {account: Store(redis_client, settings, account) for account in ACCOUNTS},
            metrics=dispatcher_metrics(registry if not started else new_registry(), accounts=ACCOUNTS),
            consumer=name,
            takeover=takeover,
            sweep=1.0,
            wake_lease=5.0,
            pdf_reader=partial(PdfReader, timeout, children=1),
            **more,
        )
        started.append(made)
        made.start()
        return made

    yield dispatcher
    for made in started:
        made.stop()


def push(client: redis.Redis, keys: RedisKeys, job: str, *documents: bytes) -> str:
    files: list[dict[str, Any]] = [
        {"fileName": "a.pdf", "fileData": base64.b64encode(data).decode()} for data in documents
    ]
    files = files or [{"fileName": "a", "fileUrl": "https://example.com/a"}]
    entry = {"id": job, "fax": {"faxNumber": "+12025550123", "faxData": files}}
    name: Any = client.xadd(keys.intake, {"send": json.dumps(entry)})
    return str(name.decode())


def events_of(client: redis.Redis, keys: RedisKeys) -> list[tuple[str, str, str]]:
    """Each event with its job and its reason."""
    found: Any = client.xrange(keys.events)
    return [
        (f[b"event"].decode(), f[b"job"].decode(), json.loads(f[b"data"]).get("reason", "")) for _, f in found
    ]


def jobs(client: redis.Redis, keys: RedisKeys) -> Sequence[str]:
    found: Any = client.zrange(keys.ready, 0, -1)
    return [name.decode() for name in found]


def test_a_flood_of_hostile_pdfs_of_one_account_holds_up_no_other_account(
    redis_client: redis.Redis, start: Start, wait_until: Callable[..., Any]
) -> None:
    for i in range(100):
        push(redis_client, HOSTILE, f"bomb-{i}", HANGS)
    dispatcher = start(timeout=20)
    wait_until(lambda: dispatcher.intake.slow.waiting("hostile"))
    for i in range(20):
        push(redis_client, GOOD, f"good-{i}", plain_pdf(i + 1))
    wait_until(lambda: len(jobs(redis_client, GOOD)) == 20)
    assert redis_client.xlen(HOSTILE.intake) >= 99  # they are not even open yet


@pytest.mark.slow
def test_the_good_faxes_of_the_same_account_do_not_wait_for_the_hostile_ones(
    redis_client: redis.Redis, start: Start, wait_until: Callable[..., Any]
) -> None:
    for i in range(12):
        push(redis_client, HOSTILE, f"bomb-{i}", page_tree(60 + i))
    push(redis_client, HOSTILE, "by-url")
    push(redis_client, HOSTILE, "letter", plain_pdf(3))
    start(timeout=1.5)
    wait_until(lambda: set(jobs(redis_client, HOSTILE)) == {"by-url", "letter"}, timeout=60)
    assert redis_client.xlen(HOSTILE.intake) > 6  # most are still to be opened for their full time


@pytest.mark.slow
def test_every_hostile_pdf_is_rejected_in_the_end_counted_and_told(
    redis_client: redis.Redis, start: Start, wait_until: Callable[..., Any], registry: Any
) -> None:
    for i in range(3):
        push(redis_client, HOSTILE, f"hangs-{i}", plain_pdf(), HANGS)
    push(redis_client, HOSTILE, "bloats", xref_stream(300))
    start()
    wait_until(lambda: redis_client.xlen(HOSTILE.intake) == 0, timeout=30)
    events = events_of(redis_client, HOSTILE)
    assert sorted(events) == sorted(
        ("fax.rejected", job, "bad_document") for job in ("hangs-0", "hangs-1", "hangs-2", "bloats")
    )
    count = registry.get_sample_value
    assert count("fax_documents_stopped_total", {"account": "hostile", "limit": "time"}) == 3
    assert count("fax_documents_stopped_total", {"account": "hostile", "limit": "memory"}) == 1
    assert count("fax_outcomes_total", {"account": "hostile", "outcome": "rejected"}) == 4
    wait_until(lambda: count("fax_slow_documents", {"account": "hostile"}) == 0)


@pytest.mark.slow
def test_a_hostile_pdf_that_comes_in_many_faxes_takes_its_full_time_once(
    redis_client: redis.Redis, start: Start, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    times: list[float] = []
    count = PdfReader.count

    def counted(self: PdfReader, data: bytes, timeout: float | None = None) -> Any:
        times.append(timeout or 0)
        return count(self, data, timeout)

    monkeypatch.setattr(PdfReader, "count", counted)
    monkeypatch.setattr(slow_documents, "QUICK", 0.05)
    for i in range(10):
        push(redis_client, HOSTILE, f"bomb-{i}", HANGS)
    start(timeout=1)
    wait_until(lambda: redis_client.xlen(HOSTILE.intake) == 0, timeout=30)
    assert len(events_of(redis_client, HOSTILE)) == 10
    assert times.count(1) == 1


@pytest.mark.slow
def test_what_waits_is_not_taken_over_and_no_delivery_of_it_is_counted(
    redis_client: Any, start: Start, wait_until: Callable[..., Any]
) -> None:
    for i in range(4):
        push(redis_client, HOSTILE, f"bomb-{i}", HANGS)
    first = start(timeout=20, takeover=TAKEOVER)
    wait_until(lambda: first.intake.slow.waiting("hostile") == 4)
    before = first.intake.slow._kept_at
    wait_until(lambda: first.intake.slow._kept_at != before)  # to read them may have taken longer than that
    start("second", timeout=20, takeover=TAKEOVER)
    kept: list[float] = []

    def kept_for_long() -> bool:
        if first.intake.slow._kept_at not in kept:
            kept.append(first.intake.slow._kept_at)
        return kept[-1] - kept[0] > 3 * TAKEOVER

    wait_until(kept_for_long, timeout=20)
    pending = redis_client.xpending_range(HOSTILE.intake, INTAKE_GROUP, "-", "+", 10)
    assert {(one["consumer"], one["times_delivered"]) for one in pending} == {(b"first", 1)}
    assert len(pending) == 4


@pytest.mark.slow
def test_a_dispatcher_that_stops_gives_up_an_open_pdf_and_leaves_its_entry_to_another(
    redis_client: Any, start: Start, wait_until: Callable[..., Any]
) -> None:
    push(redis_client, HOSTILE, "bomb", HANGS)
    first = start(timeout=60)
    wait_until(lambda: first.intake.slow._reader._taken)
    first.stop()
    assert redis_client.xpending(HOSTILE.intake, INTAKE_GROUP)["pending"] == 1
    assert events_of(redis_client, HOSTILE) == []
    start("second", timeout=0.5, takeover=0.1)
    wait_until(lambda: events_of(redis_client, HOSTILE) == [("fax.rejected", "bomb", "bad_document")])


@pytest.mark.slow
def test_where_no_pdf_can_be_opened_the_others_go_on_and_no_fax_is_blamed(
    redis_client: redis.Redis, start: Start, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_process, "_interpreter", lambda: "/bin/false")
    monkeypatch.setattr(slow_documents, "AGAIN", 0.05)
    push(redis_client, GOOD, "letter", plain_pdf())
    push(redis_client, GOOD, "by-url")
    loops = Loops()
    start(loops=loops)
    wait_until(lambda: jobs(redis_client, GOOD) == ["by-url"])
    wait_until(lambda: loops.checks()["documents"] == "fails")
    assert events_of(redis_client, GOOD) == [("fax.queued", "by-url", "")]
    monkeypatch.undo()
    wait_until(lambda: set(jobs(redis_client, GOOD)) == {"by-url", "letter"})
    wait_until(lambda: loops.checks()["documents"] is True)


def test_a_cancellation_waits_for_the_fax_before_it_whose_pdf_takes_long(
    redis_client: redis.Redis, start: Start, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_documents, "QUICK", 0.000_001)  # every PDF is slow
    push(redis_client, GOOD, "letter", plain_pdf())
    redis_client.xadd(GOOD.intake, {"cancel": '{"id":"letter"}'})
    start()
    wait_until(lambda: redis_client.xlen(GOOD.intake) == 0)
    assert [event for event, _, _ in events_of(redis_client, GOOD)] == ["fax.queued", "fax.canceled"]


def test_of_an_account_with_too_many_entries_that_wait_no_others_are_read(
    redis_client: Any, start: Start, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(slow_documents, "MOST", 3)
    for i in range(4):
        push(redis_client, HOSTILE, f"bomb-{i}", HANGS)
    dispatcher = start(timeout=60)
    wait_until(lambda: dispatcher.intake.slow.full("hostile"))
    push(redis_client, HOSTILE, "more")
    push(redis_client, GOOD, "letter", plain_pdf())
    wait_until(lambda: jobs(redis_client, GOOD) == ["letter"])
    assert jobs(redis_client, HOSTILE) == []
    (group,) = redis_client.xinfo_groups(HOSTILE.intake)
    assert group["lag"] == 1


def test_the_pdfs_of_one_entry_have_its_time_together(
    redis_client: redis.Redis, start: Start, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds: list[float] = []
    count = PdfReader.count

    def counted(self: PdfReader, data: bytes, timeout: float | None = None) -> Any:
        seconds.append(timeout or 0)
        return count(self, data, timeout)

    monkeypatch.setattr(slow_documents, "QUICK", 0.05)
    monkeypatch.setattr(PdfReader, "count", counted)
    slow = page_tree(17)  # takes more than that, and ends
    push(redis_client, GOOD, "letter", plain_pdf(), slow, plain_pdf())
    start(timeout=5)
    wait_until(lambda: redis_client.xlen(GOOD.intake) == 0)
    full = [each for each in seconds if each > 0.05]
    assert full == sorted(full, reverse=True)
    assert len(full) >= 2


def test_an_entry_whose_redis_was_away_waits_again(
    redis_client: redis.Redis, start: Start, wait_until: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter([redis.ConnectionError("gone"), redis.ConnectionError("gone")])
    claim = PendingEntries.claim

    def claimed(*args: Any, **more: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return claim(*args, **more)

    monkeypatch.setattr(slow_documents, "QUICK", 0.000_001)
    monkeypatch.setattr(PendingEntries, "claim", claimed)
    push(redis_client, GOOD, "letter", plain_pdf())
    start()
    wait_until(lambda: jobs(redis_client, GOOD) == ["letter"])


def test_entries_of_an_account_that_is_served_no_more_wait_no_more(registry: Any) -> None:
    client: Any = Mock(xrange=Mock(return_value=[]))
    slow = SlowDocuments(
        *(client, partial(PdfReader, children=1)),
        *(dispatcher_metrics(registry, accounts=ACCOUNTS), structlog.get_logger("test")),
        consumer="test",
        every=1.0,
    )

    def take(account: str, _: object) -> None:
        taken.append(account)
        if account == "hostile":  # it goes while its first entry is taken
            slow.follow(["good"])
            raise KeyError(account)

    taken: list[str] = []
    try:
        for entry in ("1-1", "1-2"):
            slow.put("hostile", entry)
        slow.put("good", "1-3")
        with pytest.raises(KeyError):
            slow.work(take)
        assert (slow.waiting("hostile"), slow.waiting("good")) == (0, 1)
        assert slow.work(take)
        assert not slow._held
        assert not slow._untried
        assert not slow._tried
    finally:
        slow.close()
    assert taken == ["hostile", "good"]


def test_an_account_may_take_a_share_of_the_time_and_what_it_saved_up() -> None:
    now = 0.0
    share = TimeShare(lambda: now)
    for _ in range(10_000):
        share.take(0.001)  # ordinary PDFs cost nothing
    assert not share.used_up()
    share.take(SAVED)
    assert not share.used_up()
    share.take(SAVED)
    assert share.used_up()
    for _ in range(100):
        share.take(5)
    now = OWED / SHARE - 1
    assert share.used_up()
    now += 2
    assert not share.used_up()


def test_the_child_that_a_pdf_ended_is_replaced_in_the_time_of_its_own_account(
    monkeypatch: pytest.MonkeyPatch, registry: Any
) -> None:
    now, begin = [0.0], pdf_process._start

    def started(*given: Any) -> Any:
        now[0] += 1.0
        return begin(*given)

    monkeypatch.setattr(pdf_process, "_start", started)
    slow = SlowDocuments(
        *(Mock(), partial(PdfReader, children=1)),
        *(dispatcher_metrics(registry, accounts=ACCOUNTS), structlog.get_logger("test")),
        consumer="test",
        every=1.0,
        clock=lambda: now[0],
    )
    try:
        with pytest.raises(OpenLater):
            slow.quick("hostile").count(HANGS)
        paid = now[0]
        for pages in (1, 2):
            assert slow.quick("good").count(plain_pdf(pages)).pages == pages
    finally:
        slow.close()
    assert now[0] == paid
