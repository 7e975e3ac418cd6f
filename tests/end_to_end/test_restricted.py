"""What the environment restricts holds in the real processes: the hosts of files, a number's lines."""

from collections.abc import Callable
from pathlib import Path

import pytest

from faxline import FaxLine, JobRejected, JobState
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

LARGE = ("large.txt", b"%09d " * 100_000 % (*range(100_000),))
"""A million bytes: it is read in pieces while it is sent."""
SANDBOX = (
    "--answer-seconds",
    "0.01",
    "0.05",
    "--call-seconds",
    "0.1",
    "--page-seconds",
    "3600",
    "--lines",
    "1",
)
SETTINGS = {
    "FILE_HOSTS": "files.example, *.cdn.example",
    "RETRIES__DELIVERY__ATTEMPTS": "1",
    "NUMBERS__CONCURRENT": "0",
}


def test_a_listed_host_passes_another_is_rejected_and_a_second_fax_to_a_number_is_busy(
    make_local: Callable[..., Local], tmp_path: Path
) -> None:
    with (
        make_local(tmp_path, settings=SETTINGS, sandbox=SANDBOX) as local,
        FaxLine(local.url_of("producer")) as line,
    ):
        wrong = line.send(to="+12025550123", files=["https://evil.example/a.pdf"], id="wrong")
        with pytest.raises(JobRejected, match=r"fax\.faxData\[0\]\.fileUrl"):
            line.wait(wrong, timeout=30)
        local.control("PUT", "numbers/+12025550124", {"factor": 0})
        right = line.send(to="+12025550124", files=["https://a.cdn.example/a.pdf", LARGE], id="right")
        assert line.wait(right, timeout=30).state is JobState.DELIVERED
        for name in ("first", "second"):
            files = ["https://files.example/a.pdf"]
            line.send(to="+12025550123", files=files, id=name, subject=name, attempts=1)
        # Which of them takes the line is the daemon's affair.
        busy = next(event for event in line.events(after="0", timeout=30) if event.name == "fax.failed")
        assert busy.job in {"first", "second"}
        assert [(fax["code"], fax["line_busy"]) for fax in local.ledger() if fax["state"] == "failed"] == [
            (17, True)
        ]
        assert local.stats()["default"]["line_busy"] == 1
