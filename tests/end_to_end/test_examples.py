"""The examples in other languages, as their readers run them, against the daemon and the sandbox."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from faxline import FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline.schema import events_schema
from faxline_local.processes import free_port
from faxline_local.stack import Local
from tests.npm import do_without, installed

EXAMPLES = Path(__file__).parents[2] / "producers" / "examples"
SETTINGS = {"REQUEST_RETENTION": "600", "LIMITS__BURST": "400", "WAKE_LEASE": "2", "SWEEP": "2"}
SANDBOX = ("--call-seconds", "0.1", "--page-seconds", "0.02", "--time-scale", "0.001", "--burst", "400")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.one_server(
        "the examples are redis-cli and a plain Redis client of Node, which know no URL of a cluster"
    ),
]

LANGUAGES = ("bash", "node")


@pytest.fixture(scope="module")
def local(make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("logs")
    with make_local(folder, threads=4, settings=SETTINGS, sandbox=SANDBOX) as running:
        yield running


@pytest.fixture
def line(local: Local) -> Iterator[FaxLine]:
    with FaxLine(local.url_of("operator")) as made:
        yield made


def bash() -> list[str]:
    for program in ("bash", "redis-cli", "sha256sum"):
        if shutil.which(program) is None:
            do_without(f"{program} is not on this machine")
    version = subprocess.run(
        ["redis-cli", "--version"],  # noqa: S607 - found on the PATH above
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()[1]
    if int(version.split(".")[0]) < 7:
        do_without(f"redis-cli is {version}, and the example needs 7.0")
    return [str(EXAMPLES / "bash" / "fax.sh")]


@pytest.fixture(scope="module", params=LANGUAGES)
def language(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def program(language: str, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """How the example is started."""
    if language == "bash":
        return bash()
    folder = installed(EXAMPLES / "node", tmp_path_factory.mktemp("npm") / "node")
    return ["node", str(folder / "fax.js")]


@pytest.fixture
def start(program: list[str], local: Local) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start the example with these arguments."""
    started = []

    def begin(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        environment = os.environ | {"REDIS_URL": local.url_of("producer"), "WAIT": "60"} | variables
        pipe = subprocess.PIPE
        started.append(
            subprocess.Popen([*program, *arguments], env=environment, stdout=pipe, stderr=pipe, text=True)
        )
        return started[-1]

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
        process.communicate()


@pytest.fixture
def fax(start: Callable[..., subprocess.Popen[str]]) -> Callable[..., tuple[int, list[str], str]]:
    """Run the example; its exit code, its lines and what it says of an error."""

    def run(*arguments: str, **variables: str) -> tuple[int, list[str], str]:
        process = start(*arguments, **variables)
        out, error = process.communicate(timeout=120)
        return process.returncode, out.splitlines(), error

    return run


@pytest.fixture
def letter(tmp_path: Path) -> str:
    """A file whose name is unkind to whoever writes JSON by hand."""
    path = tmp_path / 'a "letter"\\ for\tMr. $HOME é %s.txt'
    path.write_text("Dear Sir or Madam")
    return str(path)


Run = Callable[..., tuple[int, list[str], str]]
Queued = Callable[[str, str, str], "subprocess.Popen[str]"]


@contextmanager
def paused(line: FaxLine) -> Iterator[None]:
    """Nothing is sent meanwhile."""
    line.pause(by="a test", timeout=30)
    try:
        yield
    finally:
        line.resume(by="a test", timeout=30)


@pytest.fixture
def queued(
    start: Callable[..., subprocess.Popen[str]],
    local: Local,
    line: FaxLine,
    wait_until: Callable[..., Any],
) -> Queued:
    """Start to send an ID to a NUMBER, and wait until its job is queued."""

    def begin(name: str, number: str, path: str) -> subprocess.Popen[str]:
        sending = start("send", name, number, path)
        with connect(local.redis_url) as client:
            wait_until(lambda: client.hget(line.keys.job(name), "state") == b"queued", timeout=30)
        return sending

    return begin


def accepted(local: Local, number: str) -> int:
    return sum(entry["toNumber"] == number for entry in local.ledger())


def test_a_fax_is_delivered_and_a_second_push_of_it_sends_nothing(
    language: str, fax: Run, letter: str, local: Local, line: FaxLine
) -> None:
    number = {"bash": "+12025550131", "node": "+12025550132"}[language]
    printed = ["fax.queued", "fax.submitted", "fax.delivered normal_clearing"]
    assert fax("send", f"{language}:good", number, letter) == (0, printed, "")
    assert fax("send", f"{language}:good", number, letter) == (0, ["the record says delivered"], "")
    assert accepted(local, number) == 1
    with connect(local.redis_url) as client:
        request = json.loads(client.hget(line.keys.job(f"{language}:good"), "request") or "{}")
        kept = line.keys.document(request["faxData"][0]["document"].removeprefix("sha256:"))
        assert client.get(kept) == Path(letter).read_bytes()
        assert 0 < client.ttl(kept) <= 7 * 86400
    assert request["faxData"][0]["fileName"] == Path(letter).name


def test_a_fax_that_fails_says_why(language: str, fax: Run, letter: str) -> None:
    code, printed, _ = fax("send", f"{language}:bad", "+12025550001", letter)
    assert code == 1
    assert printed == ["fax.queued", "fax.submitted", "fax.failed unallocated_number"]


def test_a_rejected_entry_says_which_member_why_and_how_to_mend_it(
    language: str, fax: Run, letter: str
) -> None:
    code, [printed], error = fax("send", f"{language}:no-number", "0123", letter)
    assert (code, error) == (2, "")
    assert printed.startswith("fax.rejected bad_number (fax.faxNumber): not a fax number; ")
    printed = "fax.rejected bad_id (id): an id is 1 to 128 of A-Z a-z 0-9 . _ : -"
    assert fax("send", 'an "id"', "+12025550123", letter) == (2, [printed], "")


def test_an_id_that_was_used_for_another_fax_is_rejected_though_that_fax_was_delivered(
    language: str, fax: Run, letter: str
) -> None:
    assert fax("send", f"{language}:used", "+12025550123", letter)[0] == 0
    code, [printed], error = fax("send", f"{language}:used", "+12025550124", letter)
    assert (code, error) == (2, "")
    assert printed.startswith("fax.rejected id_reused (id): ")


def test_a_rejection_of_somebody_elses_push_under_the_same_id_is_not_taken_for_ones_own(
    language: str, fax: Run, letter: str, line: FaxLine, queued: Queued
) -> None:
    name = f"{language}:ours"
    with paused(line):
        sending = queued(name, "+12025550123", letter)
        assert fax("send", name, "+12025550124", letter)[0] == 2
    out, _ = sending.communicate(timeout=60)
    assert sending.returncode == 0
    assert "rejected" not in out


def test_a_queued_fax_is_canceled_and_whoever_follows_it_hears_of_it(
    language: str, fax: Run, letter: str, line: FaxLine, queued: Queued
) -> None:
    name = f"{language}:unwanted"
    with paused(line):
        sending = queued(name, "+12025550133", letter)
        assert fax("cancel", name) == (0, ["fax.canceled canceled_before_sending"], "")
        out, error = sending.communicate(timeout=60)
    printed = ["fax.queued", "fax.canceled canceled_before_sending"]
    assert (sending.returncode, out.splitlines(), error) == (1, printed, "")
    assert line.job(name).state is JobState.CANCELED


def test_a_cancel_that_is_refused_says_why(language: str, fax: Run, letter: str) -> None:
    assert fax("cancel", f"{language}:nobody") == (1, ["fax.cancel_refused unknown_job"], "")
    assert fax("send", f"{language}:late", "+12025550123", letter)[0] == 0
    assert fax("cancel", f"{language}:late")[:2] == (1, ["fax.cancel_refused final"])


def test_bad_usage_ends_with_2_and_says_what_is_right(fax: Run) -> None:
    for arguments in ((), ("send", "a"), ("cancel",), ("cancel", "a", "b"), ("fax", "a")):
        code, printed, error = fax(*arguments)
        assert (code, printed) == (2, [])
        assert "usage:" in error
    code, _, error = fax("send", "a", "+12025550123", "/no/such/file")
    assert code == 2
    assert "/no/such/file" in error


def test_a_redis_that_is_away_ends_with_3_and_says_why(fax: Run, letter: str) -> None:
    away = f"redis://127.0.0.1:{free_port()}/0"
    for arguments in (("send", "a", "+12025550123", letter), ("cancel", "a")):
        code, printed, error = fax(*arguments, REDIS_URL=away)
        assert (code, printed) == (3, [])
        assert "refused" in error.lower()


def test_a_time_that_is_over_ends_with_3_and_the_fax_goes_on(
    language: str, fax: Run, letter: str, line: FaxLine
) -> None:
    with paused(line):
        code, _, error = fax("send", f"{language}:slow", "+12025550123", letter, WAIT="1")
    assert (code, bool(error)) == (3, True)
    assert fax("send", f"{language}:slow", "+12025550123", letter)[0] == 0


def test_an_account_without_a_daemon_gets_nothing_of_another(fax: Run, letter: str, line: FaxLine) -> None:
    code, printed, _ = fax("send", "elsewhere", "+12025550123", letter, FAXLINE_ACCOUNT="acme", WAIT="1")
    assert (code, printed) == (3, [])
    assert all(event.job != "elsewhere" for event in line.events(after="0", timeout=1))


def test_every_event_of_the_run_fits_the_schema(local: Local, line: FaxLine) -> None:
    validator = Draft202012Validator(events_schema())
    line.send(to="+12025550204", files=["https://example.com/a.pdf"], id="doubt", metadata={"a": [1.5, None]})
    next(event for event in line.events(after="0", timeout=60) if event.name == "fax.in_doubt")
    with connect(local.redis_url) as client:
        raw: Any = client.xrange(line.keys.events)
    seen = set()
    for _, fields in raw:
        entry: dict[str, Any] = {name.decode(): value.decode() for name, value in fields.items()}
        entry["data"] = json.loads(entry["data"])
        assert [error.message for error in validator.iter_errors(entry)] == [], entry["event"]
        seen.add(entry["event"])
    assert seen >= {"fax.queued", "fax.submitted", "fax.in_doubt"}
