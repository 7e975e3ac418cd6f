"""Probes and heartbeats of real processes: one that hangs, one that is frozen, a Redis that is away."""

import hashlib
import hmac
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from faxline import FaxLine
from faxline.reading.processes import ROLES, at_work
from faxline_local.processes import Part, free_port
from faxline_local.stack import WEBHOOK_SECRET, Local
from faxline_worker.receipts.signature import HEADER

pytestmark = pytest.mark.slow

FAXLINE = Path(sys.executable).with_name("faxline")
HANGS = """
import sys, time
from unittest.mock import patch
module, cls, name, role = sys.argv[1:]
with patch(f"{module}.{cls}.{name}", lambda *_, **__: time.sleep(3600)):
    sys.argv = ["faxline-worker", role]
    from faxline_worker.cli import main
    main()
"""
"""A part of the daemon, one method of which never comes back."""


def probe(port: int, path: str) -> tuple[int, dict[str, Any]]:
    """The status and the content; 0 where nobody answers."""
    try:
        answer = httpx.get(f"http://127.0.0.1:{port}{path}", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return 0, {}
    return answer.status_code, answer.json()


def add_hanging(local: Local, role: str, where: str, **settings: str) -> tuple[Part, int]:
    """Start a part of which a method hangs; its monitoring port."""
    port = free_port()
    more = {f"METRICS__{role.upper()}_PORT": str(port), "STALL": "3", **settings}
    environment = local.environment(role) | {f"FAXLINE_{name}": value for name, value in more.items()}
    command = [sys.executable, "-c", HANGS, *where.rsplit(".", 2), role]
    return local.add(f"hanging-{role}", command, environment), port


def trouble_of(line: FaxLine, role: str) -> dict[str, str]:
    """What a process of this role says of itself."""
    return {part: how for each in line.processes() if each.role == role for part, how in each.trouble.items()}


def command(local: Local, *words: str) -> subprocess.CompletedProcess[str]:
    """What an operator is told."""
    environment = {"FAXLINE_REDIS_URL": local.url_of("operator")}
    return subprocess.run([FAXLINE, *words], env=environment, capture_output=True, text=True, check=False)


def doctor(local: Local) -> dict[str, tuple[str, str]]:
    lines = [json.loads(line) for line in command(local, "doctor", "--json").stdout.splitlines()]
    return {line["check"]: (line["result"], line["text"]) for line in lines}


def test_a_webhook_whose_event_loop_is_blocked_is_neither_healthy_nor_ready(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with (
        make_local(tmp_path, webhooks=0) as local,
        FaxLine(local.url_of("operator")) as line,
    ):
        own = free_port()
        part, port = add_hanging(
            local,
            "webhook",
            "faxline_worker.receipts.status_writer.RedisStatusWriter.add",
            WEBHOOK__PORT=str(own),
        )
        wait_until(lambda: probe(port, "/readyz")[0] == probe(own, "/readyz")[0] == 200, timeout=30)
        assert probe(port, "/healthz") == probe(own, "/healthz") == (200, {})
        wait_until(lambda: at_work(line.processes())["webhook"] == 1)

        body = b'{"jobId": 7, "faxStatus": "delivered"}'
        signed = hmac.new(WEBHOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"http://127.0.0.1:{own}/webhooks/ifax/default",
                content=body,
                headers={HEADER: signed},
                timeout=1,
                trust_env=False,
            )
        wait_until(lambda: probe(port, "/healthz")[0] == 503)
        assert set(probe(port, "/healthz")[1]["stalled"]) == {"event loop"}
        assert probe(own, "/healthz")[0] == 0
        status, ready = probe(port, "/readyz")
        assert (status, ready["redis"]) == (503, True)
        assert ready["event loop"].startswith("stands still for ")
        wait_until(lambda: "event loop" in trouble_of(line, "webhook"))
        result, text = doctor(local)["webhooks"]
        assert result == "fail"
        assert "is stalled (event loop stands still for" in text
        part.kill()


@pytest.mark.parametrize(
    ("role", "where", "loop"),
    [
        ("dispatcher", "faxline_worker.intake.entry_items.EntryItems.read", "intake"),
        ("worker", "faxline_worker.receipts.reconciler.Reconciler.turn", "threads"),
    ],
)
def test_a_part_of_which_a_thread_hangs_is_not_healthy_and_the_metrics_say_for_how_long(
    make_local: Callable[..., Local],
    tmp_path: Path,
    wait_until: Callable[..., Any],
    role: str,
    where: str,
    loop: str,
) -> None:
    others: dict[str, Any] = {"dispatchers": 1, "workers": 1, "webhooks": 0} | {f"{role}s": 0}
    quick = {"HTTP_TIMEOUT": "1", "HTTP_RATE": "100000000", "LEASE_GRACE": "1"}
    with (
        make_local(tmp_path, **others) as local,
        FaxLine(local.url_of("operator")) as line,
    ):
        part, port = add_hanging(local, role, where, **quick)
        wait_until(lambda: probe(port, "/readyz")[0] == 200, timeout=30)
        assert probe(port, "/healthz") == (200, {})
        line.push("cancel", {"id": "nobody"})
        with FaxLine(local.redis_url) as admin:
            admin._client.xadd(line.keys.status, {"body": "?", "kind": "malformed"})
        wait_until(lambda: probe(port, "/healthz")[0] == 503, timeout=30)
        assert set(probe(port, "/healthz")[1]["stalled"]) == {loop}
        assert probe(port, "/readyz")[0] == 503
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics", trust_env=False).text
        (age,) = [
            row for row in metrics.splitlines() if row.startswith(f'fax_loop_age_seconds{{loop="{loop}"}}')
        ]
        assert float(age.split()[1]) > 3
        wait_until(lambda: loop in trouble_of(line, role))
        assert (
            command(local, "accounts")
            .stdout.splitlines()[-1]
            .startswith("no dispatcher, 1 worker" if role == "dispatcher" else "1 dispatcher, no worker")
        )
        part.kill()


def test_frozen_processes_are_missed_within_seconds_and_at_work_again_when_they_go_on(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    everybody = dict.fromkeys(ROLES, 1)
    with (
        make_local(tmp_path) as local,
        FaxLine(local.url_of("producer")) as line,
    ):
        wait_until(lambda: at_work(line.processes()) == everybody)
        frozen = [local.part(f"{role}-{i}") for i, role in enumerate(ROLES, start=1)]
        for part in frozen:
            part.pause()
        wait_until(lambda: at_work(line.processes()) == dict.fromkeys(ROLES, 0), timeout=20)
        found = doctor(local)
        for role in ROLES:
            result, text = found[f"{role}s"]
            assert result == "fail"
            assert re.search(r"has been silent for \d+ s", text)
        assert command(local, "accounts").stdout.splitlines()[-1] == (
            "no dispatcher, no worker, no webhook at work"
        )
        for part in frozen:
            part.resume()
        wait_until(lambda: at_work(line.processes()) == everybody, timeout=20)


def test_processes_that_end_are_at_work_no_more_at_once(
    make_local: Callable[..., Local], tmp_path: Path
) -> None:
    with (
        make_local(tmp_path) as local,
        FaxLine(local.url_of("producer")) as line,
    ):
        for role, i in (("webhook", 3), ("worker", 2), ("dispatcher", 1)):
            local.part(f"{role}-{i}").stop()
            assert [each.role for each in line.processes() if each.role == role] == []
    assert set(local.exit_codes.values()) == {0}


def test_a_frozen_redis_makes_every_part_not_ready_and_leaves_it_healthy(
    make_local: Callable[..., Local], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    with make_local(tmp_path) as local:
        ports = [*local.metrics.values(), local.webhook_port]
        wait_until(lambda: all(probe(port, "/readyz")[0] == 200 for port in ports))
        for server in local.servers:
            server.pause()
        # Longer than any call to a Redis that accepts and never answers.
        for second in range(45):
            Event().wait(1)
            healthy = {port: probe(port, "/healthz") for port in ports}
            assert healthy == dict.fromkeys(ports, (200, {})), second
            if second % 15 == 14:
                assert {port: probe(port, "/readyz")[0] == 200 for port in ports} == dict.fromkeys(
                    ports, False
                )
        for server in local.servers:
            server.resume()
        wait_until(lambda: all(probe(port, "/readyz")[0] == 200 for port in ports), timeout=60)


def test_after_an_idle_minute_everybody_is_still_at_work(
    make_local: Callable[..., Local], tmp_path: Path
) -> None:
    with make_local(tmp_path) as local:
        Event().wait(65)
        assert {doctor(local)[f"{role}s"][0] for role in ROLES} == {"ok"}
