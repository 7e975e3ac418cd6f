"""The sandbox's faults on the wire: each over a real socket, and what it leaves in the ledger."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from faxline_sandbox import Account, Limits, SandboxConfig, SandboxServer
from faxline_sandbox.connection import EXTENSION, SandboxProtocol

NUMBER = "+12025550123"
LIMITS = Limits(requests=100_000, window=1, concurrency=3, burst=100_000)
FILE = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}


@pytest.fixture
def sandbox() -> Iterator[SandboxServer]:
    config = SandboxConfig(accounts={"t": Account()}, limits=LIMITS, call_seconds=0.01, page_seconds=0.0)
    with SandboxServer(config) as running:
        yield running


def fax(number: str = NUMBER, **members: Any) -> dict[str, Any]:
    return {"faxNumber": number, "faxData": [FILE], **members}


def post(sandbox: SandboxServer, body: bytes) -> socket.socket:
    """A connection on which fax-send was asked, and nothing read yet."""
    url = httpx.URL(sandbox.url)
    connection = socket.create_connection((url.host, url.port or 80), timeout=30)
    head = f"POST {url.path}/customer/fax-send HTTP/1.1\r\nHost: ifax\r\naccessToken: t\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    return connection


@pytest.mark.parametrize(("action", "accepted"), [("reset_before", 0), ("reset_after", 1)])
def test_a_reset_cuts_the_connection_with_rst_and_without_a_byte(
    sandbox: SandboxServer, action: Any, accepted: int
) -> None:
    sandbox.fault(action)
    with post(sandbox, json.dumps(fax()).encode()) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    sandbox.drain()
    assert [kept["state"] for kept in sandbox.ledger()] == ["delivered"] * accepted
    assert sandbox.stats()["default"]["faults"] == {action: 1}


@pytest.mark.parametrize(("action", "accepted"), [("hang_before", 0), ("hang_after", 1)])
def test_a_hanging_request_is_never_answered_and_open_until_the_client_goes(
    sandbox: SandboxServer,
    client: httpx.Client,
    action: Any,
    accepted: int,
    wait_until: Callable[..., Any],
) -> None:
    sandbox.fault(action, times=3)
    hanging = [post(sandbox, json.dumps(fax()).encode()) for _ in range(3)]
    wait_until(lambda: sandbox.stats()["default"]["faults"] == {action: 3})
    assert client.post("/fax-send", json=fax()).status_code == 429
    for connection in hanging:
        connection.settimeout(0)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
        connection.close()
    wait_until(lambda: client.post("/fax-send", json=fax(subject="free")).status_code == 200)
    assert len(sandbox.ledger()) == 3 * accepted + 1


def test_a_hanging_request_is_cut_after_its_seconds(sandbox: SandboxServer) -> None:
    sandbox.fault("hang_after", seconds=0.05)
    with post(sandbox, json.dumps(fax()).encode()) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert len(sandbox.ledger()) == 1


@pytest.mark.parametrize("accepted", [False, True])
def test_a_scripted_status_comes_before_or_after_acceptance(
    sandbox: SandboxServer, client: httpx.Client, accepted: bool
) -> None:
    body = {"status": -1, "message": "broken"}
    sandbox.fault("status", status=500, body=body, accepted=accepted)
    answer = client.post("/fax-send", json=fax())
    assert (answer.status_code, answer.json()) == (500, body)
    assert len(sandbox.ledger()) == accepted


def test_a_scripted_status_may_tell_when_to_come_again(sandbox: SandboxServer, client: httpx.Client) -> None:
    sandbox.fault("status", status=429, retry_after=7)
    answer = client.post("/fax-send", json=fax())
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "7")
    assert sum(sandbox.stats()["default"]["rate_limited"].values()) == 0


def test_garbage_is_no_json_though_the_fax_is_accepted(sandbox: SandboxServer, client: httpx.Client) -> None:
    sandbox.fault("garbage")
    sandbox.fault("garbage", status=502, body="bad gateway")
    first, second = (client.post("/fax-send", json=fax()) for _ in range(2))
    assert (first.status_code, second.status_code, second.text) == (200, 502, "bad gateway")
    with pytest.raises(json.JSONDecodeError):
        first.json()
    assert len(sandbox.ledger()) == 2


def test_an_answer_may_lack_its_job_id_though_the_fax_is_accepted(
    sandbox: SandboxServer, client: httpx.Client
) -> None:
    sandbox.fault("no_job_id")
    answer = client.post("/fax-send", json=fax())
    assert answer.json() == {"status": 1, "message": "Fax processed for sending", "data": {}}
    assert len(sandbox.ledger()) == 1


def test_an_answer_may_have_the_response_code_0(sandbox: SandboxServer, client: httpx.Client) -> None:
    sandbox.fault("status_zero")
    answer = client.post("/fax-send", json=fax())
    assert (answer.status_code, answer.json()["status"]) == (200, 0)
    assert answer.json()["data"]["jobId"] == sandbox.ledger()[0]["jobId"]


def test_a_slow_answer_is_the_right_one_and_the_fax_is_accepted_before_it(
    sandbox: SandboxServer, client: httpx.Client, wait_until: Callable[..., Any]
) -> None:
    sandbox.fault("slow", seconds=3600)
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(client.post("/fax-send", json=fax())))
    thread.start()
    wait_until(lambda: len(sandbox.ledger()) == 1)
    assert not answers
    sandbox.__exit__(None, None, None)  # whatever waits is answered at the end
    thread.join()
    assert answers[0].json()["data"]["jobId"] == sandbox.ledger()[0]["jobId"]


def test_a_slow_answer_comes_by_itself(sandbox: SandboxServer, client: httpx.Client) -> None:
    sandbox.fault("slow", seconds=0.05)
    answer = client.post("/fax-send", json=fax())
    assert answer.status_code == 200
    assert answer.elapsed.total_seconds() >= 0.05


def test_a_fault_strikes_only_what_it_matches_and_so_often_as_it_says(
    sandbox: SandboxServer, client: httpx.Client
) -> None:
    sandbox.fault(
        "status", status=503, times=2, endpoint="fax-send", match={"subject": "a", "toNumber": NUMBER}
    )
    asked = [("a", NUMBER), ("b", NUMBER), ("a", "+12025550124"), ("a", NUMBER), ("a", NUMBER)]
    codes = [client.post("/fax-send", json=fax(to, subject=mark)).status_code for mark, to in asked]
    assert codes == [503, 200, 200, 503, 200]


def test_a_fault_of_cancel_or_resend_is_matched_by_the_marks_of_the_fax(
    sandbox: SandboxServer, client: httpx.Client
) -> None:
    job_id = client.post("/fax-send", json=fax(subject="mine")).json()["data"]["jobId"]
    sandbox.drain()
    sandbox.fault("status", endpoint="fax-resend", match={"subject": "mine"})
    sandbox.fault("status", status=502, endpoint="fax-cancel", match={"jobId": job_id}, times=None)
    cancel = [client.post("/fax-cancel", json={"jobId": job_id}).status_code for _ in range(3)]
    resend = [client.post("/fax-resend", json={"jobId": job_id}).status_code for _ in range(2)]
    assert (cancel, resend) == ([502, 502, 502], [500, 200])


def test_an_answer_that_refuses_is_struck_too_but_keeps_its_words(
    sandbox: SandboxServer, client: httpx.Client
) -> None:
    sandbox.fault("no_job_id")
    answer = client.post("/fax-send", content=b"{")
    assert (answer.status_code, answer.json()) == (400, {"status": -2, "message": "the body is not JSON"})


def test_faults_can_be_scripted_shown_and_forgotten_on_the_control_page(
    sandbox: SandboxServer, client: httpx.Client
) -> None:
    page = f"{sandbox.control_url}/faults"
    sandbox.webhook_fault("lose")
    assert client.post(page, json={"action": "status", "times": 3, "status": 503}).status_code == 200
    assert client.post("/fax-send", json=fax()).status_code == 503
    assert [(fault["action"], fault["times"]) for fault in client.get(page).json()] == [("status", 2)]
    assert client.delete(page).json() == []
    assert client.post("/fax-send", json=fax()).status_code == 200


@pytest.mark.parametrize(
    ("digits", "status", "accepted"),
    [
        ("0202", 200, 1),
        ("0204", 200, 1),
        ("0429", 429, 0),
        ("0500", 500, 0),
        ("0501", 500, 1),
        ("0502", 502, 1),
        ("0503", 503, 0),
    ],
)
def test_a_magic_number_has_its_answer_go_wrong_each_time(
    sandbox: SandboxServer, client: httpx.Client, digits: str, status: int, accepted: int
) -> None:
    for _ in range(2):
        answer = client.post("/fax-send", json=fax(f"+1202555{digits}"))
        assert answer.status_code == status
        assert ("Retry-After" in answer.headers) is (status in {429, 503})
    assert len(sandbox.ledger()) == 2 * accepted


@pytest.mark.parametrize(("digits", "accepted"), [("0444", 0), ("0445", 1)])
def test_a_magic_number_cuts_the_connection(sandbox: SandboxServer, digits: str, accepted: int) -> None:
    body = json.dumps(fax(f"+1202555{digits}")).encode()
    with post(sandbox, body) as connection, pytest.raises(ConnectionResetError):
        connection.recv(1)
    assert len(sandbox.ledger()) == accepted


@pytest.mark.parametrize(("digits", "accepted"), [("0408", 0), ("0504", 1)])
def test_a_magic_number_hangs(
    sandbox: SandboxServer, digits: str, accepted: int, wait_until: Callable[..., Any]
) -> None:
    with post(sandbox, json.dumps(fax(f"+1202555{digits}")).encode()) as connection:
        wait_until(lambda: sandbox.stats()["default"]["faults"])
        connection.settimeout(0)
        with pytest.raises(BlockingIOError):
            connection.recv(1)
    assert len(sandbox.ledger()) == accepted


# --- the connection


def test_a_client_that_goes_in_the_middle_of_its_request_frees_its_place(
    sandbox: SandboxServer, client: httpx.Client, wait_until: Callable[..., Any]
) -> None:
    whole = json.dumps(fax()).encode()
    url = httpx.URL(sandbox.url)
    halves = []
    for _ in range(3):
        connection = socket.create_connection((url.host, url.port or 80), timeout=30)
        head = f"POST {url.path}/customer/fax-send HTTP/1.1\r\nHost: ifax\r\naccessToken: t\r\n"
        connection.sendall(f"{head}Content-Length: {len(whole)}\r\n\r\n".encode() + whole[:10])
        halves.append(connection)
    wait_until(lambda: client.post("/fax-send", json=fax()).status_code == 429)
    for connection in halves:
        connection.close()
    wait_until(lambda: client.post("/fax-send", json=fax(subject="free")).status_code == 200)
    assert sandbox.stats()["default"]["max_concurrent"] == 4


def test_pipelined_and_repeated_requests_on_one_connection_are_each_answered(sandbox: SandboxServer) -> None:
    body = json.dumps(fax()).encode()
    head = (
        f"POST /v1/customer/fax-send HTTP/1.1\r\nHost: ifax\r\naccessToken: t\r\nContent-Length: {len(body)}"
    )
    one = head.encode() + b"\r\n\r\n" + body
    with post(sandbox, body) as connection, connection.makefile("rb") as answers:
        connection.sendall(one + one)
        statuses = []
        for _ in range(3):
            statuses.append(answers.readline())
            length = 0
            while (line := answers.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            answers.read(length)
    assert statuses == [b"HTTP/1.1 200 OK\r\n"] * 3
    assert len(sandbox.ledger()) == 3


def test_a_request_is_stamped_at_its_first_byte_also_the_second_on_a_connection() -> None:
    async def run() -> list[int]:
        stamps: list[int] = []
        protocols: list[SandboxProtocol] = []

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            stamps.append(scope["extensions"][EXTENSION].arrived)
            await Response()(scope, receive, send)

        def protocol() -> SandboxProtocol:
            protocols.append(SandboxProtocol(settings, ServerState(), {}))
            return protocols[-1]

        settings = uvicorn.Config(app, lifespan="off", log_config=None)
        listener = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        async with listener:
            reader, writer = await asyncio.open_connection(*listener.sockets[0].getsockname())
            moments = []
            for _ in range(2):
                moments.append(time.monotonic_ns())
                writer.write(b"POST / HT")
                while not protocols or protocols[0]._arrived is None:  # noqa: ASYNC110 - it sets no event
                    await asyncio.sleep(0)
                moments.append(time.monotonic_ns())
                writer.write(b"TP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbo")
                writer.write(b"dy")
                await reader.readuntil(b"\r\n\r\n")
            writer.close()
            await writer.wait_closed()
        return [moments[0], stamps[0], moments[1], moments[2], stamps[1], moments[3]]

    order = asyncio.run(run())
    assert order == sorted(order)


def test_max_concurrent_is_what_the_clients_really_had_open(
    sandbox: SandboxServer, client: httpx.Client, wait_until: Callable[..., Any]
) -> None:
    sandbox.fault("hang_after", times=2)
    bodies = [json.dumps(fax()).encode()] * 2
    with ThreadPoolExecutor(2) as pool:
        hanging = list(pool.map(lambda body: post(sandbox, body), bodies))
    wait_until(lambda: sandbox.stats()["default"]["faults"] == {"hang_after": 2})
    assert client.post("/fax-send", json=fax()).status_code == 200
    for connection in hanging:
        connection.close()
    stats = sandbox.stats()["default"]
    assert (stats["max_concurrent"], stats["requests"], stats["rate_limited"]["concurrency"]) == (3, 3, 0)
