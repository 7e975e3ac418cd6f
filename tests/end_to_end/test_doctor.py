"""`faxline doctor` beside the real processes, as an operator calls it."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from faxline import FaxLine
from faxline.contract.connections.redis_url import address, connect
from faxline_local.processes import wait_for
from faxline_local.stack import Local
from tests.clusters import nodes_of

pytestmark = pytest.mark.slow

FAXLINE = Path(sys.executable).with_name("faxline")
SANDBOX = ("--call-seconds", "0.1", "--page-seconds", "0")


def doctor(local: Local, *options: str, **changed: str) -> tuple[int, dict[str, tuple[str, str]]]:
    """The exit code, and check by check what it says."""
    url = f"http://127.0.0.1:{local.webhook_port}"
    environment = local.environment() | {"FAXLINE_WEBHOOK__URL": url} | changed
    done = subprocess.run(
        [FAXLINE, "doctor", "--json", *options], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return done.returncode, {line["check"]: (line["result"], line["text"]) for line in lines}


def test_the_doctor_looks_at_everything_beside_the_running_daemon_and_changes_nothing(
    make_local: Callable[..., Local], tmp_path: Path
) -> None:
    with (
        make_local(tmp_path, sandbox=SANDBOX, appendfsync="always") as local,
        FaxLine(local.redis_url) as line,
        connect(local.redis_url) as client,
    ):
        for node in nodes_of(client):
            node.config_set("maxmemory", "1gb")
        fax = line.send(to="+12025550123", files=["https://example.com/a.pdf"], id="before")
        line.wait(fax, timeout=60)
        events = client.xlen(line.keys.events)

        assert wait_for(lambda: doctor(local)[1]["dispatchers"][0] == "ok", 60)
        code, found = doctor(local)
        others = {name: result for name, (result, _) in found.items() if result != "ok"}
        # The nodes of a cluster have a replica each, for which nobody waits.
        replicated = [
            f"replication of {address(node)}" for node in nodes_of(client) if len(local.servers) > 1
        ]
        assert others == {
            "keys of default": "skip",
            "sealing of default": "skip",  # it has none
            **dict.fromkeys(replicated, "warn"),
        }
        for role in ("dispatchers", "workers", "webhooks"):
            assert found[role][1] == f"1 at work, version {version('faxline')}"
        assert code == 0
        assert {"key of default", "webhook of default", "signature of default", "ifax clock"} <= found.keys()
        assert client.xlen(line.keys.events) == events
        assert client.xlen(line.keys.status) == 0
        assert client.xlen(line.keys.dead) == 0

        code, found = doctor(local, FAXLINE_ACCOUNTS__DEFAULT__TOKEN="no-key")
        assert (code, found["key of default"][0]) == (1, "fail")
        code, found = doctor(local, "--no-call", FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS='["no-secret"]')
        assert (code, found["signature of default"][0], found["key of default"][0]) == (1, "fail", "skip")
        code, found = doctor(local, FAXLINE_SWEEPS="1")
        assert (code, found["settings"][0]) == (1, "fail")
        assert "FAXLINE_SWEEPS is not a setting" in found["settings"][1]

        after = line.wait(line.send(to="+12025550123", files=["https://example.com/a.pdf"]), timeout=60)
        assert after.state == "delivered"  # a wrong key in the doctor's hands stops no fax
