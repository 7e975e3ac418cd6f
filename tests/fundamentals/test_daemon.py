"""The daemon: all of its processes on this machine, with an iFax that sends no fax."""

import json
from collections.abc import Iterator

import pytest
import redis

from faxline import FaxLine, JobState
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local

LETTER = ("letter.txt", b"Dear Dr. Smith, ...")
SANDBOX = (
    *("--call-seconds", "0.1", "--page-seconds", "0.01", "--answer-seconds", "0.05", "0.1"),
    *("--concurrency", "2"),
)
SETTINGS = {
    "LIMITS__CONCURRENCY": "2",  # requests to iFax at once
    "RETRIES__DELIVERY__BUSY": "0.1",  # seconds until a busy number is called again
}


@pytest.fixture(scope="module")
def local(server_binary: ServerBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("logs")
    with Local(folder, settings=SETTINGS, sandbox=SANDBOX, binary=server_binary) as running:
        yield running


@pytest.fixture
def line(local: Local) -> Iterator[FaxLine]:
    with FaxLine(local.redis_url) as made:
        yield made


def test_any_language_pushes_a_fax_with_one_command(local: Local, line: FaxLine) -> None:
    """The dispatcher takes the entry, a worker calls iFax, and iFax's receipt comes in by the webhook."""
    fax = {
        "faxNumber": "+12025550123",
        "faxData": [{"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}],
    }
    with redis.Redis.from_url(local.redis_url) as client:
        client.xadd("fax:{default}:intake", {"send": json.dumps({"id": "invoice-77", "fax": fax})})

    ended = line.wait("invoice-77", timeout=60)
    assert ended.state is JobState.DELIVERED
    assert ended.job_id in [fax["jobId"] for fax in local.ledger()]  # what the sandbox has sent


def test_a_busy_number_is_called_again_and_then_the_fax_fails(line: FaxLine) -> None:
    """How often a delivery is tried, and after which waits, is set by `FAXLINE_RETRIES__DELIVERY__*`.

    In the sandbox a number that ends in 555 0017 is busy. docs/sandbox.md lists the others.
    """
    job = line.send(to="+12025550017", files=[LETTER], attempts=2)
    ended = line.wait(job, timeout=60)
    assert (ended.state, ended.reason, ended.attempt) == (JobState.FAILED, "busy", 2)


def test_the_limits_hold_however_many_faxes_are_pushed(local: Local, line: FaxLine) -> None:
    """Here iFax takes two requests at once and would answer 429 to a third.

    The daemon knows the same limit (`FAXLINE_LIMITS__CONCURRENCY=2`) and never sends a third.
    """
    jobs = [line.send(to=f"+1202600{number:04}", files=[LETTER]) for number in range(20)]
    assert {line.wait(job, timeout=60).state for job in jobs} == {JobState.DELIVERED}
    assert local.stats()["default"]["rate_limited"] == {"concurrency": 0, "window": 0, "burst": 0}
