"""`faxline send`, `resend` and `cancel`."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline.cli.app import operator
from faxline.reading.processes import ROLES
from tests.stage.command_line import AT, KEYS, NUMBER, OTHER, URL, Cli
from tests.stage.heartbeats import beat


def pushed(client: redis.Redis) -> list[tuple[str, dict[str, Any]]]:
    entries: Any = client.xrange(KEYS.intake)
    return [(k.decode(), json.loads(v)) for _, fields in entries for k, v in fields.items()]


def test_a_fax_is_pushed_with_all_that_was_given(cli: Cli, redis_client: redis.Redis, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Hello")
    done = cli(
        *("send", "--to", NUMBER, URL, str(tmp_path / "a.txt"), "--id", "a", "--priority", "urgent"),
        *("--expires-at", "2040-01-01T00:00:00Z", "--in-doubt", "fail", "--attempts", "2"),
        *("--metadata", '{"x": 1}', "--subject", "s", "--message", "m", "--from-name", "f"),
        *("--to-name", "t", "--quality", "HD", "--caller-id", "c", "--send-at", "2039-01-01T00:00:00Z"),
    )
    assert (done.code, done.out) == (0, "a\n")
    ((kind, entry),) = pushed(redis_client)
    fax = entry.pop("fax")
    assert (kind, entry) == (
        "send",
        {
            "id": "a",
            "priority": "urgent",
            "expires_at": "2040-01-01T00:00:00Z",
            "in_doubt": "fail",
            "attempts": 2,
            "metadata": {"x": 1},
        },
    )
    assert [file["fileName"] for file in fax.pop("faxData")] == ["a.pdf", "a.txt"]
    assert fax == {
        "faxNumber": NUMBER,
        "subject": "s",
        "message": "m",
        "from_name": "f",
        "to_name": "t",
        "faxQuality": "HD",
        "callerId": "c",
        "send_at": "2039-01-01T00:00:00Z",
    }


def test_several_numbers_make_a_job_each(cli: Cli, redis_client: redis.Redis) -> None:
    done = cli("send", "--to", NUMBER, "--to", OTHER, URL, "--id", "a", "--json")
    assert [(job["id"], job["group"], job["state"]) for job in done.lines] == [
        ("a.1", "a", "intake"),
        ("a.2", "a", "intake"),
    ]
    assert pushed(redis_client)[0][1]["fax"]["faxNumber"] == [NUMBER, OTHER]


def test_waiting_in_vain_is_exit_code_3(cli: Cli, record: Callable[..., None]) -> None:
    record("a", "queued")
    done = cli("wait", "a", "--timeout", "0.01")
    assert done.code == 3
    assert (
        done.err
        == "faxline: job 'a' did not end within 0.01 s: it is queued; `faxline explain a` says more\n"
    )
    done = cli(
        "--account", "acme", "send", "--to", NUMBER, URL, "--id", "b", "--wait", "--timeout", "0", quiet=False
    )
    assert done.err.endswith(
        "within 0 s: intake has not taken it yet; `faxline --account acme explain b` says more\n"
    )
    words = ("send", "--to", NUMBER, "--to", OTHER, URL, "--id", "c", "--wait", "--timeout", "0")
    assert cli(*words, quiet=False).err.endswith(" within 0 s; `faxline group c` says more\n")


@pytest.mark.parametrize("row", [False, True])
def test_a_push_says_who_is_not_at_work_and_is_made_all_the_same(
    cli: Cli, redis_client: redis.Redis, tmp_path: Path, row: bool
) -> None:
    (tmp_path / "r.csv").write_text(f"to\n{NUMBER}\n")
    to = ["--csv", str(tmp_path / "r.csv")] if row else ["--to", NUMBER]
    words = ("send", *to, "--file", URL, "--json")
    done = cli(*words, quiet=False, at_work=["dispatcher", "webhook"])
    assert done.code == 0
    assert (
        done.err
        == "faxline: No worker is at work for account default: start one; `faxline doctor` says more.\n"
    )
    assert (
        "No part of the daemon is at work" in cli(*words, "--priority", "bulk", quiet=False, at_work=()).err
    )
    assert redis_client.xlen(KEYS.intake) == 2


def test_send_can_wait_for_the_end(cli: Cli, daemon: Callable[..., None]) -> None:
    def deliver(client: Any, _entry: str, _fields: Any) -> None:
        client.hset(KEYS.job("a"), mapping={"state": "delivered", "pages": 3, "transferred": 3})
        client.xadd(KEYS.events, {"event": "fax.delivered", "job": "a", "at": AT, "data": "{}"})

    daemon(KEYS.intake, deliver)
    done = cli("send", "--to", NUMBER, URL, "--id", "a", "--wait", "--timeout", "20")
    assert (done.code, done.out) == (0, "a\na: delivered, 3 of 3 pages\n")


def test_a_group_is_waited_for_as_a_whole(cli: Cli, daemon: Callable[..., None]) -> None:
    def end(client: Any, _entry: str, _fields: Any) -> None:
        for job, state in (("a.2", "failed"), ("a.1", "delivered")):
            client.hset(KEYS.job(job), "state", state)
            client.xadd(KEYS.events, {"event": f"fax.{state}", "job": job, "at": AT, "data": "{}"})

    daemon(KEYS.intake, end)
    done = cli("send", "--to", NUMBER, "--to", OTHER, URL, "--id", "a", "--wait", "--timeout", "20", "--json")
    assert done.code == 1
    assert [(job["id"], job["state"]) for job in done.lines] == [("a.1", "delivered"), ("a.2", "failed")]


@pytest.mark.parametrize("numbers", [1, 2])
def test_a_rejection_ends_the_wait_with_exit_code_2(
    cli: Cli, daemon: Callable[..., None], numbers: int
) -> None:

    def reject(client: Any, entry: str, _fields: Any) -> None:
        data = json.dumps({"reason": "id_reused", "member": "id", "message": "taken", "entry": entry})
        client.xadd(KEYS.events, {"event": "fax.rejected", "job": "a", "at": AT, "data": data})

    daemon(KEYS.intake, reject)
    to = ["--to", NUMBER, "--to", OTHER][: 2 * numbers]
    done = cli("send", *to, URL, "--id", "a", "--wait", "--timeout", "20", "--json")
    assert (done.code, done.out, done.err) == (2, "", "faxline: rejected (id_reused): id: taken\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--to", "+1", URL), "[--to]"),
        (("--to", NUMBER, URL, "--quality", "best"), "[--quality]"),
        (("--to", NUMBER, URL, "--priority", "high"), "'--priority': 'high' is not one of"),
    ],
)
def test_what_is_wrong_is_told_with_the_option_that_mends_it(
    cli: Cli, redis_client: redis.Redis, words: tuple[str, ...], says: str
) -> None:
    done = cli("send", *words)
    assert (done.code, done.out) == (2, "")
    assert says in done.err
    assert not redis_client.exists(KEYS.intake)


@pytest.mark.parametrize(
    ("state", "code", "says"),
    [("", 4, "no job 'a' on account 'default'"), ("queued", 1, "a is queued and iFax has not taken it")],
)
def test_what_intake_would_not_send_again_is_told_and_nothing_is_pushed(
    cli: Cli, redis_client: redis.Redis, record: Callable[..., None], state: str, code: int, says: str
) -> None:
    if state:
        record("a", state)
    done = cli("resend", "a")
    assert (done.code, done.out) == (code, "")
    assert says in done.err
    assert not redis_client.exists(KEYS.intake)


def test_a_job_is_sent_again_to_another_number(
    cli: Cli, redis_client: redis.Redis, record: Callable[..., None]
) -> None:
    record("a", "failed", job_id=7)
    done = cli(
        "resend", "a", "--to", NUMBER, "--id", "b", "--priority", "bulk", "--metadata", '{"x":1}', "--json"
    )
    assert (done.code, done.json["id"], done.json["of"]) == (0, "b", "a")
    entry = {"id": "b", "of": "a", "priority": "bulk", "faxNumber": NUMBER, "metadata": {"x": 1}}
    assert pushed(redis_client) == [("resend", entry | {"by": operator(), "user": "default"})]


@pytest.mark.parametrize(
    ("event", "data", "code", "says"),
    [
        ("canceled", {"reason": "canceled_before_sending"}, 0, "a is canceled"),
        ("cancel_refused", {"reason": "submitted", "state": "submitted"}, 1, "it is submitted already"),
        ("cancel_refused", {"reason": "final", "state": "delivered"}, 1, "it is delivered already"),
        ("cancel_refused", {"reason": "unknown_job"}, 4, "no job 'a'"),
    ],
)
def test_cancel_tells_what_became_of_it(
    cli: Cli, daemon: Callable[..., None], event: str, data: dict[str, str], code: int, says: str
) -> None:
    def answer(client: Any, _entry: str, _fields: Any) -> None:
        fields = {"event": f"fax.{event}", "job": "a", "at": AT, "data": json.dumps(data)}
        client.xadd(KEYS.events, fields)

    daemon(KEYS.intake, answer)
    done = cli("cancel", "a", "--timeout", "20")
    assert done.code == code
    assert says in done.out + done.err


def test_cancel_without_a_dispatcher_is_exit_code_3_and_the_request_stays(
    cli: Cli, redis_client: redis.Redis
) -> None:
    assert cli("cancel", "a", "--timeout", "0.05", "--by", "jane").code == 3
    assert cli("cancel", "a", "--timeout", "0", "--by", "jane").out == "a: asked\n"
    assert pushed(redis_client) == [("cancel", {"id": "a", "by": "jane", "user": "default"})] * 2


def test_cancel_says_that_nobody_serves_the_account_of_a_scheduled_fax_whose_folder_was_removed(
    cli: Cli, record: Callable[..., None], redis_client: redis.Redis
) -> None:
    record("a", "submitted", send_at=AT)
    for role in ROLES:
        beat(redis_client, role, accounts=["acme"])
    done = cli("cancel", "a", "--timeout", "0.05", quiet=False, at_work=())
    assert (done.code, done.err) == (
        3,
        (
            "faxline: No dispatcher at work has account default in its settings: is the name right, or was "
            "its folder removed? They have acme.\n"
            "faxline: no dispatcher answered within 0.05 s; the request stays for one that comes\n"
        ),
    )


def test_a_wait_says_soon_who_is_not_at_work_and_goes_on(
    cli: Cli, daemon: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = threading.Event()
    monkeypatch.setattr("faxline.cli.presence._SOON", 0.0)
    monkeypatch.setattr("faxline.cli.presence.complain", lambda _: warned.set())

    def end(client: Any, _entry: str, _fields: Any) -> None:
        assert warned.wait(20)
        client.hset(KEYS.job("a"), mapping={"state": "delivered", "n": 0})
        client.xadd(KEYS.events, {"event": "fax.delivered", "job": "a", "at": AT, "data": "{}"})

    daemon(KEYS.intake, end)
    done = cli("send", "--to", NUMBER, URL, "--id", "a", "--wait", "--timeout", "20", at_work=())
    assert (done.code, done.out.splitlines()[-1]) == (0, "a: delivered")
