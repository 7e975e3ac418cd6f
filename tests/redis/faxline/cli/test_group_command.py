"""A mailing is waited for and shown: `send --csv --wait`, `faxline group`, the other commands on a group."""

import json
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
import redis.client

from tests.stage.command_line import KEYS, NUMBER, PLAIN, THIRD, Cli


@pytest.fixture
def daemon(redis_url: str) -> Iterator[Callable[[dict[str, dict[str, Any]]], None]]:
    """`daemon(ends)`: register each entry that is pushed, and end the jobs of these ids so."""
    threads = []

    def start(ends: dict[str, dict[str, Any]]) -> None:
        def work() -> None:
            left, last = set(ends), "0"
            with redis.Redis.from_url(redis_url) as client:
                while left:
                    reply: Any = client.xread({KEYS.intake: last}, block=20_000)
                    assert reply, f"nobody pushed {left}"
                    for entry, fields in reply[0][1]:
                        last = entry
                        fax = json.loads(fields[b"send"])
                        end(client, entry.decode(), fax, ends[fax["id"]])
                        left.discard(fax["id"])

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


def end(client: Any, entry: str, fax: dict[str, Any], said: dict[str, Any]) -> None:
    name, state = fax["id"], said["state"]
    if state == "rejected":
        data = said | {"member": "id", "message": "taken", "entry": entry}
        client.xadd(KEYS.events, {"event": "fax.rejected", "job": name, "at": 1, "data": json.dumps(data)})
        return
    client.hset(KEYS.job(name), mapping={"group": fax["group"], "number": NUMBER, "n": 0, **said})
    client.sadd(KEYS.group(fax["group"]), name)
    client.xadd(KEYS.events, {"event": f"fax.{state}", "job": name, "at": 1, "data": "{}"})


def test_a_mailing_is_waited_for_to_its_end(mail: Cli, daemon: Callable[..., None]) -> None:
    daemon(
        {
            "june.1": {"state": "delivered", "pages": 3, "transferred": 3},
            "june.2": {"state": "failed", "reason": "busy", "code": 17, "pages": 3, "transferred": 0},
            "june.3": {"state": "failed", "reason": "busy", "code": 17},
            "june.4": {"state": "rejected", "reason": "id_reused"},
        }
    )
    done = mail(PLAIN + f"{THIRD},Cy\n+13105550150,Di\n", "--group", "june", "--wait", "--timeout", "20")
    assert (done.code, done.err) == (1, "")
    rows = [line.split() for line in done.out.splitlines()]
    assert done.out.startswith("group june on account default: 4 faxes pushed, has ended\n")
    for row in (
        *(["delivered", "1"], ["failed", "2"], ["rejected", "1"]),
        *(["pages:", "3", "of", "6", "transferred"], ["busy", "2"], ["rejected:", "id_reused", "1"]),
        *(["june.2", "failed", "…0147", "busy", "17"], ["june.4", "rejected", "id_reused"]),
    ):
        assert row in rows


def test_a_mailing_that_is_delivered_whole_is_exit_code_0(mail: Cli, daemon: Callable[..., None]) -> None:
    said = {"state": "delivered", "pages": 1, "transferred": 1}
    daemon({"june.1": said, "june.2": said})
    done = mail(PLAIN, "--group", "june", "--wait", "--timeout", "20", "--json")
    assert (done.code, done.err) == (0, "")
    *jobs, last = done.lines
    assert [(job["id"], job["state"]) for job in jobs] == [("june.1", "delivered"), ("june.2", "delivered")]
    assert (last["counts"], last["failures"], last["pages"], last["skipped"]) == ({"delivered": 2}, {}, 2, 0)


