"""What holds of every kind of line: the two on a real server beside a dispatcher, and the two in memory."""

import inspect
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, get_args, get_origin

import pypdfium2
import pytest

from faxline import (
    AsyncFaxLine,
    EntryNotFound,
    EntryRejected,
    EventsMissed,
    Fax,
    FaxesRejected,
    FaxLine,
    Group,
    GroupNotFound,
    Hold,
    JobIdTaken,
    JobNotFound,
    JobRejected,
    JobState,
    NotInDoubt,
    Selection,
    WaitTimeout,
)
from faxline.reading import consumer_groups
from faxline.testing import AsyncMemoryLine, MemoryLine
from tests.stage.lines import KINDS, World

TO, OTHER = "+12345678901", "+12345678902"
URL = "https://example.com/a.pdf"


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, redis_url: str, wait_until: Callable[..., Any]) -> Iterator[World]:
    with KINDS[request.param](redis_url, wait_until) as made:
        yield made


def names(world: World, job: str) -> list[str]:
    return [event.name for event in world.line.events(after="0", timeout=0.05) if event.job == job]


def public(cls: type) -> dict[str, inspect.Signature]:
    methods = inspect.getmembers(cls, inspect.isfunction)
    return {name: inspect.signature(method) for name, method in methods if not name.startswith("_")}


def test_the_public_methods_take_the_same_arguments() -> None:
    line = public(FaxLine)
    assert set(line) == set(public(AsyncFaxLine))
    for name, signature in public(AsyncFaxLine).items():
        assert signature.parameters == line[name].parameters, name
        twin, own = line[name].return_annotation, signature.return_annotation
        if name == "find":
            assert (get_origin(twin), get_origin(own)) == (Iterator, AsyncIterator), name
            assert get_args(twin) == get_args(own), name
        elif name != "events":
            assert own == twin, name
            assert inspect.iscoroutinefunction(getattr(AsyncFaxLine, name)), name
    for kind, twin in ((MemoryLine, FaxLine), (AsyncMemoryLine, AsyncFaxLine)):
        assert {name: public(kind)[name] for name in line} == public(twin)


def test_every_method_is_told_in_the_twin_too() -> None:
    for name in public(FaxLine):
        assert inspect.getdoc(getattr(AsyncFaxLine, name)), name
    assert inspect.getdoc(AsyncFaxLine.resolve) == inspect.getdoc(FaxLine.resolve)


def test_a_fax_goes_from_the_push_to_its_end(world: World) -> None:
    pushed = world.line.send(
        to=TO, files=[URL], id="a", priority="urgent", metadata={"order": 7}, subject="Hello"
    )
    assert (pushed.id, pushed.state, pushed.priority, pushed.group) == ("a", JobState.INTAKE, "urgent", None)
    world.registered("a")
    queued = world.line.job("a")
    assert (queued.state, queued.priority, queued.to, queued.attempt) == ("queued", "urgent", "…8901", 0)
    assert (queued.forecast.hold, queued.forecast.place) == (Hold.NOTHING, 0)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(world.line.wait, pushed, 30)
        world.outcomes.deliver("a")
        ended = waiting.result()
    assert (ended.state, ended.pages, ended.transferred, ended.attempt) == (JobState.DELIVERED, 1, 1, 1)
    assert (ended.metadata, ended.code, ended.partial) == ({"order": 7}, 0, False)
    assert [step.event for step in ended.history] == ["fax.queued", "fax.submitted", "fax.delivered"]
    assert [step.state for step in ended.history] == ["queued", "submitted", "delivered"]
    assert names(world, "a") == ["fax.queued", "fax.submitted", "fax.delivered"]


