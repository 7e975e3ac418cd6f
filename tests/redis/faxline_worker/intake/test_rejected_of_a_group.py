"""What a group knows of its size and of what was rejected: in intake, the library and the command."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from faxline import Fax, FaxLine, GroupNotFound, JobState, Rejection, WaitTimeout
from faxline.cli.running import run
from faxline.contract.redis_keys import RedisKeys
from faxline.testing import MemoryLine
from faxline_worker.state.store import Store
from tests.stage.daemon import make_intake, usual_settings
from tests.stage.intake import create_group, read_intake
from tests.stage.scene import Scene

TO, BAD = "+12025550123", "+1202555"
URL = "https://example.com/a.pdf"
KEYS = RedisKeys("default")


Take = Callable[..., int]


@pytest.fixture
def take(redis_client: redis.Redis) -> Take:
    """Have intake take so many entries, or all of them, under a ceiling of 20 jobs: how many there were."""
    client: Any = redis_client
    settings = usual_settings(CEILINGS__JOBS="20")
    store = Store(client, settings, "default")
    create_group(store)
    intake = make_intake(store)

    def taken(count: int | None = None) -> int:
        entries = read_intake(client, store, count=count)
        intake.take(entries)
        return len(entries)

    return taken


def faxes(count: int) -> list[Fax]:
    return [Fax(to=TO, files=[URL])] * count


def deliver(client: Any, *jobs: str, pages: int = 1) -> None:
    for job in jobs:
        said: Any = {"state": "delivered", "pages": 1, "transferred": pages}
        client.hset(KEYS.job(job), mapping=said)


def names(*numbers: int) -> list[str]:
    return [f"june.{i}" for i in numbers]


def test_thirty_rows_against_a_ceiling_of_twenty_are_not_told_as_delivered(
    line: FaxLine, take: Take, redis_client: Any, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    line.send_many(faxes(30), group="june")
    assert take() == 30
    deliver(redis_client, *names(*range(1, 21)))
    waited: Any = line.wait("june", 5)
    for found in (line.group("june"), waited):
        assert (found.pushed, found.total, found.delivered, found.final) == (30, 30, 20, True)
        assert sorted(found.rejected) == sorted(names(*range(21, 31)))
        assert {error.reason for error in found.rejected.values()} == {Rejection.BACKLOG_FULL}
        assert found.state is JobState.FAILED
    for command in ("group", "wait"):
        assert run(["--redis", redis_url, command, "june"]) == 1
        out = capsys.readouterr().out
        assert out.startswith("group june on account default: 30 faxes pushed, has ended\n")
        rows = [row.split() for row in out.splitlines()]
        assert ["rejected", "10"] in rows
        assert ["june.21", "rejected", "backlog_full"] in rows
        assert run(["--redis", redis_url, command, "june", "--json"]) == 1
        output = json.loads(capsys.readouterr().out)
        assert (output["pushed"], len(output["rejected"]), len(output["jobs"])) == (30, 10, 20)


def test_a_group_has_not_ended_while_intake_has_yet_to_take_some_of_it(
    line: FaxLine, take: Take, redis_client: Any
) -> None:
    line.send_many(faxes(5), group="june")
    take(3)
    deliver(redis_client, *names(1, 2, 3))
    found = line.group("june")
    assert (found.total, found.ended, found.final, found.state) == (5, 3, False, JobState.INTAKE)
    assert found.counts[JobState.INTAKE] == 2
    with pytest.raises(WaitTimeout, match="2 of 5 jobs of group 'june'; intake has not taken 2 of them"):
        line.wait("june", 0.05)
    take()
    deliver(redis_client, *names(4, 5))
    assert line.wait("june", 5).state is JobState.DELIVERED


def test_a_wait_goes_on_for_what_is_registered_and_rejected_meanwhile(
    line: FaxLine, take: Take, redis_client: Any
) -> None:
    line.send_many(faxes(25), group="june")
    take(5)
    deliver(redis_client, *names(*range(1, 6)))
    seen: list[tuple[int, int]] = []

    def go_on(done: int, total: int) -> None:
        seen.append((done, total))
        if take():
            deliver(redis_client, *names(*range(6, 21)))

    ended: Any = line.wait("june", 20, progress=go_on)
    assert (ended.total, ended.delivered, len(ended.rejected)) == (25, 20, 5)
    assert seen[0] == (5, 25)


def test_what_was_rejected_counts_no_more_once_it_was_pushed_again_and_taken(
    line: FaxLine, take: Take, redis_client: Any
) -> None:
    line.send_many(faxes(21), group="june")
    take()
    assert list(line.group("june").rejected) == ["june.21"]
    redis_client.hset(KEYS.account_state, "taken", 0)
    line.send_many(faxes(21), group="june")
    take()
    deliver(redis_client, *names(*range(1, 22)))
    ended: Any = line.wait("june", 5)
    assert (ended.total, ended.delivered, ended.rejected, ended.succeeded) == (21, 21, {}, True)


def test_another_letter_under_the_same_ids_is_told_as_rejected(
    line: FaxLine, take: Take, redis_client: Any
) -> None:
    line.send_many(faxes(2), group="june")
    take()
    deliver(redis_client, *names(1, 2))
    line.send_many([Fax(to=TO, files=[URL], subject="Another")] * 2, group="june")
    take()
    found = line.group("june")
    assert (found.total, found.delivered, found.final, found.succeeded) == (2, 2, True, False)
    assert {error.reason for error in found.rejected.values()} == {Rejection.ID_REUSED}


def test_an_entry_that_cannot_be_read_counts_for_the_group_that_it_names(
    line: FaxLine, take: Take, redis_client: Any
) -> None:
    fax = {"faxNumber": BAD, "faxData": [{"fileName": "a.pdf", "fileUrl": URL}]}
    redis_client.xadd(KEYS.intake, {"send": json.dumps({"id": "a", "group": "june", "fax": fax})})
    redis_client.xadd(KEYS.intake, {"send": json.dumps({"id": "b", "group": "ju ne", "fax": fax})})
    take()
    (error,) = line.group("june").rejected.values()
    assert (error.member, error.reason) == ("fax.faxNumber", Rejection.BAD_NUMBER)
    found: Any = line.wait("june", 5)
    assert (found.total, found.state) == (1, JobState.FAILED)
    groups = [json.loads(fields[b"data"]).get("group") for _, fields in redis_client.xrange(KEYS.events)]
    assert groups == ["june", None]


def test_what_a_group_knows_goes_with_its_jobs_and_a_forgotten_job_is_not_waited_for(
    redis_client: redis.Redis,
) -> None:
    scene = Scene(redis_client, CEILINGS__JOBS="2")
    items = [scene.item(scene.intake(), name, group="june") for name in "abc"]
    scene.store.intake.register([item | {"group": "june", "size": 3} for item in items])
    group = scene.keys.group("june")
    kept = [group, scene.keys.group_size("june"), scene.keys.group_rejected("june")]
    client: Any = scene.client
    assert [client.pttl(key) for key in kept] == [-1, -1, -1]
    scene.store.intake.cancel(scene.intake("cancel"), "a")
    assert [client.pttl(key) for key in kept] == [-1, -1, -1]
    scene.store.intake.cancel(scene.intake("cancel"), "b")
    assert min(client.pttl(key) for key in kept) > 0
    scene.store.maintenance.forget("a")
    assert client.smembers(kept[0]) == {b"b"}
    assert not client.exists(kept[1])


def test_the_line_for_tests_knows_the_same() -> None:
    line = MemoryLine(deliver=False)
    line.send_many(faxes(2), group="june")
    line.push("send", {"id": "june.2", "group": "june", "fax": _fax("Other")})
    line.deliver("june")
    found = line.group("june")
    assert (found.pushed, found.total, found.delivered, found.succeeded) == (2, 2, 2, False)
    assert [error.reason for error in line.group("june").rejected.values()] == [Rejection.ID_REUSED]
    with pytest.raises(GroupNotFound):
        line.group("july")


def test_a_fax_that_is_pushed_again_in_a_mailing_of_another_size_is_the_same(
    line: FaxLine, take: Take
) -> None:
    line.send_many(faxes(2), group="june")
    line.send_many(faxes(3), group="june")
    take()
    found = line.group("june")
    assert (found.pushed, found.total, found.rejected) == (3, 3, {})
    memory = MemoryLine()
    memory.send_many(faxes(2), group="june")
    memory.send_many(faxes(3), group="june")
    assert memory.wait("june", 1).succeeded


@pytest.fixture
def taking(take: Take, redis_client: Any, wait_until: Callable[..., Any]) -> Iterator[Callable[..., None]]:
    """`taking(n, m)`: intake takes what is pushed once n entries wait, and then once m do."""
    threads: list[threading.Thread] = []

    def start(*counts: int) -> None:
        def work() -> None:
            for count in counts:
                wait_until(lambda count=count: redis_client.xlen(KEYS.intake) == count)
                take()

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


@pytest.fixture
def cancel(redis_url: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def canceled(*more: str) -> tuple[int, str]:
        code = run(["--redis", redis_url, "cancel", "june", "--timeout", "20", *more])
        return code, capsys.readouterr().out

    return canceled


def test_a_group_is_canceled_as_a_whole_also_what_intake_takes_meanwhile(
    line: FaxLine, take: Take, taking: Callable[..., None], redis_client: Any, cancel: Callable[..., Any]
) -> None:
    line.send_many(faxes(4), group="june")
    take(3)
    deliver(redis_client, "june.1")
    taking(3, 1)
    assert cancel() == (0, "group june: 3 of 3 jobs that had not ended are canceled\n")
    assert line.group("june").counts == {JobState.DELIVERED: 1, JobState.CANCELED: 3}
    expected = {
        "group": "june",
        "asked": 0,
        "canceled": 0,
        "unanswered": 0,
        "refused": {},
        "not_taken_yet": 0,
    }
    code, out = cancel("--json")
    assert (code, json.loads(out)) == (0, expected)


def test_what_cannot_be_canceled_of_a_group_is_told(
    line: FaxLine, take: Take, taking: Callable[..., None], redis_client: Any, cancel: Callable[..., Any]
) -> None:
    line.send_many(faxes(2), group="june")
    take()
    redis_client.hset(KEYS.job("june.1"), "state", "submitted")
    taking(2)
    code, out = cancel()
    assert (code, out.splitlines()) == (
        *(1, ["group june: 1 of 2 jobs that had not ended is canceled", "1 job is submitted already"]),
    )
    code, out = cancel("--timeout", "0.05")
    assert code == 3
    assert "1 job has no answer yet" in out


def test_the_line_for_tests_cancels_a_group() -> None:
    line = MemoryLine(deliver=False)
    line.send_many(faxes(2), group="june")
    assert line.cancel_group("june") == ["june.1", "june.2"]
    assert line.group("june").counts == {JobState.CANCELED: 2}


def _fax(subject: str) -> dict[str, Any]:
    return {"faxNumber": TO, "subject": subject, "faxData": [{"fileName": "a.pdf", "fileUrl": URL}]}
