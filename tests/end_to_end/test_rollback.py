"""A Redis that comes back older than it was, under load: nothing goes twice, and an operator learns of it."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis
from prometheus_client.parser import text_string_to_metric_families

from faxline import FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline.reading.account_state import ROLLED_BACK
from faxline_local.redis_access import Access
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.clusters import nodes_of
from tests.sentinels import Watched, WatchedLocal

pytestmark = pytest.mark.slow

URL = "https://example.com/a.pdf"
SANDBOX = (
    *("--call-seconds", "0.2", "--page-seconds", "0.02", "--answer-seconds", "0.2", "0.4"),
    *("--window", "60", "--burst", "2000", "--requests", "5000", "--time-scale", "0.005"),
)
SETTINGS = {
    "LIMITS__WINDOW": "60",
    "LIMITS__BURST": "2000",
    "LIMITS__REQUESTS": "5000",
    "LIMITS__CONCURRENCY": "4",
    "WAKE_LEASE": "2",
    "HTTP_TIMEOUT": "5",
    "LEASE_GRACE": "1",
    "SWEEP": "1",
}


@pytest.fixture
def local(make_local: Callable[..., Local], tmp_path: Path) -> Iterator[Local]:
    with make_local(
        tmp_path,
        workers=2,
        dispatchers=2,
        threads=4,
        settings=SETTINGS,
        sandbox=SANDBOX,
        appendfsync="always",
    ) as running:
        yield running


def push(local: Local, begin: int, end: int) -> list[str]:
    """Push faxes of these numbers: their ids, which are their subjects."""
    names = [f"fax-{i}" for i in range(begin, end)]
    with FaxLine(local.url_of("producer")) as line:
        for i, name in enumerate(names, begin):
            line.send(to=f"+1202{6_000_000 + i}", files=[URL], id=name, subject=name)
    return names


def sent(local: Local) -> Counter[str]:
    return Counter(fax["subject"] for fax in local.ledger())


def paused(local: Local) -> str:
    with FaxLine(local.url_of("operator")) as line:
        return line.account_state().paused


def faxline(local: Local, *words: str) -> subprocess.CompletedProcess[str]:
    """The command, as an operator gives it."""
    return subprocess.run(  # our own command
        [Path(sys.executable).with_name("faxline"), *words],
        env=local.environment("operator"),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def gauge(local: Local, name: str) -> set[float]:
    """What the dispatchers tell."""
    texts = [
        httpx.get(f"http://127.0.0.1:{local.metrics[part]}/metrics", trust_env=False).text
        for part in local.names("dispatcher")
    ]
    families = [family for text in texts for family in text_string_to_metric_families(text)]
    return {sample.value for family in families if family.name == name for sample in family.samples}


def lines(local: Local, event: str) -> list[dict[str, Any]]:
    """Lines of the processes' logs."""
    texts = [part.log.read_text() for part in local.parts if part.name != "sandbox"]
    found = [json.loads(line) for text in texts for line in text.splitlines() if line.startswith("{")]
    return [line for line in found if line["event"].startswith(event)]


def put_back(local: Local, copy: Path) -> None:
    local.server.restore_data(copy)
    local.server.restart()