def test_an_event_tells_state_attempt_jobid_and_metadata(world: World) -> None:
    world.line.send(to=TO, files=[URL], id="a", metadata={"order": 7})
    world.outcomes.fail("a", reason="busy", code=17)
    events = {event.name: event.data for event in world.line.events(after="0", timeout=0.5)}
    assert events["fax.queued"] == {"state": "queued", "attempt": 0, "metadata": {"order": 7}}
    submitted = events["fax.submitted"]
    assert isinstance(submitted["jobId"], int)
    assert submitted == {
        "state": "submitted",
        "attempt": 1,
        "jobId": submitted["jobId"],
        "metadata": {"order": 7},
    }
    assert events["fax.failed"] == submitted | {
        "state": "failed",
        "code": 17,
        "reason": "busy",
        "pages": 1,
        "transferred": 0,
        "stage": "delivery",
        "delivery": 1,
        "attempts": 5,
        "stopped_by": "cause",
    }


@pytest.mark.parametrize("paused", [False, True])
def test_a_fax_that_expired_before_it_was_pushed_fails(world: World, *, paused: bool) -> None:
    if paused:
        world.line.pause(by="me@here")
    job = world.line.send(to=TO, files=[URL], expires_at="2001-01-01T00:00:00Z")
    ended = world.line.wait(job, 30)
    assert (ended.state, ended.reason, ended.attempt) == (JobState.FAILED, "expired", 0)
    assert names(world, job.id) == ["fax.queued", "fax.failed"]


def test_a_failure_tells_its_reason_and_code(world: World) -> None:
    job = world.line.send(to=TO, files=[URL])
    world.outcomes.fail(job.id, reason="busy", code=17)
    ended = world.line.wait(job, 30)
    assert (ended.state, ended.reason, ended.code) == (JobState.FAILED, "busy", 17)


def test_files_are_checked_and_their_pages_counted(world: World, tmp_path: Path) -> None:
    document = pypdfium2.PdfDocument.new()
    for _ in range(201):
        document.new_page(595, 842)
    document.save(tmp_path / "long.pdf")
    document.close()
    for files, reason in (
        ([tmp_path / "long.pdf"], "too_many_pages"),
        ([("a.pdf", b"no pdf")], "bad_document"),
        ([], "no_files"),
    ):
        with pytest.raises(EntryRejected) as caught:
            world.line.send(to=TO, files=files)
        assert caught.value.reason == reason
    with pytest.raises(EntryRejected, match=r"fax\.faxNumber"):
        world.line.send(to="12345", files=[URL])
    with pytest.raises(EntryRejected, match=r"fax\.colour"):
        world.line.send(to=TO, files=[URL], colour="red")
    with pytest.raises(FileNotFoundError):
        world.line.send(to=TO, files=[tmp_path / "none.pdf"])
    assert list(world.line.events(after="0", timeout=0.05)) == []
    with pytest.raises(EntryRejected, match=r"fax\.faxData\[0\]\.pages: page 3 is selected"):
        world.line.send(to=TO, files=[Selection(file=("a.txt", b"Hello"), pages=["1", "2-3"])])
    world.line.send(to=TO, files=[Selection(file=("a.txt", b"Hello"), pages=["1"])], id="a")
    world.registered("a")


def test_a_job_or_group_that_is_not_there_is_told(world: World) -> None:
    with pytest.raises(JobNotFound, match="no job 'a' on account 'default'"):
        world.line.job("a")
    with pytest.raises(GroupNotFound, match="no group 'a' on account 'default'"):
        world.line.group("a")
    with pytest.raises(
        WaitTimeout, match=r"^job 'a' did not end within 0\.01 s: intake has taken no such job"
    ):
        world.line.wait("a", 0.01)


