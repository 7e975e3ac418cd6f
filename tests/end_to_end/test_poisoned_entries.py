"""An entry that kills every dispatcher that opens it is set aside, and nothing else waits."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from faxline import FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline.contract.errors import JobRejected, Rejection
from faxline_local.processes import Part, free_port
from faxline_local.stack import Local
from faxline_worker.state.intake_entries import MOST_TIMES

pytestmark = pytest.mark.slow

SETTINGS = {"TAKEOVER": "0.5", "SWEEP": "1", "WAKE_LEASE": "2"}
SANDBOX = ("--call-seconds", "0.1", "--page-seconds", "0.02", "--time-scale", "0.001")
KILLER = "a content that kills whoever opens it"
KILLED = f"""
import os, signal
from faxline_worker.intake import entry_items as intake
parse = intake.parse_entry
def killed(kind, raw):
    if b"{KILLER}" in raw:
        os.kill(os.getpid(), signal.SIGKILL)
    return parse(kind, raw)
intake.parse_entry = killed
from faxline_worker.cli import main
main()
"""
"""A dispatcher that is killed in the middle of its work, as one is that takes too much memory."""


def start(local: Local, name: str) -> Part:
    port = local.metrics[name] = free_port()
    own = {"FAXLINE_METRICS__DISPATCHER_PORT": str(port)}
    command = [sys.executable, "-c", KILLED, "dispatcher"]
    return local.add(name, command, local.environment("dispatcher") | own)


def test_an_entry_that_kills_every_dispatcher_is_told_and_set_aside_and_all_others_are_delivered(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    files = ["https://example.com/a.pdf"]
    with (
        make_local(tmp_path, dispatchers=0, settings=SETTINGS, sandbox=SANDBOX) as local,
        FaxLine(local.url_of("operator")) as line,
        connect(local.redis_url) as client,
    ):
        good = [line.send(to=f"+1202{6_000_000 + i}", files=files) for i in range(6)]
        bad = line.send(to="+12025550123", files=files, message=KILLER)
        good += [line.send(to=f"+1202{6_100_000 + i}", files=files) for i in range(6)]
        killed = 0

        def over() -> bool:
            return local.parts[-1].process.poll() is not None or client.xlen(line.keys.intake) == 0

        while killed <= MOST_TIMES + 1:
            part = start(local, f"dispatcher-{killed}")
            wait_until(over, timeout=90)
            if part.process.poll() is None:
                break
            assert part.process.poll() == -9
            killed += 1
        assert killed == MOST_TIMES + 1
        with pytest.raises(JobRejected) as caught:
            line.wait(bad, timeout=20)
        assert caught.value.reason == Rejection.DELIVERED_TOO_OFTEN
        assert {line.wait(job, timeout=60).state for job in good} == {JobState.DELIVERED}
        (dead,) = line.dead()
        assert (dead.entry, dead.why) == (bad.entry, str(Rejection.DELIVERED_TOO_OFTEN))
        raw: Any = client.xrange(line.keys.events)
        payload = [json.loads(fields[b"data"]) for _, fields in raw if fields[b"event"] == b"fax.rejected"]
        assert [one["entry"] for one in payload] == [bad.entry]
        client.delete(line.keys.dead)
        for part in list(local.parts):
            if part.process.poll() == -9:
                local.parts.remove(part)
    assert set(local.exit_codes.values()) == {0}
