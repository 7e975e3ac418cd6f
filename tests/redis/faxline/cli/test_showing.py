"""`faxline show`, `list`, `wait` and `events`: what is shown of jobs."""

import json
import math
import re
import subprocess
import sys
from collections.abc import Callable

import pytest
import redis

from faxline.reading.processes import ROLES
from tests.stage.command_line import AT, KEYS, Cli
from tests.stage.heartbeats import beat

HOSTILE = {"a": "\x9b2J\x9b31mDELIVERED\u202e \x7f\u2066\U000e0041 Grüße, 電話 \U0001f4e0"}


def test_json_has_nothing_that_a_terminal_obeys(
    cli: Cli, record: Callable[..., None], redis_client: redis.Redis
) -> None:
    record("a", "failed", group="g", metadata=json.dumps(HOSTILE), reason=HOSTILE["a"])
    redis_client.sadd(KEYS.group("g"), "a")
    shown = [cli("show", "a", "--json").out, cli("group", "g", "--json").out]
    assert "".join(shown).replace("\n", "").isprintable()
    assert all("Grüße, 電話 \U0001f4e0" in text for text in shown)
    assert json.loads(shown[0])["metadata"] == HOSTILE


def test_show_gives_the_record_as_json_with_what_the_contract_names(
    cli: Cli, record: Callable[..., None]
) -> None:
    record("a", "failed", attempt=2, job_id=7, code=-3001, reason="invalid_number", pages=3, transferred=0)
    shown = cli("show", "a", "--json").json
    promised = (
        "id account state priority attempt jobId code reason pages transferred created_at updated_at history"
    )
    assert set(promised.split()) <= set(shown)
    assert (shown["state"], shown["jobId"], shown["code"], shown["to"]) == ("failed", 7, -3001, "…0147")
    assert [step["event"] for step in shown["history"]] == ["fax.queued"]


def test_show_is_readable_without_a_terminal(cli: Cli, record: Callable[..., None]) -> None:
    long = "a" * 128
    record(long, "failed", reason="busy", message="\x1b[31mred\nline")
    out = cli("show", long).out
    assert re.search(rf"^id +{long}$", out, re.MULTILINE)
    assert re.search(r"^message +\?\[31mred\?line$", out, re.MULTILINE)
    assert "\x1b" not in out


def test_list_shows_jobs_in_doubt_first_and_only_the_end_of_a_number(
    cli: Cli, record: Callable[..., None], redis_client: redis.Redis
) -> None:
    record("q" * 100, "queued")
    record("s", "submitted")
    record("d", "in_doubt", reason="timeout")
    redis_client.zadd(KEYS.ready, {"q" * 100: 1})
    redis_client.zadd(KEYS.submitted, {"s": 1})
    redis_client.zadd(KEYS.in_doubt, {"d": math.inf})
    rows = [line.split() for line in cli("list").out.splitlines()]
    header = ["id", "state", "priority", "to", "age", "reason", "waits", "until", "policy"]
    assert rows[0] == [*header, "also", "at", "iFax"]
    assert [row[:4] for row in rows[1:]] == [
        ["d", "in_doubt", "normal", "…0147"],
        ["s", "submitted", "normal", "…0147"],
        ["q" * 100, "queued", "normal", "…0147"],
    ]
    assert [job["id"] for job in cli("list", "--json", "--limit", "2", quiet=False).lines] == ["d", "s"]
    (job,) = cli("list", "--state", "submitted", "--json").lines
    assert job["id"] == "s"
    assert job["age_seconds"] > 0
    assert cli("list", "--state", "submitting").out == "account default has no submitting job\n"


def test_an_empty_list_of_an_account_that_nobody_serves_says_which_accounts_are_served(
    cli: Cli, redis_client: redis.Redis
) -> None:
    for role in ROLES:
        beat(redis_client, role, accounts=["default"])
    done = cli("list", "--account", "acmee", quiet=False, at_work=())
    assert (done.code, done.out) == (0, "account acmee has no open job\n")
    assert (
        "has account acmee in its settings: is the name right, or was its folder removed? They have default."
        in done.err
    )


@pytest.mark.parametrize(
    ("state", "code"), [("delivered", 0), ("failed", 1), ("canceled", 1), ("unconfirmed", 1)]
)
def test_waiting_ends_with_0_if_delivered_and_1_if_not(
    cli: Cli, record: Callable[..., None], state: str, code: int
) -> None:
    record("a", state)
    done = cli("wait", "a")
    assert (done.code, done.out.startswith(f"a: {state}")) == (code, True)
    assert cli("wait", "a", "--json").json["state"] == state


