"""If there is no connection to Redis, library, command and daemon name the server and the cause."""

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from faxline import AsyncFaxLine, FaxLine
from faxline.cli.running import run
from faxline.contract.errors import QueueUnavailable
from faxline_local.redis_access import Access, Tls
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_worker.processes.webhook import listen
from tests.certificates import certified

pytestmark = pytest.mark.slow

SILENT = (
    "did not answer in time: it hangs, a firewall is in the way, or a rediss:// URL names a port without TLS"
)
QUICK = "socket_connect_timeout=0.05&socket_timeout=0.05"


@pytest.fixture(scope="module")
def plain(server_binary: ServerBinary, users: Access) -> Iterator[RedisServer]:
    with RedisServer(binary=server_binary, access=users) as server:
        yield server


@pytest.fixture
def cases(plain: RedisServer, free_port: int, tls: Tls | None, tmp_path: Path) -> dict[str, tuple[str, str]]:
    """Of each mistake the URL, and what is told behind `Redis at 127.0.0.1:PORT`."""
    login = "refuses the user or the password: check them in the Redis URL, and the server's users"
    authority = (tls or certified(tmp_path)).authority
    return {
        "wrong password": (f"redis://operator:hunter2secret@127.0.0.1:{plain.port}/0", login),
        "no user": (f"redis://127.0.0.1:{plain.port}/0", login),
        "down": (
            f"redis://127.0.0.1:{free_port}/0",
            "refused the connection: start it, or check host and port in the Redis URL; try again",
        ),
        "TLS on a plain port": (
            f"rediss://127.0.0.1:{plain.port}/0?ssl_ca_certs={authority}&{QUICK}",
            SILENT,
        ),
        "no such CA": (
            f"rediss://127.0.0.1:{plain.port}/0?ssl_ca_certs=/none.crt",
            "cannot be asked: a file that the Redis URL names (ssl_ca_certs) is not there",
        ),
    }


MISTAKES = ["wrong password", "no user", "down", "TLS on a plain port", "no such CA"]


@pytest.mark.parametrize("mistake", MISTAKES)
def test_library_and_command_name_host_port_and_cause(
    mistake: str, cases: dict[str, tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    url, expected = cases[mistake]
    with FaxLine(url) as line, pytest.raises(QueueUnavailable) as caught:
        line.accounts()

    async def ask() -> str:
        async with AsyncFaxLine(url) as twin:
            with pytest.raises(QueueUnavailable) as error:
                await twin.accounts()
            return str(error.value)

    assert str(caught.value).startswith(f"Redis at 127.0.0.1:{_port(url)} {expected}")
    assert asyncio.run(ask()) == str(caught.value)
    assert run(["--redis", url, "list"]) == 3
    assert capsys.readouterr().err == f"faxline: {caught.value}\n"
    assert "hunter2secret" not in str(caught.value)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_doctor_prints_a_row_that_fails_with_the_fix(
    mistake: str, cases: dict[str, tuple[str, str]], capsys: pytest.CaptureFixture[str]
) -> None:
    url, expected = cases[mistake]
    assert run(["--redis", url, "doctor", "--json", "--no-call"]) == 1
    out, err = capsys.readouterr()
    (row,) = [json.loads(line) for line in out.splitlines() if json.loads(line)["check"] == "redis"]
    assert row["result"] == "fail"
    assert row["text"].startswith(f"Redis at 127.0.0.1:{_port(url)} {expected}")
    assert err == ""


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_daemon_does_not_start_and_says_why_in_one_line(
    mistake: str, cases: dict[str, tuple[str, str]]
) -> None:
    url, expected = cases[mistake]
    ended = _started("dispatcher", FAXLINE_REDIS_URL=url, FAXLINE_REDIS_PATIENCE="0")
    assert ended.stderr.startswith(
        f"faxline-worker: FAXLINE_REDIS_URL: 127.0.0.1:{_port(url)} {expected.partition(';')[0]}"
    )
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "hunter2secret" not in ended.stderr


def test_tls_that_is_missing_or_not_trusted_is_told_with_the_form_of_the_url(
    server_binary: ServerBinary, access: Access
) -> None:
    if access.tls is None:
        pytest.skip("this server was built without TLS")
    with RedisServer(binary=server_binary, access=access) as server:
        untrusted = f"rediss://operator:x@127.0.0.1:{server.port}/0"
        with (
            FaxLine(untrusted) as line,
            pytest.raises(QueueUnavailable, match=r"not trusted .*rediss://….ssl_ca_certs=FILE"),
        ):
            line.accounts()
        with (
            FaxLine(f"redis://operator:x@127.0.0.1:{server.port}/0") as line,
            pytest.raises(QueueUnavailable, match="speaks TLS, and the URL must begin with rediss://"),
        ):
            line.accounts()


@pytest.mark.parametrize(
    ("role", "user", "right"),
    [
        ("worker", "operator", r"run scripts \(EVAL\)"),
        ("worker", "webhook", r"read an account \(HGET fax:\{default\}:account\)"),
        ("dispatcher", "producer", r"read an account \(HGET fax:\{default\}:account\)"),
        ("webhook", "producer", r"add receipts \(XADD fax:\{default\}:status\)"),
    ],
)
def test_a_part_whose_user_lacks_a_right_ends_with_one_line_that_names_both(
    role: str, user: str, right: str, plain: RedisServer
) -> None:
    ended = _started(role, FAXLINE_REDIS_URL=plain.url(0, user))
    expected = (
        rf"faxline-worker: FAXLINE_REDIS_URL: the Redis user '{user}' may not {right}: give the {role} "
    )
    assert ended.returncode == 2
    assert re.match(expected, ended.stderr), ended.stderr
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("port", ["WEBHOOK__PORT", "METRICS__WEBHOOK_PORT"])
def test_a_webhook_whose_port_is_taken_names_the_variable(port: str, plain: RedisServer) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        own = {
            "FAXLINE_WEBHOOK__HOST": "127.0.0.1",
            "FAXLINE_WEBHOOK__PORT": "0",
            "FAXLINE_METRICS__WEBHOOK_PORT": "0",
            "FAXLINE_ACCOUNTS__DEFAULT__WEBHOOK_SECRETS": '["a-secret-of-tests"]',  # else it warns first
        }
        own[f"FAXLINE_{port}"] = str(other.getsockname()[1])
        ended = _started("webhook", FAXLINE_REDIS_URL=plain.url(0, "webhook"), **own)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert f"set FAXLINE_{port}" in ended.stderr


def test_the_webhooks_socket_names_its_protocol_so_that_no_answer_waits_for_nagle() -> None:
    with closing(listen("127.0.0.1", 0, 5)) as listener:
        assert listener.proto == socket.IPPROTO_TCP


def test_a_sandbox_whose_port_is_taken_names_the_option() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        command = [sys.executable, "-m", "faxline_worker", "sandbox", "--port", str(other.getsockname()[1])]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1)
    assert "(--port, --host)" in ended.stderr


def _port(url: str) -> int:
    return int(url.rpartition("127.0.0.1:")[2].partition("/")[0])


def _started(role: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    given = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "a-token-of-tests", "PATH": "/usr/bin:/bin"} | environment
    command = [sys.executable, "-m", "faxline_worker", role]
    return subprocess.run(command, env=given, capture_output=True, text=True, timeout=30, check=False)
