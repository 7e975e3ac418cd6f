"""How the command `faxline` is called: help, options, environment, exit codes."""

import json
import re
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import redis

import faxline
from faxline.cli.app import SECTIONS
from faxline.cli.running import run
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.cli import app as worker_app
from tests.stage.command_line import NUMBER, URL, Cli

COMMANDS = [
    *("send", "show", "list", "group", "wait", "cancel", "resend", "events", "explain", "accounts"),
    *("resolve", "dead", "keys", "forget"),
]


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
        (["list", "--state", "delivered"], "queued; `faxline find --state delivered` asks the archive"),
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


def test_json_may_stand_before_the_command(cli: Cli, record: Callable[..., None]) -> None:
    record("a", "queued")
    asked = cli("--json", "show", "a")
    assert (asked.code, json.loads(asked.out)["state"]) == (0, "queued")
    assert cli("--json", "show", "--", "a").out == asked.out
    assert cli("--json", "accounts").out.startswith(("[", "{"))