@pytest.mark.parametrize(
    ("transferred", "code", "says"),
    [(0, 1, "partly delivered, 0 of 1 page"), (1, 0, "delivered, 1 of 1 page"), ("", 0, "delivered, 1 page")],
)
def test_a_partial_delivery_is_told_as_one_everywhere(
    cli: Cli, record: Callable[..., None], transferred: object, code: int, says: str
) -> None:
    record("a", "delivered", pages=1, transferred=transferred)
    done = cli("wait", "a")
    assert (done.code, done.out) == (code, f"a: {says}\n")
    state = says.partition(",")[0]
    assert f"state     {state}\n" in cli("show", "a").out
    assert f"a has ended: {says}, " in cli("explain", "a").out
    payload = cli("show", "a", "--json").json
    assert (payload["state"], payload["partial"]) == ("delivered", bool(code))


def test_an_empty_member_of_an_event_is_left_out(cli: Cli, emit: Callable[..., None]) -> None:
    emit("rejected", "a", reason="backlog_full", member="", message="the backlog is full")
    output = cli("events", "--after", "0", "--timeout", "0.1").out
    assert output.rstrip().endswith("a  reason backlog_full, message the backlog is full")


@pytest.mark.parametrize(
    ("state", "fields", "expected"),
    [
        ("failed", {"reason": "bad_request"}, False),
        ("queued", {"reason": "busy"}, False),
        ("failed", {"reason": "busy", "job_id": "77"}, True),
        (
            "failed",
            {
                "reason": "in_doubt",
                "h:1": json.dumps({"event": "fax.in_doubt", "at": AT, "state": "in_doubt", "attempt": 1}),
            },
            True,
        ),
        *((state, {}, True) for state in ("submitting", "submitted", "in_doubt", "unconfirmed")),
    ],
)
def test_what_to_look_for_at_ifax_is_shown_where_ifax_may_know_of_it(
    cli: Cli, record: Callable[..., None], state: str, fields: dict[str, str], expected: bool
) -> None:
    record("a", state, admitted_at=AT, **fields)
    assert ("look for: to " in cli("show", "a").out) is expected


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_list_that_is_cut_says_so(
    redis_client: redis.Redis, record: Callable[..., None], cli: Cli, more: list[str]
) -> None:
    for i in range(3):
        record(f"a-{i}", "queued")
        redis_client.zadd(KEYS.ready, {f"a-{i}": i})
    done = cli("list", "--limit", "2", *more, quiet=False)
    assert done.err == "faxline: 2 of 3 shown; --limit 3 shows all\n"
    assert cli("list", "--limit", "3", *more).err == ""


def test_events_are_printed_one_a_line(cli: Cli, emit: Callable[..., None]) -> None:
    emit("submitted", "a", attempt=1, jobId=7, metadata={"x": 1})
    emit("failed", "a", attempt=1, code=-5, reason="busy")
    plain = cli("events", "--after", "0", "--timeout", "0.05").out.splitlines()
    assert plain[0].endswith("fax.submitted       a  attempt 1, jobId 7")
    assert plain[1].endswith("fax.failed          a  attempt 1, code -5, reason busy")
    found = cli("events", "--after", "0", "--timeout", "0.05", "--json").lines
    assert [(event["event"], event["job"]) for event in found] == [
        ("fax.submitted", "a"),
        ("fax.failed", "a"),
    ]
    assert found[0]["data"]["metadata"] == {"x": 1}


def test_an_event_of_a_partial_delivery_says_so(cli: Cli, emit: Callable[..., None]) -> None:
    emit("delivered", "a", partial=True, pages=3, transferred=1)
    line = cli("events", "--after", "0", "--timeout", "0.05").out
    assert "fax.delivered       a  partly delivered, " in line


def test_events_of_a_group_are_printed_once(cli: Cli, emit: Callable[..., None]) -> None:
    emit("queued", "a")
    follow = ("events", "--group", "billing", "--timeout", "0.5", "--json")
    assert [event["job"] for event in cli(*follow).lines] == ["a"]
    assert cli(*follow).lines == []


