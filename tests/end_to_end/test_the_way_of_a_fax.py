"""Real processes, a real server, real HTTP: from the push to the proof."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from faxline import FaxLine, JobRejected, JobState
from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import ACCOUNTS, PROCESSES, SERVING
from faxline.reading.processes import ROLES
from faxline_local.stack import Local
from tests.clusters import all_keys

FAST = (
    "--call-seconds",
    "0.1",
    "--page-seconds",
    "0.02",
    "--answer-seconds",
    "0.01",
    "0.1",
    "--time-scale",
    "0.001",
)
URL = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}
WINDOW = {
    "LIMITS__WINDOW": "60",
    "LIMITS__BURST": "400",
    "LIMITS__REQUESTS": "5000",
    "WAKE_LEASE": "2",
    "SWEEP": "2",
    "DOCUMENT_GRACE": "0",
}
SANDBOX = (*FAST, "--window", "60", "--burst", "400", "--requests", "5000")


@pytest.fixture(scope="module")
def local(make_local: Callable[..., Local], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("logs")
    with make_local(folder, threads=10, settings=WINDOW, sandbox=SANDBOX) as running:
        yield running


@pytest.fixture
def two_of_each(make_local: Callable[..., Local], tmp_path: Path) -> Iterator[Local]:
    with make_local(
        tmp_path / "logs", workers=2, dispatchers=2, threads=10, settings=WINDOW, sandbox=SANDBOX
    ) as running:
        yield running


@pytest.fixture
def line(local: Local) -> Iterator[FaxLine]:
    with FaxLine(local.url_of("producer")) as made:
        yield made


@pytest.fixture
def pdf(tmp_path: Path) -> Path:
    document = pypdfium2.PdfDocument.new()
    for _ in range(3):
        document.new_page(595, 842)
    path = tmp_path / "three-pages.pdf"
    document.save(path)
    document.close()
    return path


def accepted(local: Local, prefix: str) -> Counter[str]:
    return Counter(fax["subject"] for fax in local.ledger() if (fax["subject"] or "").startswith(prefix))


def test_a_pdf_is_delivered_with_all_its_pages(line: FaxLine, pdf: Path) -> None:
    job = line.wait(line.send(to="+12025550123", files=[pdf], id="pdf-1", metadata={"order": 7}), timeout=60)
    assert (job.state, job.pages, job.transferred, job.attempt) == (JobState.DELIVERED, 3, 3, 1)
    assert [step.event for step in job.history] == ["fax.queued", "fax.submitted", "fax.delivered"]
    assert job.metadata == {"order": 7}


@pytest.mark.slow
def test_three_hundred_faxes_are_each_delivered_once_by_two_of_each_and_leave_nothing_behind(
    two_of_each: Local, pdf: Path, wait_until: Callable[..., Any]
) -> None:
    local = two_of_each
    with FaxLine(local.url_of("producer")) as line:
        jobs = [
            line.send(to=f"+1202{6_000_000 + i}", files=[pdf], id=f"many-{i}", subject=f"many-{i}")
            for i in range(300)
        ]
        states = Counter(line.wait(job, timeout=90).state for job in jobs)
    assert states == {JobState.DELIVERED: 300}
    assert accepted(local, "many-") == {f"many-{i}": 1 for i in range(300)}
    wait_until(lambda: all(fax["webhooks"] for fax in local.ledger()))
    with connect(local.redis_url) as client:
        wait_until(lambda: client.xlen(line.keys.status) == client.xlen(line.keys.intake) == 0)
        wait_until(lambda: not client.exists(line.keys.wakes, line.keys.reconcile_wake))
        wait_until(lambda: not client.exists(line.keys.released))
        left = {key.decode() for key in all_keys(client)}
        assert [key for key in left if key.startswith(line.keys.document(""))] == []
        lasting = {key for key in left if client.pttl(key) < 0}
    assert lasting <= {
        *(line.keys.intake, line.keys.status, line.keys.events, line.keys.account_state, line.keys.answers),
        *(line.keys.doorbell, line.keys.audit, ACCOUNTS),
        *(f"{prefix}{role}" for prefix in (PROCESSES, SERVING) for role in ROLES),
    }


def test_a_fax_pushed_by_xadd_alone_is_delivered_and_its_events_are_readable(
    local: Local, line: FaxLine
) -> None:
    entry = {"id": "by-hand", "fax": {"faxNumber": "+12025550123", "faxData": [URL]}}
    with connect(local.redis_url) as client:
        client.execute_command("XADD", "fax:{default}:intake", "*", "send", json.dumps(entry))
        assert line.wait("by-hand", timeout=60).state is JobState.DELIVERED
        raw: Any = client.xrange("fax:{default}:events")
    names = [fields[b"event"] for _, fields in raw if fields[b"job"] == b"by-hand"]
    assert names == [b"fax.queued", b"fax.submitted", b"fax.delivered"]


@pytest.mark.parametrize(
    ("raw", "member", "reason"),
    [
        ("{", "", "not_json"),
        ('{"id":"bad-2"}', "fax", "missing_member"),
        ({"id": "bad-3", "fax": {"faxNumber": "12345", "faxData": [URL]}}, "fax.faxNumber", "bad_number"),
        (
            {"id": "bad-4", "fax": {"faxNumber": "+12025550123", "faxData": [URL] * 21}},
            "fax.faxData",
            "too_many_files",
        ),
        (
            {"id": "bad-5", "fax": {"faxNumber": "+12025550123", "faxData": [URL], "colour": 1}},
            "fax.colour",
            "unknown_member",
        ),
        ({"id": "bad 6", "fax": {"faxNumber": "+12025550123", "faxData": [URL]}}, "id", "bad_id"),
    ],
)
def test_a_bad_entry_gets_one_event_that_names_member_and_reason(
    local: Local, line: FaxLine, raw: Any, member: str, reason: str
) -> None:
    text = raw if isinstance(raw, str) else json.dumps(raw)
    with connect(local.redis_url) as client:
        newest: Any = client.xrevrange(line.keys.events, count=1)
        before = newest[0][0].decode() if newest else "0-0"
        entry: Any = client.xadd(line.keys.intake, {"send": text})
    found = next(e for e in line.events(after=before, timeout=30) if e.data.get("entry") == entry.decode())
    assert (found.name, found.data["member"], found.data["reason"]) == ("fax.rejected", member, reason)
    assert "+12025550123" not in json.dumps(dict(found.data))


def test_an_id_pushed_twice_is_ignored_with_the_same_content_and_rejected_with_other(
    local: Local, line: FaxLine
) -> None:
    for _ in range(2):
        line.send(to="+12025550123", files=["https://example.com/a.pdf"], id="twice", subject="twice")
    line.send(to="+12025550124", files=["https://example.com/a.pdf"], id="twice", subject="twice")
    found = [e for e in line.events(after="0", timeout=5) if e.job == "twice"]
    assert Counter(e.name for e in found)["fax.rejected"] == 1
    assert line.wait("twice", timeout=60).state is JobState.DELIVERED
    assert accepted(local, "twice") == {"twice": 1}


def test_a_rejected_job_is_told_to_the_one_who_waits(local: Local, line: FaxLine) -> None:
    with connect(local.redis_url) as client:
        client.xadd(line.keys.intake, {"send": '{"id":"refused-1"}'})
    with pytest.raises(JobRejected) as caught:
        line.wait("refused-1", timeout=30)
    assert caught.value.member == "fax"


@pytest.mark.parametrize(
    ("role", "settings", "says"),
    [
        ("worker", {}, "FAXLINE_ACCOUNTS__<NAME>__TOKEN"),
        (
            "dispatcher",
            {
                "ACCOUNTS__DEFAULT__TOKEN": "t-of-tests",
                "REDIS_URL": "redis://127.0.0.1:1/0",
                "REDIS_PATIENCE": "0",
            },
            "FAXLINE_REDIS_URL",
        ),
    ],
)
def test_a_bad_setting_ends_a_process_with_one_line(role: str, settings: dict[str, str], says: str) -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("FAXLINE_")}
    environment |= {f"FAXLINE_{k}": v for k, v in settings.items()}
    done = subprocess.run(
        [sys.executable, "-m", "faxline_worker", role],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert says in done.stderr