def test_a_progress_bar_is_shown_on_a_terminal(
    mail: Cli, daemon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {"state": "delivered"}
    daemon({"june.1": said, "june.2": said})
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(type(sys.stderr), "isatty", lambda _: True, raising=False)
    done = mail(PLAIN, "--group", "june", "--wait", "--timeout", "20")
    assert "pushed" in done.err
    assert "2/2" in done.err
    assert "ended" in done.err


@pytest.mark.parametrize("command", [("wait", "{}"), ("group", "{}"), ("send", "{}")])
def test_a_delivery_without_all_of_its_pages_is_told_and_is_exit_code_1(
    mail: Cli, noisy: Cli, daemon: Callable[..., None], command: tuple[str, str]
) -> None:
    whole, partial = ({"state": "delivered", "pages": 3, "transferred": sent} for sent in (3, 1))
    daemon({"june.1": whole, "june.2": partial})
    done = mail(PLAIN, "--group", "june", "--wait", "--timeout", "20")
    if command[0] != "send":
        done = noisy(command[0], "june")
        (payload,) = noisy(command[0], "june", "--json").lines
        assert (payload["state"], payload["partly_delivered"]) == ("delivered", 1)
        assert [job["partial"] for job in payload["jobs"]] == [False, True]
    assert done.code == 1
    rows = [" ".join(line.split()) for line in done.out.splitlines()]
    for row in ("delivered 1", "partly delivered 1", "june.2 partly delivered …0147 1 of 3 pages"):
        assert row in rows


@pytest.fixture
def june(redis_client: redis.Redis) -> None:
    """A group of three, of which one is queued."""
    for name, state, more in (
        ("june.1", "delivered", {"pages": 2, "transferred": 2}),
        ("june.2", "failed", {"reason": "busy", "code": 17}),
        ("june.3", "queued", {}),
    ):
        fields: Any = {"state": state, "group": "june", "number": NUMBER, "n": 0, **more}
        redis_client.hset(KEYS.job(name), mapping=fields)
        redis_client.sadd(KEYS.group("june"), name)


@pytest.mark.parametrize("command", ["group", "show"])
@pytest.mark.usefixtures("june")
def test_a_group_is_shown_with_its_counts_and_what_failed(noisy: Cli, command: str) -> None:
    done = noisy(command, "june")
    assert done.code == (command == "group")  # which tells by it that one failed
    assert done.out.startswith("group june on account default: 3 jobs, 2 of 3 have ended\n")
    rows = [line.split() for line in done.out.splitlines()]
    assert [row for row in rows if row[:1] in (["queued"], ["delivered"], ["failed"])] == [
        *(["queued", "1"], ["delivered", "1"], ["failed", "1"]),
    ]
    assert ["june.2", "failed", "…0147", "busy", "17"] in rows
    (payload,) = noisy(command, "june", "--json").lines
    assert (payload["group"], payload["total"], payload["final"]) == ("june", 3, False)
    assert payload["counts"] == {"queued": 1, "delivered": 1, "failed": 1}
    assert [job["id"] for job in payload["jobs"]] == ["june.1", "june.2", "june.3"]


@pytest.mark.usefixtures("june")
def test_a_group_is_waited_for_by_its_name(noisy: Cli, redis_client: redis.Redis) -> None:
    done = noisy("wait", "june", "--timeout", "0.05")
    assert (done.code, done.out) == (3, "")
    assert "1 of 3 jobs of group 'june' did not end within 0.05 s" in done.err
    redis_client.hset(KEYS.job("june.3"), "state", "delivered")
    done = noisy("wait", "june")
    assert (done.code, done.out.splitlines()[0]) == (1, "group june on account default: 3 jobs, has ended")
    assert noisy("wait", "june", "--json").lines[0]["counts"] == {"delivered": 2, "failed": 1}
    redis_client.hset(KEYS.job("june.2"), "state", "delivered")
    assert noisy("wait", "june").code == 0


@pytest.mark.usefixtures("june")
def test_explaining_a_group_points_to_a_job_that_waits(noisy: Cli) -> None:
    done = noisy("explain", "june")
    assert (done.code, done.out) == (2, "")
    assert "june is a group of 3 jobs: explain one of them, such as june.3" in done.err


def test_a_group_that_does_not_exist_is_exit_code_4(noisy: Cli) -> None:
    done = noisy("group", "june")
    assert (done.code, done.out) == (4, "")
    assert "no group 'june' on account 'default'" in done.err