def test_a_queued_job_can_be_canceled_and_a_submitted_one_cannot(world: World) -> None:
    for name in ("a", "b"):
        world.line.send(to=TO, files=[URL], id=name)
    world.outcomes.submit("b")
    events = world.line.events(timeout=30)
    world.line.cancel("a")
    canceled = next(events)
    world.line.cancel("b")
    refused = next(events)
    world.line.cancel("c")
    unknown = next(events)
    assert (canceled.name, canceled.job, canceled.data["reason"]) == (
        *("fax.canceled", "a", "canceled_before_sending"),
    )
    assert (refused.name, refused.data["state"], refused.data["reason"]) == (
        *("fax.cancel_refused", "submitted", "submitted"),
    )
    assert (unknown.name, unknown.data["reason"]) == ("fax.cancel_refused", "unknown_job")
    ended = world.line.wait("a", 30)
    assert (ended.state, ended.reason) == (JobState.CANCELED, "canceled_before_sending")


def test_a_submitted_fax_that_ifax_keeps_for_a_date_can_be_canceled(world: World) -> None:
    world.line.send(to=TO, files=[URL], id="a", send_at="2099-01-01T00:00:00Z")
    world.outcomes.submit("a")
    world.line.cancel("a")
    world.canceled_at_ifax("a")
    ended = world.line.wait("a", 30)
    assert (ended.state, ended.reason) == (JobState.CANCELED, "canceled_at_ifax")
    assert names(world, "a") == ["fax.queued", "fax.submitted", "fax.canceled"]


def test_a_job_is_sent_again_as_one_of_its_own(world: World) -> None:
    world.line.send(to=TO, files=[URL], id="a")
    world.outcomes.deliver("a")
    again = world.line.resend("a", to=OTHER, id="b", metadata={"x": 1})
    world.outcomes.deliver("b")
    ended = world.line.wait(again, 30)
    assert (ended.kind, ended.of, ended.to, ended.metadata) == ("resend", "a", "…8902", {"x": 1})
    with pytest.raises(JobRejected) as caught:
        world.line.wait(world.line.resend("nobody", id="c"), 30)
    assert (caught.value.member, caught.value.reason) == ("of", "unknown_job")


def test_an_id_is_ignored_with_the_same_content_and_rejected_with_other(world: World) -> None:
    world.line.send(to=TO, files=[URL], id="a")
    world.outcomes.deliver("a")
    assert world.line.wait(world.line.send(to=TO, files=[URL], id="a"), 30).state is JobState.DELIVERED
    assert names(world, "a") == ["fax.queued", "fax.submitted", "fax.delivered"]
    with pytest.raises(JobRejected) as caught:  # and not the older job's end
        world.line.wait(world.line.send(to=OTHER, files=[URL], id="a"), 30)
    assert (caught.value.member, caught.value.reason) == ("id", "id_reused")
    assert world.line.wait("a", 30).state is JobState.DELIVERED


def test_a_list_of_numbers_is_a_group(world: World) -> None:
    pushed = world.line.send(to=[TO, OTHER, TO], files=[URL], id="a")
    assert (pushed.group, pushed.size) == ("a", 3)
    world.registered("a.1", "a.2", "a.3")
    world.outcomes.deliver("a.1")
    group = world.line.group("a")
    assert (group.name, group.account, group.total, group.ended, group.final) == ("a", "default", 3, 1, False)
    assert group.counts == {JobState.QUEUED: 2, JobState.DELIVERED: 1}
    assert [(job.id, job.to, job.group) for job in group.jobs] == [
        *(("a.1", "…8901", "a"), ("a.2", "…8902", "a"), ("a.3", "…8901", "a")),
    ]
    with pytest.raises(JobNotFound, match=r"no job 'a' .* but a group has this name: group\(\) shows it"):
        world.line.job("a")
    with pytest.raises(WaitTimeout, match=r"2 of 3 jobs of group 'a' did not end within 0\.05 s"):
        world.line.wait("a", 0.05)
    seen: list[tuple[int, int]] = []
    with ThreadPoolExecutor() as pool:
        waits = [
            pool.submit(world.line.wait, pushed, 30, progress=lambda *counts: seen.append(counts)),
            pool.submit(world.line.wait, "a", 30),
            pool.submit(world.line.wait, group, 30),
        ]
        world.outcomes.fail("a.2", reason="busy", code=17)
        world.outcomes.deliver("a.3")
        ends = [wait.result() for wait in waits]
    for end in ends:
        assert isinstance(end, Group)
        assert (end.state, end.final, end.delivered, end.pages, end.transferred) == (
            *(JobState.FAILED, True, 2, 3, 2),
        )
        assert [(job.id, job.reason, job.code) for job in end.failed] == [("a.2", "busy", 17)]
    assert seen[0] in {(1, 3), (2, 3), (3, 3)}
    assert seen[-1] == (3, 3)
    assert seen == sorted(seen)


