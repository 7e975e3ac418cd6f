"""A rolling upgrade: this version and a later one work side by side on the same Redis, with faxes flowing.

The later one is a copy of the daemon with another layout, a further field in every record, and further
members in what it tells other processes. Where only its MINOR is higher both do all work; where its MAJOR is,
this version ends, and does not start.
"""

import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import faxline_worker
from faxline import FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline_local.processes import Part, free_port
from faxline_local.stack import Local
from faxline_worker.state.scripts import LAYOUT

pytestmark = pytest.mark.slow

SETTINGS = {
    "WAKE_LEASE": "2",
    "SWEEP": "1",
    "TAKEOVER": "2",
    "CEILINGS__BYTES": "100000000",
    "LIMITS__REQUESTS": "100000",
    "LIMITS__BURST": "1000",
}
SANDBOX = (
    *("--answer-seconds", "0.05", "0.2", "--call-seconds", "0.1", "--page-seconds", "0.02"),
    *("--requests", "100000", "--burst", "1000"),
)
WAVE = 40
MINOR, MAJOR = (LAYOUT[0], LAYOUT[1] + 1), (LAYOUT[0] + 1, 0)
CHANGES = {
    "state/lua/lib/events.lua": (
        "local record = { 'n', job.n,",
        "local record = { 'later_field', '1', 'n', job.n,",
    ),
    "wakeups/broker.py": ("kwargs={}, options={}", 'kwargs={"later": 1}, options={"later": 1}'),
    "receipts/status_writer.py": ('"*", *chain.from_iterable(', '"*", "later", "1", *chain.from_iterable('),
    "state/lua/lib/orders.lua": ("keys.reply .. name, '*',", "keys.reply .. name, '*', 'later', '1',"),
}


def later_version(folder: Path, layout: tuple[int, int]) -> dict[str, str]:
    """Write the later version into a folder; the environment in which it is the one that runs."""
    package = folder / "faxline_worker"
    shutil.copytree(Path(faxline_worker.__file__).parent, package)
    for name, (old, new) in {
        **CHANGES,
        "state/scripts.py": (f"LAYOUT = {LAYOUT}", f"LAYOUT = {layout}"),
    }.items():
        text = (package / name).read_text(encoding="utf-8")
        assert old in text, name
        (package / name).write_text(text.replace(old, new), encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


def start(local: Local, role: str, name: str, more: dict[str, str]) -> Part:
    """Start a part beside the others."""
    port = local.metrics[name] = free_port()
    own = {f"FAXLINE_METRICS__{role.upper()}_PORT": str(port)}
    command = [sys.executable, "-m", "faxline_worker", role]
    return local.add(name, command, local.environment(role) | own | more)


def push(line: FaxLine, name: str) -> list[str]:
    """Push a wave of faxes, each with a document of its own."""
    jobs = [f"{name}-{i}" for i in range(WAVE)]
    for i, job in enumerate(jobs):
        document = (f"{job}.txt", f"The letter of {job}.".encode())
        line.send(to=f"+1202{6_000_000 + i}", files=[document], id=job, subject=job)
    return jobs


def test_two_versions_work_side_by_side_and_no_fax_is_lost_or_doubled(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    later = later_version(tmp_path / "later", MINOR)
    with (
        make_local(tmp_path, settings=SETTINGS, sandbox=SANDBOX) as local,
        FaxLine(local.redis_url) as line,
        connect(local.redis_url) as client,
    ):
        older = [part for part in local.parts if part.name.startswith(("dispatcher", "worker"))]
        jobs = push(line, "before")
        parts = [start(local, role, f"{role}-later", later) for role in ("dispatcher", "worker")]
        wait_until(lambda: all(local.ready(part.name) for part in parts), timeout=30)
        jobs += push(line, "during")
        for part in older:  # each version must serve what the other one has begun
            part.ask_to_stop()
            part.process.wait(60)
            jobs += push(line, f"without-{part.name}")
            part.start()
            wait_until(lambda part=part: local.ready(part.name), timeout=30)
        jobs += push(line, "again")
        ended = [line.wait(job, timeout=120).state for job in jobs]
        assert Counter(ended) == {JobState.DELIVERED: len(jobs)}
        assert Counter(fax["subject"] for fax in local.ledger()) == dict.fromkeys(jobs, 1)
        workers = {entry.who for entry in line.audit() if entry.what == "fax-send"}
        assert len(workers) >= 2  # the older one, and the later
        touched = [job for job in jobs if client.hget(line.keys.job(job), "later_field")]
        assert touched
        account: Any = client.hgetall(line.keys.account_state)
        assert account[b"layout"].decode() == "{}.{}".format(*MINOR)
        assert line.account_state().backlog["jobs"].used == 0
        assert line.account_state().backlog["bytes"].used == 0
        assert all(part.process.poll() is None for part in local.parts)
    assert set(local.exit_codes.values()) == {0}


def test_a_later_major_layout_ends_this_version_and_keeps_it_from_starting(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    later = later_version(tmp_path / "later", MAJOR)
    message = "stored in layout {}.{}, and this version of Faxline knows {}.x".format(*MAJOR, LAYOUT[0])
    with (
        make_local(tmp_path, settings=SETTINGS, sandbox=SANDBOX) as local,
        FaxLine(local.redis_url) as line,
    ):
        jobs = push(line, "before")
        for job in jobs:
            line.wait(job, timeout=60)
        dispatcher, worker = local.part(local.names("dispatcher")[0]), local.part(local.names("worker")[0])
        start(local, "dispatcher", "dispatcher-later", later)
        assert dispatcher.process.wait(60) == 2
        assert message in dispatcher.log.read_text()
        wait_until(lambda: not local.ready(worker.name), timeout=30)
        jobs = push(line, "after")
        wait_until(lambda: line.account_state().jobs["queued"] == WAVE, timeout=30)
        assert len(local.ledger()) == WAVE  # the worker of this version takes none of them
        worker.stop()
        worker.start()
        assert worker.process.wait(60) == 2
        assert message in worker.log.read_text()
        migrate = local.add("migrate", [sys.executable, "-m", "faxline_worker", "migrate"])
        assert migrate.process.wait(60) == 2
        assert message in migrate.log.read_text()
        start(local, "worker", "worker-later", later)
        assert Counter(line.wait(job, timeout=60).state for job in jobs) == {JobState.DELIVERED: WAVE}
