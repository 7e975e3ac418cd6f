"""`faxline.testing` beyond what holds of every line: what a test says becomes of its faxes."""

import asyncio
from pathlib import Path
from unittest.mock import Mock

import pytest

from faxline import (
    EventName,
    Fax,
    FaxLine,
    JobNotFound,
    JobRejected,
    JobState,
    KeyMissing,
    NotSettled,
    Rejection,
    WaitTimeout,
)
from faxline.contract.sealing.keyring import new_key
from faxline.testing import AsyncMemoryLine, MemoryLine

TO = "+12345678901"
URL = "https://example.com/a.pdf"


def test_every_fax_is_delivered_at_once_unless_the_test_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Hello")
    line = MemoryLine()
    assert isinstance(line, FaxLine)
    line.send(to=TO, files=[tmp_path / "letter.txt"], id="a")
    assert line.job("a").state is JobState.DELIVERED
    events = [event.name for event in line.events(after="0", timeout=0)]
    assert events == []  # the time is over
    events = [event.name for event in line.events(after="0", timeout=0.01)]
    assert events == [EventName.QUEUED, EventName.SUBMITTED, EventName.DELIVERED]


def test_two_lines_share_nothing() -> None:
    first, second = MemoryLine(), MemoryLine()
    first.send(to=TO, files=[URL], id="a")
    with pytest.raises(JobNotFound):
        second.job("a")


def test_the_test_sees_what_was_pushed() -> None:
    line = MemoryLine()
    line.send(to=TO, files=[URL], id="a", subject="Hello")
    line.cancel("a")
    (sent, content), (canceled, job) = line.entries
    assert (sent, content["fax"]["subject"], canceled, job) == ("send", "Hello", "cancel", {"id": "a"})


def test_a_fax_becomes_what_the_test_says() -> None:
    line = MemoryLine(deliver=False)
    for name in "abcde":
        line.send(to=TO, files=[URL], id=name)
    line.deliver("a", pages=3, transferred=2)
    line.fail("b", reason="busy", code=17, message="User busy")
    line.submit("c")
    line.unconfirm("c")
    line.doubt("d")
    states = {name: line.job(name).state for name in "abcde"}
    assert states == {"a": "delivered", "b": "failed", "c": "unconfirmed", "d": "in_doubt", "e": "queued"}
    partial, failed = line.job("a"), line.job("b")
    assert (partial.pages, partial.transferred, partial.partial) == (3, 2, True)
    assert (failed.reason, failed.code, failed.message) == ("busy", 17, "User busy")
    line.deliver("c")  # the receipt came late
    line.fail("d")
    assert [line.job(name).state for name in "cd"] == [JobState.DELIVERED, JobState.FAILED]


@pytest.mark.parametrize(("reason", "how"), [("expired", "expires_at"), ("operator", "resolve")])
def test_a_fax_does_not_fail_by_a_receipt_for_a_reason_that_is_not_of_ifax(reason: str, how: str) -> None:
    line = MemoryLine(deliver=False)
    line.send(to=TO, files=[URL], id="a")
    with pytest.raises(ValueError, match=how):
        line.fail("a", reason=reason)
    assert line.job("a").state is JobState.QUEUED


def test_a_push_is_rejected_for_what_only_the_daemon_knows_and_the_next_one_is_not() -> None:
    line = MemoryLine()
    events = line.events(timeout=1)
    line.reject("a", reason="backlog_full", message="the backlog is full")
    job = line.send(to=TO, files=[URL], id="a")
    with pytest.raises(JobRejected, match="the backlog is full") as caught:
        line.wait(job, timeout=1)
    assert caught.value.reason is Rejection.BACKLOG_FULL
    rejected = next(events)
    assert (rejected.name, rejected.job, rejected.data["entry"]) == ("fax.rejected", "a", job.entry)
    assert line.wait(line.send(to=TO, files=[URL], id="a"), timeout=1).state is JobState.DELIVERED
    with pytest.raises(ValueError, match="but for not_json, "):
        line.reject("a", reason="dislike")


def test_all_of_a_group_can_be_moved_together() -> None:
    line = MemoryLine(deliver=False)
    mailing = line.send_many([Fax(to=TO, files=[URL])] * 3, group="june")
    line.fail("june.2")
    line.deliver("june")
    ended = line.wait(mailing, timeout=1)
    assert ended.counts == {JobState.DELIVERED: 2, JobState.FAILED: 1}


