"""The command `faxline` beside the running daemon, as an operator types it."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from faxline.cli.running import run
from faxline_local.stack import Local, token_of
from tests.stage.command_line import Cli, Result

TO = ("--to", "+12025550123", "https://example.com/a.pdf")
SETTINGS = {
    "WAKE_LEASE": "2",
    "SWEEP": "2",
    "ACCOUNTS__NARROW__TOKEN": token_of("narrow"),
    "ACCOUNTS__NARROW__LIMITS__REQUESTS": "1",  # in the hour
}
SANDBOX = (
    *("--call-seconds", "0.1", "--page-seconds", "0.02", "--answer-seconds", "0.01", "0.1"),
    *("--account", "narrow"),
)


@pytest.fixture(scope="module")
def local(make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("logs")
    with make_local(folder, threads=4, settings=SETTINGS, sandbox=SANDBOX) as running:
        yield running


@pytest.fixture
def cli(local: Local, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    """The command in this process, which is quicker; one test starts it as a process of its own."""
    monkeypatch.setenv("FAXLINE_REDIS_URL", local.url_of("operator"))

    def call(*arguments: str, account: str = "default") -> Result:
        monkeypatch.setenv("FAXLINE_ACCOUNT", account)
        code = run(arguments)
        return Result(code, *capsys.readouterr())

    return call


def test_a_paused_account_holds_its_jobs_and_says_so_until_it_is_resumed(
    cli: Cli, wait_until: Callable[..., Any]
) -> None:
    paused = cli("accounts", "pause", "default", "--yes", "--timeout", "30")
    assert (paused.code, paused.err) == (0, "")
    assert "account default is paused (operator)" in paused.out
    assert cli("accounts", "pause", "default", "--yes", "--timeout", "30").code == 0  # it is so already
    assert cli("send", *TO, "--id", "held").out == "held\n"
    wait_until(lambda: "queued" in cli("show", "held").out, timeout=30)
    output = cli("explain", "held")
    assert "held is queued on account default with priority normal. No job is before it.\n" in output.out
    assert "The account is paused by an operator (" in output.out
    assert "`faxline accounts resume default` opens it.\n" in output.out
    shown = cli("show", "held", "--json").json
    assert (shown["state"], shown["hold"], shown["place"], shown["attempt"]) == ("queued", "paused", 0, 0)
    assert cli("accounts", "resume", "default", "--timeout", "30").code == 0
    assert cli("wait", "held", "--timeout", "60", "--json").json["state"] == "delivered"


def test_a_job_behind_an_exhausted_window_says_which_limit_holds_it_and_when_it_will_start(
    cli: Cli, wait_until: Callable[..., Any]
) -> None:
    def narrow(*arguments: str) -> Result:
        return cli(*arguments, account="narrow")

    assert narrow("send", *TO, "--id", "first").code == 0
    wait_until(lambda: narrow("list", "--state", "submitted", "--json").out, timeout=30)
    assert narrow("send", *TO, "--id", "second").code == 0
    wait_until(lambda: narrow("list", "--state", "queued", "--json").out, timeout=30)
    payload = narrow("explain", "second", "--json").json
    assert (payload["state"], payload["hold"], payload["place"]) == ("queued", "window", 0)
    assert payload["limit"] == {"used": 1, "effective": 1, "configured": 1}
    assert payload["expected_start"]
    assert "Waiting for the hourly limit (1 of 1 used)" in "\n".join(payload["text"])
    assert narrow("cancel", "second", "--timeout", "30").out == "second is canceled\n"
    assert narrow("explain", "second", "--json").json["reason"] == "canceled_before_sending"
    assert narrow("cancel", "first", "--timeout", "30").code == 1


def test_a_fax_is_sent_and_waited_for_in_one_command(local: Local, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Hello")
    command = [str(Path(sys.executable).with_name("faxline")), "send", "--to", "+12025550123"]
    done = subprocess.run(
        [*command, str(tmp_path / "a.txt"), "--wait", "--timeout", "60", "--json"],
        env=local.environment("producer"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    job = json.loads(done.stdout)
    assert (job["state"], job["attempt"], job["to"]) == ("delivered", 1, "…0123")


def test_a_mailing_goes_from_a_csv_file_to_its_end_and_the_same_command_sends_nothing_twice(
    local: Local, cli: Cli, tmp_path: Path
) -> None:
    numbers = [f"+120255501{i:02}" for i in range(40)]
    (tmp_path / "r.csv").write_text("to;subject\n" + "".join(f"{n};mailing {n}\n" for n in numbers))
    (tmp_path / "a.txt").write_text("Hello")
    command = ("send", "--csv", str(tmp_path / "r.csv"), "--file", str(tmp_path / "a.txt"), "--group", "june")
    for _ in range(2):
        done = cli(*command, "--wait", "--timeout", "120", "--json")
        assert (done.code, done.err) == (0, "")
        *jobs, last = [json.loads(line) for line in done.out.splitlines()]
        assert [job["id"] for job in jobs] == [f"june.{i}" for i in range(1, 41)]
        assert (last["counts"], last["pages"], last["transferred"]) == ({"delivered": 40}, 40, 40)
    assert sum((fax["subject"] or "").startswith("mailing ") for fax in local.ledger()) == 40
    assert cli("group", "june", "--json").json["counts"] == {"delivered": 40}


def test_every_account_of_the_dispatcher_is_shown(cli: Cli) -> None:
    *rows, present = cli("accounts").out.splitlines()
    shown = [line.split()[:2] for line in rows[:3]]
    assert shown == [["account", "status"], ["default", "open"], ["narrow", "open"]]
    assert present == "1 dispatcher, 1 worker, 1 webhook at work"
