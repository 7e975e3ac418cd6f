"""The command `faxline`, on a real server: what it prints, where, and with which exit code."""

import io
import json
import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import redis

import faxline
from faxline.cli.app import SECTIONS, operator
from faxline.cli.explaining import explanation, used_of
from faxline.cli.output import clock, moment, span, write_json
from faxline.cli.running import run
from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline.contract.states import JobState
from faxline.reading.account_state import OPERATOR, AccountState, LimitState
from faxline.reading.forecast import Forecast, Hold
from faxline.reading.job import Job
from faxline.reading.processes import ROLES
from faxline_worker.cli import app as worker_app
from tests.stage.heartbeats import beat, beating

NUMBER, OTHER = "+13105550147", "+13105550148"
URL = "https://example.com/a.pdf"
KEYS = RedisKeys("default")
AT = 1_750_000_000_000
NOW = datetime.fromtimestamp(AT / 1000, tz=UTC)
COMMANDS = [
    *("send", "show", "list", "group", "wait", "cancel", "resend", "events", "explain", "accounts"),
    *("resolve", "dead", "keys", "forget"),
]


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        (line,) = self.lines
        return line


Cli = Callable[..., Result]


@pytest.fixture
def cli(redis_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    for name in [name for name in os.environ if name.startswith("FAXLINE_")]:
        monkeypatch.delenv(name)

    def call(*arguments: str, quiet: bool = True, at_work: Sequence[str] = ROLES) -> Result:
        capsys.readouterr()
        with beating(redis_url, at_work):
            code = run(["--redis", redis_url, *arguments])
        captured = capsys.readouterr()
        if quiet:
            assert len(captured.err.splitlines()) == (code != 0 and not captured.out), captured.err
        assert "3105550147" not in captured.out + captured.err
        return Result(code, captured.out, captured.err)

    return call


@pytest.fixture
def record(redis_client: redis.Redis) -> Callable[..., None]:
    """Write a job's record, as the daemon would."""

    def write(job: str, state: str, **fields: Any) -> None:
        step = {"event": "fax.queued", "at": AT, "state": "queued", "attempt": 0}
        values: Any = {
            "state": state,
            "number": NUMBER,
            "priority": "normal",
            "created_at": AT,
            "updated_at": AT,
        }
        redis_client.hset(KEYS.job(job), mapping=values | {"n": 1, "h:1": json.dumps(step)} | fields)

    return write


@pytest.fixture
def emit(redis_client: redis.Redis) -> Callable[..., None]:
    """Write an event, as the daemon would."""

    def write(name: str, job: str, **data: Any) -> None:
        fields: Any = {"event": f"fax.{name}", "job": job, "at": AT, "data": json.dumps(data)}
        redis_client.xadd(KEYS.events, fields)

    return write


@pytest.fixture
def daemon(redis_url: str) -> Iterator[Callable[..., None]]:
    """`daemon(stream, react)`: in another thread, react to the first entry of a stream."""
    threads = []

    def start(stream: str, react: Callable[[Any, str, dict[bytes, bytes]], None]) -> None:
        def work() -> None:
            with redis.Redis.from_url(redis_url) as client:
                reply: Any = client.xread({stream: "0"}, block=20_000)
                entry, fields = reply[0][1][0]
                react(client, entry.decode(), fields)

        threads.append(threading.Thread(target=work))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(30)


def test_a_line_of_json_is_one_line_to_any_reader(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"x": "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei"}
    write_json(data)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == data


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


def pushed(client: redis.Redis) -> list[tuple[str, dict[str, Any]]]:
    entries: Any = client.xrange(KEYS.intake)
    return [(k.decode(), json.loads(v)) for _, fields in entries for k, v in fields.items()]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_library_loads_what_takes_time_when_it_is_needed() -> None:
    code = (
        "import sys, faxline; late = {'typer', 'rich', 'redis', 'asyncio', 'pydantic', 'pypdfium2', "
        "'phonenumbers', 'faxline.cli'}; print(late & set(sys.modules) or 'none'); "
        "from faxline import FaxLine, Group; FaxLine('redis://127.0.0.1:1/0'); "
        "print(sorted((late - {'asyncio'}) & set(sys.modules)))"
    )
    assert python(code).stdout == "none\n['redis']\n"


def test_the_commands_load_what_takes_time_when_it_is_needed() -> None:
    code = (
        "import sys, faxline.cli.running, faxline_archive.desk; from faxline_worker.cli import app; "
        "from typer.testing import CliRunner; assert CliRunner().invoke(app, ['--help']).exit_code == 0; "
        "late = {'pydantic', 'phonenumbers', 'fpdf', 'alembic', 'structlog', 'faxline_local.demo'}; "
        "print(late & set(sys.modules) or 'none')"
    )
    assert python(code).stdout == "none\n"


@pytest.mark.parametrize("name", ["AsyncFaxLine", "AsyncEvents", "Priority", "InDoubtPolicy"])
def test_what_takes_time_to_load_is_imported_when_it_is_asked_for(name: str) -> None:
    done = python(
        f"import faxline; from faxline import {name}; print({name}.__name__, hasattr(faxline, 'x'))"
    )
    assert done.stdout == f"{name} False\n"


def test_the_lines_for_tests_need_no_server_and_no_daemon() -> None:
    code = (
        "import sys; from faxline.testing import MemoryLine; line = MemoryLine(); "
        "print(line.wait(line.send(to='+12345678901', files=['https://example.com/a.pdf']), 1).state, "
        "'faxline_worker' in sys.modules)"
    )
    assert python(code).stdout == "delivered False\n"


def test_the_lines_for_tests_say_how_to_install_their_extra() -> None:
    done = python("import sys; sys.modules['fakeredis'] = None; from faxline.testing import MemoryLine")
    assert done.stderr.endswith(
        "ModuleNotFoundError: faxline.testing needs fakeredis: pip install 'faxline[testing]'\n"
    )


@pytest.mark.parametrize("missing", ["typer", "rich"])
def test_a_missing_extra_is_told_with_what_installs_it(missing: str) -> None:
    done = python(f"import sys; sys.modules['{missing}'] = None; from faxline.cli import main; main()")
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == f"faxline: {missing} is missing; install it with: pip install '.[cli]' in the checkout\n"
    )


