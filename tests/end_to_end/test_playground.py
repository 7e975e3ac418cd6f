"""The playground: one command starts everything, says where it is, and ends cleanly."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from faxline import FaxLine, JobState
from faxline_local.playground import run
from faxline_local.processes import PartFailedError

pytestmark = pytest.mark.slow


class Playground:
    """The command, once it has told where everything is."""

    def __init__(self, logs: Path) -> None:
        command = [sys.executable, "-m", "faxline_worker", "playground", "--logs", str(logs)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert self.process.stdout is not None
        self.printed = ""
        for line in self.process.stdout:
            self.printed += line
            if line.startswith("    logs"):
                break

    @property
    def redis_url(self) -> str:
        found = re.search(r"export FAXLINE_REDIS_URL=(\S+)", self.printed)
        assert found, self.printed
        return found[1]

    @property
    def exports(self) -> dict[str, str]:
        """The variables that it tells another shell to set."""
        return dict(re.findall(r"export (\S+)=(\S+)", self.printed))

    def children(self) -> dict[int, list[str]]:
        """The processes that it started, and the words of their commands."""
        pid = self.process.pid
        pids = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(one): Path(f"/proc/{one}/cmdline").read_text().split("\0")[:-1] for one in pids}

    def end(self) -> tuple[int, str]:
        rest, _ = self.process.communicate(timeout=60)
        return self.process.returncode, rest


@pytest.fixture
def playground(tmp_path: Path) -> Iterator[Playground]:
    running = Playground(tmp_path)
    yield running
    running.process.send_signal(signal.SIGINT)
    running.process.communicate(timeout=60)


def test_a_fax_is_delivered_at_the_url_that_is_printed_and_ctrl_c_ends_everything(
    playground: Playground,
) -> None:
    with FaxLine(playground.redis_url) as line:
        job = line.send(to="+12025550123", files=["https://example.com/a.pdf"])
        assert line.wait(job, timeout=30).state is JobState.DELIVERED
    children = (
        Path(f"/proc/{playground.process.pid}/task/{playground.process.pid}/children").read_text().split()
    )
    playground.process.send_signal(signal.SIGINT)
    code, rest = playground.end()
    assert (code, "ended" in rest) == (0, True)
    assert len(children) >= 5
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


def test_a_busy_number_fails_within_seconds_not_after_the_minutes_between_deliveries(
    playground: Playground,
) -> None:
    with FaxLine(playground.redis_url) as line:
        job = line.send(to="+12025550017", files=["https://example.com/a.pdf"])
        ended = line.wait(job, timeout=60)
        assert (ended.state, ended.reason, ended.attempt) == (JobState.FAILED, "busy", 3)


def test_a_part_that_ends_by_itself_is_named_and_ends_the_playground(playground: Playground) -> None:
    (webhook,) = (pid for pid, command in playground.children().items() if command[-1] == "webhook")
    os.kill(webhook, signal.SIGKILL)
    code, rest = playground.end()
    assert code == 1
    assert "webhook-3 ended by itself" in rest


def test_a_user_who_is_added_with_the_variables_that_are_printed_gets_a_link_that_signs_in(
    playground: Playground,
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAXLINE_")}

    def users(*words: str) -> str:
        command = [sys.executable, "-m", "faxline_worker", "console", "users", *words]
        return subprocess.run(
            command, env=kept | playground.exports, check=True, capture_output=True, text=True
        ).stdout

    assert "ada was added" in users("add", "ada", "--role", "clerk", "--no-password")
    link = users("link", "ada").strip()
    with httpx.Client(trust_env=False) as client:
        assert client.get(link).is_success
        assert httpx.URL(link).netloc == httpx.URL(playground.exports["FAXLINE_CONSOLE__URL"]).netloc


def test_the_doctor_reaches_the_playgrounds_ifax_with_the_variables_that_are_printed(
    playground: Playground,
) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAXLINE_")}
    done = subprocess.run(
        [str(Path(sys.executable).with_name("faxline")), "doctor"],
        env=kept | playground.exports,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_part_that_does_not_start_is_told_without_marks_of_style_and_with_advice_that_helps(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise PartFailedError("console did not start:\ncannot listen on port 9105")

    monkeypatch.setattr("faxline_local.playground.Local", fail)
    assert run(tmp_path) == 1
    told = capsys.readouterr().out
    assert told.startswith("Starting Redis")
    assert "[red]" not in told
    assert "start it again" in told