@pytest.mark.one_server("puts a copy of its data back, while in a cluster a replica takes over")
def test_a_copy_that_is_put_back_under_load_sends_nothing_twice(
    local: Local, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    names = push(local, 0, 60)
    wait_until(lambda: len(sent(local)) >= 10, timeout=30)
    local.server.copy_data(tmp_path / "copy")
    known = len(sent(local))
    late = push(local, 60, 70)
    with FaxLine(local.url_of("producer")) as line:
        urgent = line.send(to="+12026999999", files=[URL], id="urgent", subject="urgent", priority="urgent")
        wait_until(lambda: line.job(urgent.id).state is not JobState.QUEUED, timeout=30)
    wait_until(lambda: len(sent(local)) >= known + 12, timeout=30)
    put_back(local, tmp_path / "copy")

    wait_until(lambda: paused(local) == ROLLED_BACK, timeout=30)
    wait_until(lambda: gauge(local, "fax_state_rolled_back") == {1.0}, timeout=15)
    assert lines(local, "Redis went back")
    before = sent(local)
    shown = json.loads(faxline(local, "accounts", "rollback", "default", "--json").stdout)
    assert {call["job"] for call in shown["calls"]} <= set(before)
    assert "urgent" in {call["job"] for call in shown["calls"]}
    assert set(late) <= set(shown["pushed"])
    assert "+1202" not in json.dumps(shown)
    refused = faxline(local, "accounts", "resume", "default")
    assert (refused.returncode, "accounts rollback default" in refused.stderr) == (1, True)
    payload = json.loads(faxline(local, "accounts", "rollback", "default", "--resume", "--json").stdout)
    assert set(payload["gone"]) == set(late)

    push(local, 60, 70)
    with FaxLine(local.url_of("producer")) as line:
        again = line.send(to="+12026999999", files=[URL], id="urgent", subject="urgent", priority="urgent")
        everything = [*names, *late, again.id]
        states = Counter(line.wait(name, timeout=90).state for name in everything)
    assert states == {JobState.DELIVERED: 71}
    assert sent(local) == dict.fromkeys(everything, 1)
    with FaxLine(local.url_of("operator")) as line:
        ordered = [entry for entry in line.audit() if entry.what == "recover"]
        assert ordered


@pytest.mark.one_server(
    "counts what is logged of its restart; test_redis_away.py restarts every node of a cluster"
)
def test_a_restart_with_everything_kept_goes_on_by_itself_and_quietly(
    local: Local, wait_until: Callable[..., Any]
) -> None:
    names = push(local, 0, 40)
    wait_until(lambda: len(sent(local)) >= 10, timeout=30)
    local.server.kill()
    local.server.restart()
    with FaxLine(local.url_of("producer")) as line:
        states = Counter(line.wait(name, timeout=60).state for name in names)
    assert states == {JobState.DELIVERED: 40}
    assert sent(local) == dict.fromkeys(names, 1)
    assert lines(local, "Redis went back") == []
    assert len(lines(local, "Redis is another server")) == 4


def test_a_redis_that_comes_back_empty_is_noticed_though_nobody_did_anything(
    local: Local, wait_until: Callable[..., Any]
) -> None:
    faxline(local, "accounts", "pause", "default", "--yes")
    push(local, 0, 30)
    with FaxLine(local.url_of("operator")) as line:
        wait_until(lambda: line.account_state().jobs["queued"] == 30, timeout=15)
    with connect(local.redis_url) as client:
        for node in nodes_of(client):
            node.flushall()
    wait_until(lambda: paused(local) == ROLLED_BACK, timeout=30)
    shown = faxline(local, "accounts", "rollback", "default").stdout
    assert "came back empty" in shown
    assert "30 faxes were accepted" in shown
    assert faxline(local, "accounts", "rollback", "default", "--resume").returncode == 0
    names = push(local, 0, 30)
    with FaxLine(local.url_of("producer")) as line:
        states = Counter(line.wait(name, timeout=60).state for name in names)
    assert states == {JobState.DELIVERED: 30}


def cut(server: RedisServer, part: float) -> None:
    """Take the end off a killed server's append-only file."""
    file = max(server.directory.glob("appendonlydir/*.incr.aof"), key=lambda path: path.stat().st_mtime)
    whole = file.read_bytes()
    file.write_bytes(whole[: round(len(whole) * part)])


@pytest.mark.one_server("mends its file, while in a cluster a replica takes over")
def test_an_append_only_file_that_was_cut_at_its_tail_sends_nothing_twice(
    local: Local, wait_until: Callable[..., Any]
) -> None:
    names = push(local, 0, 40)
    wait_until(lambda: len(sent(local)) >= 20, timeout=30)
    local.server.kill()
    cut(local.server, 0.7)
    mended = subprocess.run(
        [
            local.server.binary.path.with_name("redis-check-aof"),
            "--fix",
            *local.server.directory.glob("appendonlydir/*.manifest"),
        ],
        input="y\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert mended.returncode == 0, mended.stdout
    local.server.restart()
    wait_until(lambda: paused(local) == ROLLED_BACK, timeout=30)
    payload = json.loads(faxline(local, "accounts", "rollback", "default", "--resume", "--json").stdout)
    assert not payload["gone"]
    with FaxLine(local.url_of("producer")) as line:
        states = Counter(line.wait(name, timeout=60).state for name in names)
    assert states == {JobState.DELIVERED: 40}
    assert sent(local) == dict.fromkeys(names, 1)


def cut_off(primary: RedisServer, replica: RedisServer) -> None:
    """A replica gets nothing any more from its primary."""
    with redis.Redis.from_url(replica.url()) as client:
        client.config_set("masterauth", "wrong")
    with redis.Redis.from_url(primary.url()) as client:
        client.execute_command("CLIENT", "KILL", "TYPE", "replica")


@pytest.mark.one_server(
    "it is one that Sentinels watch; make chaos CLUSTER=1 kills a primary whose replica lags"
)
def test_a_failover_to_a_replica_that_lagged_sends_nothing_twice(
    server_binary: ServerBinary, access: Access, tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with WatchedLocal(
        tmp_path,
        Watched(server_binary, access),
        workers=2,
        threads=4,
        settings=SETTINGS,
        sandbox=SANDBOX,
        binary=server_binary,
        access=access,
    ) as local:
        names = push(local, 0, 80)
        wait_until(lambda: len(sent(local)) >= 20, timeout=30)
        primary, replica = local.watched.servers
        cut_off(primary, replica)
        known = len(sent(local))
        wait_until(lambda: len(sent(local)) >= known + 12, timeout=30)
        primary.kill()
        local.watched.await_another(primary)
        wait_until(lambda: paused(local) == ROLLED_BACK, timeout=30)
        payload = json.loads(faxline(local, "accounts", "rollback", "default", "--resume", "--json").stdout)
        assert payload["paused"] is None
        with FaxLine(local.url_of("producer")) as line:
            states = Counter(line.wait(name, timeout=90).state for name in names)
        assert states == {JobState.DELIVERED: 80}
        assert sent(local) == dict.fromkeys(names, 1)
