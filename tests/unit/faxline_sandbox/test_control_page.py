"""The sandbox's control page, its configuration, and how its server begins and ends."""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from faxline_sandbox import (
    Account,
    ConfigError,
    FaultError,
    Limits,
    SandboxServer,
    serve,
)
from tests.stage.sandboxes import NUMBER, URL, config, fax


def test_the_control_page_shows_ledger_and_statistics_without_a_token_and_without_one_in_it() -> None:
    accounts = {"top-secret-token": Account(label="a", webhook_secret="top-secret-key")}
    with (
        SandboxServer(config(accounts=accounts)) as server,
        httpx.Client(headers={"accessToken": "top-secret-token"}, trust_env=False) as client,
    ):
        client.post(f"{server.url}/customer/fax-send", content=json.dumps(fax(subject="one \ud800")))
        client.post(f"{server.url}/customer/fax-send", json=fax(faxQuality="4K"))
        client.post(f"{server.url}/customer/fax-send", headers={"accessToken": "x"})
        del client.headers["accessToken"]
        drained = client.post(f"{server.control_url}/drain", params={"timeout": 10}).json()
        ledger = client.get(f"{server.control_url}/ledger")
        found = client.get(f"{server.control_url}/ledger", params={"toNumber": NUMBER}).json()
        none = client.get(f"{server.control_url}/ledger", params={"subject": "none"}).json()
        one = client.get(f"{server.control_url}/ledger/12345").json()
        missing = client.get(f"{server.control_url}/ledger/1")
        stats = client.get(f"{server.control_url}/stats")
        arrivals = client.get(f"{server.control_url}/arrivals").json()
    assert drained == {"drained": True, "pending": 0}
    assert ledger.json() == found == [one] == server.ledger()
    assert (one["account"], one["subject"], none, missing.status_code) == ("a", "one \ud800", [], 404)
    assert stats.json() == server.stats()
    own = stats.json()["a"]
    assert (own["requests"], own["accepted"], own["refused"]) == (2, 1, {"-2": 1})
    assert own["rate_limited"] == {"concurrency": 0, "window": 0, "burst": 0}
    assert stats.json()["(unknown)"]["refused"] == {"-3009": 1}
    assert [arrival["limit"] for arrival in arrivals["a"]] == [None, None]
    assert "top-secret" not in ledger.text + stats.text + repr(config(accounts=accounts))


