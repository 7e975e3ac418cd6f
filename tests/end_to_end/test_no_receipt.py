"""No receipt comes: the fax is unconfirmed, or iFax is asked first."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from faxline import FaxLine, JobState
from faxline_local.stack import Local

pytestmark = pytest.mark.slow

LOST = "+12025550601"
"""The sandbox delivers it, and its webhook never comes."""
SANDBOX = ("--call-seconds", "0.1", "--page-seconds", "0.01", "--answer-seconds", "0.01", "0.05")
SETTINGS = {"RECEIPT_DEADLINE": "0.5", "SWEEP": "0.5"}


@pytest.mark.parametrize("asked", ["false", "true"], ids=["not", "asked"])
def test_a_fax_whose_receipt_never_comes_is_unconfirmed_unless_ifax_is_asked(
    make_local: Callable[..., Local],
    tmp_path: Path,
    wait_until: Callable[..., Any],
    asked: str,
) -> None:
    state = JobState.DELIVERED if asked == "true" else JobState.UNCONFIRMED
    settings = SETTINGS | {"STATUS_CALL": asked}
    sandbox = SANDBOX
    with (
        make_local(tmp_path, settings=settings, sandbox=sandbox) as local,
        FaxLine(local.url_of("operator")) as line,
    ):
        job = line.wait(line.send(to=LOST, files=["https://example.com/a.pdf"], id="lost"), timeout=30)
        assert (job.state, job.attempt) == (state, 1)
        assert len(local.ledger()) == 1
        assert local.stats()["default"]["requests"] == (2 if asked == "true" else 1)
        wait_until(lambda: line.account_state().held == 0)
        page = httpx.get(f"http://127.0.0.1:{local.metrics['worker-2']}/metrics").text
        counted = 'fax_pages_total{account="default",kind="transferred"} 1.0'
        assert (counted in page) == (asked == "true")