def test_a_reader_that_has_had_enough_ends_the_command_quietly(
    redis_url: str, emit: Callable[..., None]
) -> None:
    for i in range(3000):
        emit("queued", f"job-{i}")
    command = [sys.executable, "-c", "from faxline.cli import main; main()", "--redis", redis_url]
    with subprocess.Popen(
        [*command, "events", "--after", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr.read() == b""


def test_what_was_pushed_and_not_taken_is_told_as_that(cli: Cli, redis_client: redis.Redis) -> None:
    entry = {"id": "june.1", "group": "june", "fax": {}}
    redis_client.xadd(KEYS.intake, {"send": json.dumps(entry)})
    redis_client.xadd(KEYS.intake, {"cancel": json.dumps({"id": "other"})})
    done = cli("show", "june.1", quiet=False, at_work=["worker", "webhook"])
    assert (done.code, "state     intake\n" in done.out) == (0, True)
    no_dispatcher = "No dispatcher is at work for account default: start one; `faxline doctor` says more."
    assert done.err == f"faxline: {no_dispatcher}\n"
    output = cli("explain", "june.1", at_work=["worker", "webhook"]).out.splitlines()
    assert output[0].startswith("june.1 was pushed at ")
    assert output[0].endswith(" ago) and waits in intake: no dispatcher has taken it yet.")
    assert output[1:] == [no_dispatcher]
    done = cli("wait", "june.1", "--timeout", "0.05")
    late = "intake did not take june.1 within 0.05 s of waiting; `faxline explain june.1` says more"
    assert (done.code, done.err) == (3, f"faxline: {late}\n")
    done = cli("group", "june")
    assert (done.code, "were pushed, and intake has taken none of them yet" in done.err) == (3, True)
    for command in ("show", "wait", "explain"):
        assert cli(command, "other", *(["--timeout", "0"] if command == "wait" else [])).code == 4


@pytest.mark.parametrize("command", ["show", "explain"])
def test_an_account_that_nobody_serves_is_told_with_those_that_are_served(
    cli: Cli, redis_client: redis.Redis, command: str
) -> None:
    for role in ROLES:
        beat(redis_client, role, accounts=["acme", "default"])
    done = cli(command, "a", "--account", "acmee", quiet=False, at_work=())
    assert done.code == 4
    assert done.err.startswith(
        "faxline: No dispatcher and no worker and no webhook at work has account acmee in its settings: is "
        "the name right, or was its folder removed? They have acme, default.\n"
        "faxline: no job 'a' on account 'acmee'"
    )


def test_what_ifax_has_besides_is_shown_to_who_settles_a_doubt(
    cli: Cli, record: Callable[..., None], redis_client: redis.Redis
) -> None:
    known = '{"outcome":"failed","pages":3,"transferred":0,"at":1}'
    record("d", "in_doubt", attempt=3, also="71", named="3 73", **{"also:71": "1", "also:72": known})
    redis_client.zadd(KEYS.in_doubt, {"d": math.inf})
    others = "jobId 71, jobId 72 (failed), jobId 73 (perhaps)"
    assert f"Also at iFax: {others}." in cli("explain", "d").out
    assert re.search(rf"^also at iFax +{re.escape(others)}$", cli("show", "d").out, re.MULTILINE)
    assert f", jobId not known; also there: {others}" in cli("show", "d").out
    assert "jobId 71, jobId 73 (perhaps)" in cli("list").out
    assert [other["jobId"] for other in cli("show", "d", "--json").json["others"]] == [71, 72, 73]
    assert [other["unclear"] for other in cli("explain", "d", "--json").json["others"]] == [
        False,
        False,
        True,
    ]


def test_that_a_fax_was_delivered_after_it_had_failed_is_shown(cli: Cli, record: Callable[..., None]) -> None:
    known = '{"outcome":"delivered","pages":3,"transferred":3,"at":1}'
    record("a", "failed", reason="busy", job_id=77, **{"also:77": known})
    assert "a has ended: failed: busy" in (said := cli("explain", "a").out)
    assert "iFax reported its delivery after that, so the recipient has it. It stays failed." in said
    assert re.search(r"^state +failed, but delivered$", cli("show", "a").out, re.MULTILINE)
    shown = cli("show", "a", "--json").json
    assert (shown["state"], shown["delivered_after_end"]) == ("failed", True)
    assert shown["others"] == [
        {"jobId": 77, "outcome": "delivered", "pages": 3, "transferred": 3, "unclear": False}
    ]