def test_a_rejected_list_of_numbers_ends_the_wait(world: World) -> None:
    world.line.send(to=TO, files=[URL], id="a.2")
    world.registered("a.2")
    with pytest.raises(JobRejected, match="other content"):
        world.line.wait(world.line.send(to=[TO, OTHER], files=[URL], id="a"), 30)


def test_many_faxes_are_pushed_and_waited_for_together(world: World, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Hello")
    world.line.send(to=TO, files=[URL], id="june.2")
    world.registered("june.2")
    faxes = [Fax(to=TO, files=[tmp_path / "a.txt"], metadata={"n": i}) for i in range(4)]
    seen: list[tuple[int, int]] = []
    mailing = world.line.send_many(faxes, group="june", progress=lambda *counts: seen.append(counts))
    assert [job.id for job in mailing.jobs] == ["june.1", "june.2", "june.3", "june.4"]
    assert {job.group for job in mailing.jobs} == {"june"}
    assert seen == [(4, 4)]
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(world.line.wait, mailing, 30)
        for name in ("june.1", "june.3"):
            world.outcomes.deliver(name)
        world.outcomes.fail("june.4", reason="busy", code=17)
        ended = waiting.result()
    assert (ended.name, ended.total, ended.delivered, ended.state) == ("june", 4, 2, JobState.FAILED)
    assert {name: error.reason for name, error in ended.rejected.items()} == {"june.2": "id_reused"}
    assert Counter(job.state for job in ended.jobs) == {JobState.DELIVERED: 2, JobState.FAILED: 1}
    found = world.line.group("june")
    assert (found.pushed, found.total, found.rejected.keys()) == (4, 4, {"june.2"})
    again = world.line.wait(world.line.send_many(faxes, group="june"), 30)
    assert (again.counts, set(again.rejected)) == (ended.counts, {"june.2"})
    assert names(world, "june.1").count("fax.queued") == 1


def test_of_many_faxes_none_is_pushed_if_some_break_a_rule(world: World) -> None:
    faxes = [
        Fax(to=TO, files=[URL], id="a"),
        Fax(to="1", files=[URL], id="b"),
        Fax(to=TO, files=[URL], id="a"),
        Fax(to=TO, files=["/nowhere/a.pdf"], id="c"),
    ]
    with pytest.raises(FaxesRejected) as caught:
        world.line.send_many(faxes)
    assert [(fax.index, fax.id, fax.error.reason) for fax in caught.value.rejected] == [
        (1, "b", "bad_number"),
        (2, "a", "id_reused"),
        (3, "c", "bad_document"),
    ]
    assert "a is also the id of fax 0 (this is fax 2)" in str(caught.value)
    assert "cannot read /nowhere/a.pdf: No such file or directory" in str(caught.value)
    assert list(world.line.events(after="0", timeout=0.05)) == []
    mailing = world.line.send_many(faxes, skip_rejected=True)
    assert [job.id for job in mailing.jobs] == ["a"]
    assert [(fax.index, fax.id) for fax in mailing.rejected] == [(1, "b"), (2, "a"), (3, "c")]
    world.registered("a")


def test_a_groups_reader_gets_what_it_did_not_finish_again(world: World) -> None:
    for name in ("a", "b"):
        world.line.send(to=TO, files=[URL], id=name)
    world.registered("a", "b")
    events = world.line.events(group="billing", timeout=30)
    assert [next(events).job, next(events).job] == ["a", "b"]  # asking for b finished a
    events.close()
    assert [event.job for event in world.line.events(group="billing", timeout=0.1)] == ["b"]
    assert [event.job for event in world.line.events(group="billing", timeout=0.1)] == []
    assert [event.job for event in world.line.events(group="other", timeout=0.1)] == ["a", "b"]


def queued(world: World, count: int, group: str = "many") -> list[str]:
    """So many jobs, each with its first event."""
    mailing = world.line.send_many([Fax(to=TO, files=[URL]) for _ in range(count)], group=group)
    jobs = [job.id for job in mailing.jobs]
    world.registered(*jobs)
    return jobs


def test_readers_of_a_group_that_name_nobody_share_its_events_and_a_slow_one_keeps_few(world: World) -> None:
    jobs = queued(world, 60)
    slow = world.line.events(group="billing", timeout=30)
    first = next(slow)
    other = world.line.events(group="billing", timeout=30)
    others = [event.job for event in islice(other, 50)]
    rest = [event.job for event in islice(slow, 9)]
    assert sorted([first.job, *rest, *others]) == sorted(jobs)
    other.close()
    slow.close()


def test_what_a_reader_that_died_had_not_finished_goes_to_another(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer_groups, "LOOK", 0.1)
    jobs = queued(world, 12)
    dead = world.line.events(group="billing", timeout=30)
    assert next(dead).job == jobs[0]
    living = world.line.events(group="billing", claim_after=0.01, timeout=30)
    seen = [next(living).job for _ in jobs]
    assert sorted(seen) == sorted(jobs)
    living.close()
    assert [event.job for event in world.line.events(group="billing", timeout=0.1)] == seen[-1:]
    dead.close()  # after all it lives: what others have finished is not given back
    assert [event.job for event in world.line.events(group="billing", timeout=0.1)] == []


@pytest.mark.parametrize("group", ["billing", None])
def test_events_that_were_dropped_before_they_were_read_are_told_and_reading_goes_on(
    world: World, group: str | None
) -> None:
    def follow(after: str) -> Any:
        return world.line.events(after=after, group=group, timeout=30)

    queued(world, 1)
    events = follow("0")
    seen = next(events)
    events.close()
    if group:
        assert list(world.line.events(group=group, timeout=0.1)) == [seen]
    *_, one, two = queued(world, 5, "later")
    world.outcomes.drop_events(2)
    events = follow(seen.id)
    with pytest.raises(EventsMissed, match="look up the jobs") as caught:
        next(events)
    first, second = next(events), next(events)
    assert (first.job, second.job) == (one, two)
    assert (caught.value.since, caught.value.until) == (seen.id, first.id)
    if group is None:
        assert next(follow(first.id)).job == two  # nothing is missed behind it


@pytest.mark.parametrize("group", ["billing", None])
def test_who_began_before_the_first_event_is_told_which_were_dropped(world: World, group: str | None) -> None:
    events = world.line.events(group=group, timeout=30)
    *_, newest = queued(world, 4)
    world.outcomes.drop_events(1)
    later = world.line.events(group="later", timeout=30)
    kept = world.line.events(after="0", timeout=30)
    with pytest.raises(EventsMissed) as caught:
        next(events)
    event = next(events)
    assert (event.job, caught.value.until) == (newest, event.id)
    assert next(later).id == next(kept).id == event.id  # these begin with what there is
    for each in (events, later, kept):
        each.close()


@pytest.mark.parametrize("group", ["billing", None])
def test_who_began_on_a_stream_that_was_emptied_misses_nothing_of_it(world: World, group: str | None) -> None:
    queued(world, 2)
    world.outcomes.drop_events(0)
    events = world.line.events(group=group, timeout=30)
    jobs = queued(world, 2, "later")
    assert [next(events).job, next(events).job] == jobs
    events.close()


def test_events_that_a_reader_had_not_finished_and_that_were_dropped_are_told(world: World) -> None:
    jobs = queued(world, 4)
    events = world.line.events(group="billing", timeout=30)
    assert [next(events).job, next(events).job] == jobs[:2]
    events.close()  # the second and those behind it are given back
    world.outcomes.drop_events(1)
    events = world.line.events(group="billing", timeout=30)
    with pytest.raises(EventsMissed):
        next(events)
    assert next(events).job == jobs[3]
    events.close()


def test_events_are_followed_from_the_call_on_or_after_an_id(world: World) -> None:
    world.line.send(to=TO, files=[URL], id="a")
    world.registered("a")
    events = world.line.events(timeout=30)
    world.line.send(to=TO, files=[URL], id="b")
    assert next(events).job == "b"
    first = next(world.line.events(after="0", timeout=30))
    assert (first.job, first.name) == ("a", "fax.queued")
    assert next(world.line.events(after=first.id, timeout=30)).job == "b"


def test_a_paused_account_holds_its_jobs_until_it_is_resumed(world: World) -> None:
    world.line.send(to=TO, files=[URL], id="a")
    world.registered("a")
    assert world.line.pause(by="me@here", timeout=30).paused == "operator"
    assert world.line.job("a").forecast.hold is Hold.PAUSED
    assert world.line.resume(by="me@here", timeout=30).paused == ""
    state = world.line.account_state()
    assert (state.name, state.known, state.jobs["queued"]) == ("default", True, 1)
    assert world.line.accounts() == ["default"]
    assert "dispatchers" in {check.name for check in world.line.checks()}


def test_a_doubt_is_settled_by_an_operators_word(world: World) -> None:
    for name in ("a", "b", "c"):
        world.line.send(to=TO, files=[URL], id=name)
        world.outcomes.doubt(name)
    assert [job.id for job in world.line.jobs(state="in_doubt")] == ["a", "b", "c"]
    accepted = world.line.resolve("a", accepted=77, by="me@here", timeout=30)
    assert (accepted.state, accepted.job_id) == (JobState.SUBMITTED, 77)
    with pytest.raises(JobIdTaken, match="'a'"):
        world.line.resolve("b", accepted=77, by="me@here", timeout=30)
    assert world.line.resolve("b", resend=True, by="me@here", timeout=30).state is JobState.QUEUED
    assert world.line.resolve("c", fail=True, by="me@here", timeout=30).state is JobState.FAILED
    with pytest.raises(NotInDoubt, match="failed"):
        world.line.resolve("c", fail=True, by="me@here", timeout=30)
    with pytest.raises(JobNotFound):
        world.line.resolve("d", fail=True, by="me@here", timeout=30)
    with pytest.raises(ValueError, match="one of accepted, resend and fail"):
        world.line.resolve("b", by="me@here")
    assert names(world, "b") == ["fax.queued", "fax.in_doubt", "fax.retrying"]
    assert [(job.id, job.state) for job in world.line.jobs()] == [
        *(("a", JobState.SUBMITTED), ("b", JobState.QUEUED)),
    ]


def test_nothing_was_set_aside(world: World) -> None:
    assert world.line.dead() == []
    with pytest.raises(EntryNotFound):
        world.line.redrive("1-0", by="me@here", timeout=30)


def test_an_entry_made_elsewhere_is_checked_in_its_form(world: World) -> None:
    fax = {"faxNumber": TO, "faxData": [{"fileName": "a.pdf", "fileUrl": URL}]}
    world.line.push("send", {"id": "a", "fax": fax})
    world.registered("a")
    with pytest.raises(EntryRejected, match="fax"):
        world.line.push("send", {"id": "a"})