@pytest.mark.parametrize("missing", ["typer", "dramatiq", "structlog"])
def test_a_bare_install_of_the_worker_says_which_extra_is_missing(missing: str) -> None:
    code = f"import sys; sys.modules['{missing}'] = None; sys.argv = ['faxline-worker', 'dispatcher']; "
    done = python(code + "from faxline_worker.__main__ import main; main()")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"faxline-worker: {missing} is missing; install it with: pip install '.[worker]' in the checkout\n"
    )


def test_the_version_is_that_of_the_package(cli: Cli, capsys: pytest.CaptureFixture[str]) -> None:
    number = version("faxline")
    assert faxline.__version__ == number
    assert cli("--version").out == f"faxline {number}\n"
    with pytest.raises(SystemExit) as ended:
        worker_app(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"faxline-worker {number}\n")


def test_the_help_has_every_command_under_a_heading_of_its_use(cli: Cli) -> None:
    out = cli("--help").out
    shown = re.findall(r"^(\w[\w ]*):$|^  (\w+)  ", out, re.MULTILINE)
    titles = [title for title, _ in shown if title and title != "Options"]
    assert titles == [*SECTIONS]
    assert [name for _, name in shown if name] == [name for names in SECTIONS.values() for name in names]
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["accounts", "pause"]])
def test_the_help_of_each_command_has_examples(cli: Cli, command: list[str]) -> None:
    done = cli(*command, "--help")
    assert done.code == 0
    assert " ".join(["\n    faxline", *command]) in done.out.partition("Examples:\n")[2].join(["\n", ""])