@pytest.mark.parametrize(
    ("page", "body", "word"),
    [
        ("faults", "{", "JSON"),
        ("faults", "5", "object"),
        ("faults", "{}", "action"),
        ("faults", '{"action": "explode"}', "reset_before"),
        ("faults", '{"action": "status", "status": 204}', "status"),
        ("faults", '{"action": "status", "status": [500]}', "status"),
        ("faults", '{"action": "status", "retry_after": 1.5}', "retry_after"),
        ("faults", '{"action": "status", "accepted": "yes"}', "accepted"),
        ("faults", '{"action": "slow"}', "seconds"),
        ("faults", '{"action": "slow", "seconds": -1}', "seconds"),
        ("faults", '{"action": "garbage", "body": {}}', "body"),
        ("faults", '{"action": "status", "times": 0}', "times"),
        ("faults", '{"action": "status", "endpoint": "fax-page"}', "fax-send"),
        ("faults", '{"action": "status", "match": {"colour": 1}}', "subject"),
        ("faults", '{"action": "status", "colour": 1}', "colour"),
        ("webhook-faults", '{"action": "delay"}', "seconds"),
        ("webhook-faults", '[{"action": "lose"}, {"action": "slow"}]', "shuffle"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_and_names_the_member(
    sandbox: SandboxServer, page: str, body: str, word: str
) -> None:
    answer = httpx.post(f"{sandbox.control_url}/{page}", content=body, trust_env=False)
    assert answer.status_code == 400
    assert word in answer.json()["error"]
    assert httpx.get(f"{sandbox.control_url}/{page}", trust_env=False).json() == []


def test_an_api_key_is_rotated_on_the_control_page_and_the_account_stays_the_same() -> None:
    with SandboxServer(config()) as server, httpx.Client(trust_env=False) as client:

        def answers(token: str) -> int:
            body = {"faxNumber": NUMBER, "faxData": [URL]}
            url = f"{server.url}/customer/fax-send"
            return client.post(url, json=body, headers={"accessToken": token}).status_code

        page = f"{server.control_url}/accounts/default/tokens"
        assert client.put(page, json=["t", "new"]).json() == {"tokens": 2}
        assert (answers("t"), answers("new")) == (200, 200)
        assert client.put(page, json=["new"]).json() == {"tokens": 1}
        assert (answers("t"), answers("new")) == (401, 200)
        assert server.stats()["default"]["accepted"] == 3


@pytest.mark.parametrize(
    ("page", "content", "word"),
    [
        ("default/tokens", [], "at least one"),
        ("default/tokens", ["poor"], "another account"),
        ("default/tokens", [" t"], "ASCII"),
        ("default/tokens", "t", "list of texts"),
        ("nobody/tokens", ["n"], "no account"),
        ("default/webhook-secret", 1, "a text"),
        ("nobody/webhook-secret", "s", "no account"),
    ],
)
def test_a_rotation_that_makes_no_sense_is_refused(
    sandbox: SandboxServer, page: str, content: Any, word: str
) -> None:
    answer = httpx.put(f"{sandbox.control_url}/accounts/{page}", json=content, trust_env=False)
    assert answer.status_code == 400
    assert word in answer.json()["error"]


def test_a_bad_drain_timeout_is_refused(sandbox: SandboxServer) -> None:
    answer = httpx.post(f"{sandbox.control_url}/drain", params={"timeout": "soon"}, trust_env=False)
    assert (answer.status_code, answer.json()) == (400, {"error": "timeout: must be seconds"})


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: config(accounts={}), "accounts"),
        (lambda: config(accounts={" t": Account()}), "token"),
        (lambda: config(accounts={"a": Account(), "b": Account()}), "label"),
        (lambda: config(answer_seconds=(2, 1)), "answer_seconds"),
        (lambda: config(call_seconds=-1), "call_seconds"),
        (lambda: config(time_scale=float("inf")), "time_scale"),
        (lambda: config(spread=2), "spread"),
        (lambda: config(lines=-1), "lines"),
        (lambda: config(webhook_timeout=0), "webhook_timeout"),
        (lambda: config(pages_per_url=0), "pages_per_url"),
        (lambda: config(port=70000), "port"),
        (lambda: Account(label=""), "label"),
        (lambda: Account(webhook_url="example.com", webhook_secret="s"), "webhook_url"),
        (lambda: Account(webhook_url="http://example.com"), "webhook_secret"),
        (lambda: Account(balance=-1), "balance"),
        (lambda: Account(caller_id="me"), "caller_id"),
        (lambda: Limits(burst=0), "burst"),
        (lambda: Limits(window=0), "window"),
    ],
)
def test_a_bad_configuration_is_refused_and_names_the_member(make: Callable[[], Any], word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        make()


def test_a_bad_fault_is_refused_by_the_server_as_well(sandbox: SandboxServer) -> None:
    with pytest.raises(FaultError, match="seconds"):
        sandbox.fault("slow")
    with pytest.raises(FaultError, match="outcome"):
        sandbox.number(NUMBER, "9998")


def test_a_taken_port_is_told_with_its_number() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} of 127.0.0.1"):
            serve(config(port=port))


def test_the_ledger_can_be_read_after_the_server_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING), SandboxServer(config(call_seconds=3600.0)) as server:
        httpx.post(
            f"{server.url}/customer/fax-send", json=fax(), headers={"accessToken": "t"}, trust_env=False
        )
    assert [fax["state"] for fax in server.ledger()] == ["sending"]
    assert caplog.records == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_ends_cleanly_and_silently_on_a_signal_though_a_request_hangs(
    number: signal.Signals, free_port: int, wait_until: Callable[..., Any]
) -> None:
    program = (
        "from faxline_sandbox import *; import sys;"
        f"serve(SandboxConfig(accounts={{'t': Account()}}, port={free_port}, call_seconds=3600.0));"
        "print('returned')"
    )
    environment = {**os.environ, "PYTHONWARNINGS": "error"}
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        base = f"http://127.0.0.1:{free_port}"

        def answers() -> bool:
            try:
                return httpx.get(f"{base}/sandbox/stats", trust_env=False).is_success
            except httpx.TransportError:
                return False

        wait_until(answers)
        with socket.create_connection(("127.0.0.1", free_port)) as hanging:
            body = json.dumps(fax() | {"faxNumber": "+12025550504"}).encode()
            lines = ["POST /v1/customer/fax-send HTTP/1.1", "Host: x", "accessToken: t"]
            lines += [f"Content-Length: {len(body)}", "", ""]
            hanging.sendall("\r\n".join(lines).encode() + body)
            wait_until(lambda: len(httpx.get(f"{base}/sandbox/ledger", trust_env=False).json()) == 1)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "returned\n", "")