def test_what_cannot_become_of_a_job_is_told() -> None:
    line = MemoryLine()
    with pytest.raises(JobNotFound, match="no job 'a' on account 'default'"):
        line.deliver("a")
    line.send(to=TO, files=[URL], id="a")
    with pytest.raises(ValueError, match=r"job 'a' is delivered.*MemoryLine\(deliver=False\)"):
        line.fail("a")


def test_a_pause_holds_what_would_be_delivered_at_once() -> None:
    line = MemoryLine()
    line.pause(by="me@here")
    line.send(to=TO, files=[URL], id="a")
    assert line.job("a").state is JobState.QUEUED
    line.resume(by="me@here")
    assert line.job("a").state is JobState.DELIVERED


def test_urgent_faxes_go_first() -> None:
    line = MemoryLine(deliver=False)
    for priority in ("bulk", "normal", "urgent"):
        line.send(to=TO, files=[URL], id=priority, priority=priority)
    assert [job.id for job in line.jobs()] == ["urgent", "normal", "bulk"]
    forecast = line.job("bulk").forecast
    assert forecast is not None
    assert forecast.place == 2


def test_an_asyncio_line_is_moved_by_calls_that_are_not_awaited() -> None:
    async def main() -> None:
        async with AsyncMemoryLine(deliver=False) as line:
            waits = [asyncio.create_task(line.wait(name, timeout=20)) for name in ("a", "b")]
            for name in ("a", "b"):
                await line.send(to=TO, files=[URL], id=name)
            line.deliver("a")
            line.fail("b", reason="busy")
            assert [job.state for job in await asyncio.gather(*waits)] == ["delivered", "failed"]

    asyncio.run(main())


def test_an_asyncio_line_goes_on_after_a_wait_that_was_canceled() -> None:
    async def main() -> None:
        async with AsyncMemoryLine(deliver=False) as line:
            await line.send(to=TO, files=[URL], id="a")
            waiting = asyncio.create_task(line.wait("a", timeout=20))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            line.deliver("a")
            assert (await line.wait("a", timeout=20)).state is JobState.DELIVERED

    asyncio.run(main())


def test_an_asyncio_line_may_be_used_on_one_loop_after_another() -> None:
    line = AsyncMemoryLine()
    asyncio.run(line.send(to=TO, files=[URL], id="a"))
    assert asyncio.run(line.job("a")).state is JobState.DELIVERED


def commands_of(line: MemoryLine | AsyncMemoryLine, monkeypatch: pytest.MonkeyPatch) -> Mock:
    """Is called once for each command."""
    counted = Mock(wraps=line._daemon.before)
    monkeypatch.setattr(line._daemon, "before", counted)
    return counted


def test_a_wait_sleeps_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    line = MemoryLine(deliver=False)
    line.send(to=TO, files=[URL], id="a")
    commands = commands_of(line, monkeypatch)
    with pytest.raises(WaitTimeout):
        line.wait("a", timeout=0.3)
    assert commands.call_count < 20


def test_a_wait_on_an_event_loop_sleeps_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        line = AsyncMemoryLine(deliver=False)
        await line.send(to=TO, files=[URL], id="a")
        commands = commands_of(line, monkeypatch)
        with pytest.raises(WaitTimeout):
            await line.wait("a", timeout=0.3)
        assert commands.call_count < 20

    asyncio.run(main())


def test_an_entry_sealed_by_an_unknown_key_is_told_to_who_pushes_it_and_the_line_goes_on() -> None:
    line, other = MemoryLine(), MemoryLine(keys=new_key("other"))
    sealed = other._context.seals.entry("send", {"id": "a"}, "{}")
    with pytest.raises(KeyMissing):
        line._client.xadd(line.keys.intake, {"send": sealed})
    assert line.wait(line.send(to=TO, files=[URL]), timeout=10).state is JobState.DELIVERED


def test_an_operators_orders_are_answered_as_a_dispatcher_answers_them() -> None:
    line = MemoryLine(deliver=False)
    line.send(to=TO, files=[URL], id="a")
    assert line.reveal(["a"], by="me") == {"a": TO}
    line.doubt("a")
    with pytest.raises(NotSettled, match="attempt 1 is in doubt, not the one named"):
        line.resolve("a", resend=True, attempt=7, by="me")
    assert line.resolve("a", resend=True, attempt=1, by="me").state is JobState.QUEUED