def test_the_command_alone_shows_its_help(cli: Cli) -> None:
    done = cli()
    assert done.code == 2
    assert all(f"  {name} " in done.out for name in COMMANDS)


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


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["send", "--to", "3105550147", URL], r"rejected \(bad_number\): fax.faxNumber: .*such as \+1234567"),
        (["send", "--to", NUMBER, URL, "--id", "a b"], r"rejected \(bad_id\)"),
        (["send", "--to", NUMBER, "/nowhere/a.pdf"], "cannot read /nowhere/a.pdf: No such file"),
        (["send", "--to", NUMBER, "/"], "cannot read /: Is a directory"),
        (["send", "--to", NUMBER, URL, "--metadata", "[1]"], "--metadata is a JSON object"),
        (["send", "--to", NUMBER, URL, "--priority", "high"], "'high' is not one of"),
        (["send", "--to", NUMBER], "Missing argument 'FILE...'"),
        (["resend", "a", "--to", "1"], r"rejected \(bad_number\)"),
        (["resend", "a", NUMBER], r"unexpected extra argument\(s\) \(…0147\)"),
        (["list", "--state", "delivered"], "'delivered' is not one of"),
        (["list", "--limit", "0"], "--limit"),
        (["events", "--after", "yesterday"], "--after is a stream id"),
        (["show", "a", "--account", "A b"], "account 'A b': 1 to 63"),
        (["show", "a", "--account"], "--account needs a value"),
        (["show", "a", "--redis=http://x"], "URL"),
        (["accounts", "pause", "default"], "add --yes"),
        (["unknown"], "No such command 'unknown'"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    cli: Cli, redis_client: redis.Redis, arguments: list[str], says: str
) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    assert re.search(says, done.err)
    assert redis_client.dbsize() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        *(["send", "--to", NUMBER, URL], ["show", "a"], ["list"], ["wait", "a"], ["cancel", "a"]),
        *(["resend", "a"], ["events"], ["explain", "a"], ["accounts"], ["accounts", "resume", "a"]),
    ],
)
def test_a_redis_that_is_away_is_one_line_and_exit_code_3(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise redis.ConnectionError("refused by redis://user:secret@host")

    monkeypatch.setattr(redis.ConnectionPool, "get_connection", refused)
    done = cli(*arguments, at_work=())
    assert (done.code, done.out) == (3, "")
    assert re.search(r"Redis at \S+ did not answer", done.err)
    assert "secret" not in done.err


def test_the_url_of_redis_may_stand_in_a_file(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "operator.url").write_text(f"{redis_url}\n")
    monkeypatch.setenv("FAXLINE_REDIS_URL_FILE", str(tmp_path / "operator.url"))
    assert run(["list", "--json"]) == 0
    monkeypatch.setenv("FAXLINE_REDIS_URL_FILE", str(tmp_path / "missing"))
    assert run(["--redis", redis_url, "list", "--json"]) == 0  # what is said aloud goes before
    capsys.readouterr()
    assert run(["list"]) == 2
    assert "FAXLINE_REDIS_URL_FILE cannot be read" in capsys.readouterr().err
    assert run(["list", "--redis-file", str(tmp_path / "operator.url")]) == 0


@pytest.mark.parametrize("command", [["show"], ["explain"], ["wait", "--timeout", "0.01"]])
def test_a_job_that_does_not_exist_is_exit_code_4(cli: Cli, command: list[str]) -> None:
    done = cli(*command, "a")
    assert (done.code, done.out) == (4, "")
    assert "no job 'a' on account 'default'" in done.err


def test_a_fault_of_the_command_is_no_traceback(cli: Cli, record: Callable[..., None]) -> None:
    record("a", "queued", pages="many")
    done = cli("show", "a")
    assert done.code == 70
    assert "a fault of the command itself: ValueError" in done.err


def test_the_environment_gives_the_options_and_the_command_line_goes_first(
    cli: Cli, redis_client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAXLINE_REDIS_URL", redis_url)
    monkeypatch.setenv("FAXLINE_ACCOUNT", "acme")
    assert run(["send", "--to", NUMBER, URL]) == 0
    assert redis_client.xlen(RedisKeys("acme").intake) == 1
    assert run(["send", "--to", NUMBER, URL, "--account", "globex"]) == 0
    assert redis_client.xlen(RedisKeys("globex").intake) == 1
    assert cli("show", "--account=default", "a").code == 4


def test_what_follows_two_dashes_is_no_option(cli: Cli) -> None:
    assert "no job '--account'" in cli("show", "--", "--account").err


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
    assert rows[0] == ["id", "state", "priority", "to", "age", "reason", "waits", "until", "policy"]
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


@pytest.mark.parametrize(
    ("state", "reason", "says"),
    [
        ("canceled", "canceled_before_sending", "`faxline audit --job a` says who ordered it"),
        ("failed", "operator", "`faxline audit --job a` says who ordered it"),
        ("unconfirmed", "no_receipt", "`faxline show a --reveal` says by what"),
    ],
)
def test_explain_says_where_to_look_for_what_the_record_does_not_say(
    cli: Cli, record: Callable[..., None], state: str, reason: str, says: str
) -> None:
    record("a", state, reason=reason)
    assert says in cli("explain", "a").out


def test_an_empty_member_of_an_event_is_left_out(cli: Cli, emit: Callable[..., None]) -> None:
    emit("rejected", "a", reason="backlog_full", member="", message="the backlog is full")
    output = cli("events", "--after", "0", "--timeout", "0.1").out
    assert output.rstrip().endswith("a  reason backlog_full, message the backlog is full")


def test_json_may_stand_before_the_command(cli: Cli, record: Callable[..., None]) -> None:
    record("a", "queued")
    asked = cli("--json", "show", "a")
    assert (asked.code, json.loads(asked.out)["state"]) == (0, "queued")
    assert cli("--json", "show", "--", "a").out == asked.out
    assert cli("--json", "accounts").out.startswith(("[", "{"))


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
    ("state", "code", "says"),
    [("", 4, "no job 'a' on account 'default'"), ("queued", 1, "a is queued and iFax has not taken it")],
)
def test_what_intake_would_not_send_again_is_told_and_nothing_is_pushed(  # noqa: PLR0917 - the examples' columns
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


@pytest.mark.parametrize(
    ("event", "data", "code", "says"),
    [
        ("canceled", {"reason": "canceled_before_sending"}, 0, "a is canceled"),
        ("cancel_refused", {"reason": "submitted", "state": "submitted"}, 1, "it is submitted already"),
        ("cancel_refused", {"reason": "final", "state": "delivered"}, 1, "it is delivered already"),
        ("cancel_refused", {"reason": "unknown_job"}, 4, "no job 'a'"),
    ],
)
def test_cancel_tells_what_became_of_it(  # noqa: PLR0917 - the examples' columns
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


LIMIT = LimitState(0, 20, 20)
STATE = AccountState(
    name="default",
    now=AT * 1000,
    jobs=dict.fromkeys(
        ("queued", "submitting", "submitted", "in_doubt", "delivered", "failed", "canceled", "unconfirmed"), 0
    ),
    oldest={"urgent": 0.0, "normal": 0.0, "bulk": 0.0},
    concurrency=LimitState(20, 20, 20),
    window=LimitState(1000, 1000, 1000),
    burst=LimitState(49.26, 50, 50),
    window_us=3_600_000_000,
    limit_factor=1.0,
    concurrency_backoff=0,
    cooldown_until=0,
    paused="",
    probe_at=0,
    seconds=None,
    dead=0,
)
LATER = NOW + timedelta(seconds=12)
LOWERED = replace(
    STATE, concurrency=LimitState(5, 5, 20), window=LimitState(500, 500, 1000), limit_factor=0.5
)


def queued(hold: Hold, place: int = 3, **more: Any) -> Job:
    forecast = Forecast(
        hold, place, more.pop("start", LATER), more.pop("paused", ""), more.pop("free_at", None)
    )
    return Job(id="a", account="default", state=JobState.QUEUED, forecast=forecast, **more)


@pytest.mark.parametrize(
    ("job", "state", "says"),
    [
        (queued(Hold.NOTHING, 0), STATE, "No job is before it|The next free worker takes it"),
        (queued(Hold.PLACE, 1), STATE, "1 job is before it|No limit holds it|(in 12 s)"),
        (
            queued(Hold.CONCURRENCY),
            STATE,
            "3 jobs are before it|concurrency limit (20 of 20 used)|expected to start at|(in 12 s)",
        ),
        (queued(Hold.WINDOW), STATE, "hourly limit (1000 of 1000 used)|expected to start at|(in 12 s)"),
        (
            queued(Hold.WINDOW, 0),
            STATE,
            "Waiting for the hourly limit (1000 of 1000 used). The next slot opens at|(in 12 s)",
        ),
        (queued(Hold.WINDOW), replace(STATE, window_us=7_200_000_000), "limit of requests per 2 h"),
        (queued(Hold.BURST), STATE, "burst limit (50 of 50 used)|(in 12 s)"),
        (
            queued(Hold.WINDOW),
            LOWERED,
            "500 of 500|of 1000 is lowered because iFax answered 429",
        ),
        (
            queued(Hold.CONCURRENCY),
            replace(LOWERED, concurrency_backoff=5),
            "5 of 5|lowered because calls hang",
        ),
        (
            queued(Hold.COOLDOWN, free_at=LATER),
            STATE,
            "iFax answered 429, so the whole account waits until|(in 12 s)",
        ),
        (
            queued(Hold.RETRY, free_at=LATER, attempt=2, reason="unavailable", code=-7),
            STATE,
            "Attempt 2 was not taken (unavailable, code -7)|the next one is due at|(in 12 s)",
        ),
        (
            queued(Hold.PAUSED, start=None, paused=OPERATOR),
            STATE,
            "paused by an operator|`faxline accounts resume default`|Its start time is unknown",
        ),
        (
            queued(Hold.PAUSED, start=None, paused="bad_key", free_at=LATER),
            STATE,
            "paused: bad_key|next probe goes at|(in 12 s)",
        ),
        (
            queued(Hold.PAUSED, start=None, paused="unreachable", free_at=LATER),
            replace(
                STATE,
                jobs={"queued": 412},
                paused="unreachable",
                paused_since=(AT - 60_000) * 1000,
                paused_by="pod-1:7",
                paused_why="connection refused",
            ),
            "been unreachable since |(connection refused)|412 jobs wait|pod-1:7 found it",
        ),
        (
            queued(Hold.PAUSED, start=None, paused="breaker", free_at=LATER),
            replace(STATE, paused="breaker", paused_why="Professional plan isn't activated"),
            "unknown meaning (Professional plan isn't activated)|next probe goes at",
        ),
        (
            queued(Hold.RETRY, free_at=LATER, attempt=0, reason="unknown_refusal", code=12004),
            STATE,
            "(unknown_refusal, code 12004)|spends no attempt|next try is due at",
        ),
        (
            Job(id="a", account="default", state=JobState.SUBMITTING, attempt=2, updated_at=NOW),
            STATE,
            "being submitted, attempt 2|(in 0 s)|waits for iFax's answer",
        ),
        (
            Job(id="a", account="default", state=JobState.SUBMITTED, job_id=7, waits_until=LATER),
            STATE,
            "jobId 7|waits for the receipt|unconfirmed at|(in 12 s)",
        ),
        (
            Job(
                id="a",
                account="default",
                state=JobState.IN_DOUBT,
                attempt=1,
                reason="read_timeout",
                message="iFax did not answer in time",
                waits_until=LATER,
                policy="resend",
            ),
            STATE,
            (
                "in doubt|Why: read_timeout (iFax did not answer in time).|its policy applies at"
                "|resend: it is sent again|(in 12 s)|`faxline resolve a --accepted JOBID`"
            ),
        ),
        (
            Job(id="a", account="acme", state=JobState.IN_DOUBT),
            STATE,
            (
                "an operator decides|`faxline --account acme show a --reveal`"
                "|`faxline --account acme resolve a --accepted JOBID`|`--fail`"
            ),
        ),
        (Job(id="a", account="default", state=JobState.QUEUED), STATE, "about to be submitted"),
        (
            Job(id="a", account="default", state=JobState.DELIVERED, pages=3, transferred=3),
            STATE,
            "has ended: delivered, 3 of 3 pages",
        ),
        (
            Job(id="a", account="default", state=JobState.FAILED, reason="busy", code=-5, message="Busy"),
            STATE,
            "failed: busy, code -5 (Busy)",
        ),
        (Job(id="a", account="default", state=JobState.UNCONFIRMED), STATE, "no receipt came in time"),
    ],
)
def test_what_holds_a_job_is_said_in_plain_sentences(job: Job, state: AccountState, says: str) -> None:
    text = "\n".join(explanation(job, state))
    for part in says.split("|"):
        assert part in text
    assert all(sentence[-1] == "." for sentence in text.splitlines())


def test_explain_tells_it_for_people_and_for_machines(
    cli: Cli, record: Callable[..., None], redis_client: redis.Redis
) -> None:
    record("a", "queued")
    redis_client.zadd(KEYS.ready, {"b": 1, "a": 2})
    limits: Any = {"requests": 1, "window": 3_600_000_000, "concurrency": 1, "burst": 0}
    redis_client.hset(KEYS.account_state, mapping=limits)
    clock: Any = redis_client.time()
    redis_client.zadd(KEYS.answers, {"t": clock[0] * 1_000_000})
    alone = partial(cli, "explain", "a", at_work=())
    assert "1 job is before it.\nWaiting for the hourly limit" in alone().out
    payload = alone("--json").json
    assert (payload["hold"], payload["place"], payload["state"]) == ("window", 1, "queued")
    assert payload["limit"] == {"used": 1, "effective": 1, "configured": 1}
    assert payload["expected_start"]
    nobody = "No part of the daemon is at work on this Redis; `faxline doctor` says more."
    assert payload["text"][3:] == [nobody]
    assert cli("explain", "a", at_work=["webhook"]).out.splitlines()[-2:] == [
        f"No {role} is at work for account default: start one; `faxline doctor` says more."
        for role in ("dispatcher", "worker")
    ]
    assert len(cli("explain", "a", "--json").json["text"]) == 3


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
        "the name right? They have acme, default.\nfaxline: no job 'a' on account 'acmee'"
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


def test_explain_of_a_rejected_entry_tells_the_rejection(cli: Cli, emit: Callable[..., None]) -> None:
    emit("rejected", "a", reason="too_many_pages", member="fax.faxData", message="200 pages at most")
    assert cli("explain", "a").out == (
        "a was rejected by intake and is no job: fax.faxData: 200 pages at most.\n"
    )
    payload = cli("explain", "a", "--json").json
    assert (payload["state"], payload["reason"]) == ("rejected", "too_many_pages")


def test_accounts_shows_every_known_account_and_the_one_that_is_named(
    cli: Cli, redis_client: redis.Redis
) -> None:
    assert [state["account"] for state in cli("accounts", "--json").lines] == ["default"]
    redis_client.sadd(ACCOUNTS, "globex", "acme")
    assert [state["account"] for state in cli("accounts", "--json").lines] == ["acme", "globex"]
    found = cli("accounts", "--json", "--account", "other").lines
    assert [state["account"] for state in found] == ["acme", "globex", "other"]
    assert [state["account"] for state in cli("accounts", "show", "x", "y", "--json").lines] == ["x", "y"]


@pytest.mark.parametrize(
    ("used", "shown"), [(0, "0 of 50"), (0.03, "1 of 50"), (1.0, "1 of 50"), (12.4, "13 of 50")]
)
def test_what_is_used_of_a_burst_is_told_in_whole_requests(used: float, shown: str) -> None:
    assert used_of(LimitState(used, 50, 50)) == shown


def test_the_accounts_table_tells_limits_backlog_and_what_holds_them(
    cli: Cli, redis_client: redis.Redis
) -> None:
    clock: Any = redis_client.time()
    now = clock[0] * 1_000_000
    limits = {"requests": 1000, "window": 3_600_000_000, "concurrency": 20, "burst": 50}
    accounts: dict[str, dict[str, Any]] = {
        "a": {},
        "b": {"paused": OPERATOR, "ceiling_jobs": 500, "taken": 30, "done:failed": 7, "ceiling_bytes": 0},
        "c": {"paused": "bad_key", "probe_at": now + 3_000_000_000},
        "f": {
            "paused": "unreachable",
            "probe_at": now + 3_000_000,
            "paused_at": now - 60_000_000,
            "paused_why": f"{now - 60_000_000} connection refused",
            "paused_by": f"{now - 61_000_000} of-an-older-pause:1",
        },
        "d": {"gate": now + 3_000_000_000, "share": 0.5, "share_at": now + 3_000_000_000},
    }
    for name, more in accounts.items():
        redis_client.hset(RedisKeys(name).account_state, mapping=limits | more)
    redis_client.zadd(RedisKeys("a").in_doubt, {"x": 1, "y": 2})
    for role, host in (("dispatcher", "node-1"), ("dispatcher", "node-2"), ("worker", "node-1")):
        beat(redis_client, role, host, accounts=["a"])
    done = cli("accounts", "show", *accounts, "e", at_work=())
    lines = done.out.splitlines()
    rows = {line.split()[0]: line for line in lines[1:7]}
    more = dict(line.split(": ", 1) for line in lines[7:-1])
    assert lines[-1] == "2 dispatchers, 1 worker, no webhook at work"
    assert [*rows] == [*accounts, "e"]
    assert max(map(len, lines[:7])) <= 80
    assert re.search(r"open +0 of 20 +0 of 1000 +0 of 50 +2 in doubt$", rows["a"])
    assert re.search(r"^b +paused ", rows["b"])
    assert more["b"] == "paused, by an operator; ceilings: 23 of 500 jobs"
    assert re.search(r"^c +paused ", rows["c"])
    assert re.search(r"paused, bad_key, next probe [-0-9: ]+ \(in (49|50) min", more["c"])
    assert re.search(r"^f +unreachable ", rows["f"])
    assert re.search(r"unreachable, since .* \(connection refused\), next probe", more["f"])
    found = cli("accounts", "show", "f", "--json").json
    assert (found["paused_why"], found["paused_by"]) == ("connection refused", None)
    assert found["paused_since"] is not None
    assert re.search(r"^d +429 +0 of 10 +0 of 500 +0 of 25 ", rows["d"])
    lowered = "limits are lowered: calls from 20, window from 1000, burst from 50"
    assert re.search(f"^429, closed until .*; {lowered}$", more["d"])
    assert "never run" in rows["e"]
    state = cli("accounts", "show", "d", "--json", at_work=()).json
    assert state["limits"]["window"] == {"used": 0, "effective": 500, "configured": 1000}
    assert state["cooldown_until"]
    assert state["at_work"] == {"dispatcher": 0, "worker": 0, "webhook": 0}
    assert cli("accounts", "show", "a", "--json", at_work=()).json["at_work"]["dispatcher"] == 2
    backlog = cli("accounts", "show", "b", "--json").json["backlog"]
    assert backlog == {"jobs": {"used": 23, "ceiling": 500}, "bytes": {"used": 0, "ceiling": 0}}


@pytest.mark.parametrize(("order", "after"), [("pause", OPERATOR), ("resume", "")])
def test_pause_and_resume_tell_the_state_after_it(
    cli: Cli, daemon: Callable[..., None], order: str, after: str
) -> None:
    said = {}

    def carry_out(client: Any, entry: str, fields: dict[bytes, bytes]) -> None:
        said.update(fields)
        client.hset(KEYS.account_state, "paused", after)
        client.xdel(KEYS.orders, entry)
        client.xadd(KEYS.reply(entry), {"result": "done"})

    daemon(KEYS.orders, carry_out)
    done = cli("accounts", order, "default", *(["--yes"] if order == "pause" else []), "--timeout", "20")
    assert done.code == 0
    is_so = "paused (operator)" if after else "open"
    assert done.out == f"account default is {is_so}, 0 jobs queued\n"
    assert said[b"order"] == order.encode()
    assert b"@" in said[b"by"]


def test_an_order_that_nobody_carries_out_is_exit_code_3_and_stays(
    cli: Cli, redis_client: redis.Redis
) -> None:
    done = cli("accounts", "pause", "default", "--yes", "--timeout", "0.05")
    assert (done.code, done.out) == (3, "")
    assert "no dispatcher carried out 'pause' for account 'default'" in done.err
    assert "the order stays" in done.err
    assert redis_client.xlen(KEYS.orders) == 1


@pytest.mark.parametrize(("answer", "code", "orders"), [("n", 2, 0), ("", 2, 0), ("y", 3, 1)])
def test_a_pause_is_asked_about_at_a_terminal(  # noqa: PLR0917 - the examples' columns
    redis_client: redis.Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    code: int,
    orders: int,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer and f"{answer}\n"))
    assert run(["--redis", redis_url, "accounts", "pause", "default", "--timeout", "0.05"]) == code
    assert redis_client.xlen(KEYS.orders) == orders


def test_a_length_of_time_is_said_in_two_units_at_most() -> None:
    lengths = {0.4: "0 s", 12: "12 s", 60: "1 min", 125: "2 min 5 s", 7500: "2 h 5 min", 273_600: "3 d 4 h"}
    assert {seconds: span(seconds) for seconds in lengths} == lengths


def test_a_moment_has_its_date_if_that_is_another_day() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d \(1 min ago\)", moment(NOW - timedelta(minutes=1), NOW))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(in 2 d\)", moment(NOW + timedelta(days=2), NOW))


@pytest.mark.parametrize(
    ("zone", "at"), [("UTC-9", datetime.max.replace(tzinfo=UTC)), ("UTC+9", datetime.min.replace(tzinfo=UTC))]
)
def test_a_moment_at_the_end_of_the_calendar_is_shown_wherever_one_is(
    monkeypatch: pytest.MonkeyPatch, zone: str, at: datetime
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert clock(at, NOW) == f"{at:%Y-%m-%d %H:%M:%S}"
    finally:
        monkeypatch.undo()
        time.tzset()
