"""The example that tells a service by HTTP how each fax ends, as its readers run it, to a real receiver."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline import FaxLine

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parents[3] / "producers/examples/callback"
SECRET = "whsec_" + "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VERIFIED: dict[str, Any] = {}
exec(  # noqa: S102 - what the page tells a receiver to do
    next(re.finditer(r"```python\n(.*?)```", (FOLDER / "README.md").read_text(), re.DOTALL))[1], VERIFIED
)


class Receiver:
    """A service: it answers with these statuses first (0: it hangs up), and 204 from then on."""

    def __init__(self) -> None:
        self.answers: list[int] = []
        self.got: list[tuple[dict[str, str], bytes, int]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = receiver.answers.pop(0) if receiver.answers else 204
                receiver.got.append(({k.lower(): v for k, v in self.headers.items()}, body, answer))
                if answer:
                    self.send_response(answer)
                    self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/faxes"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def taken(self) -> list[tuple[str, str]]:
        payload = [json.loads(body) for _, body, answer in self.got if answer == 204]
        return [(each["type"], each["job"]) for each in payload]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def emit(redis_client: redis.Redis, redis_url: str) -> Callable[[str, str], str]:
    with FaxLine(redis_url) as line:
        key = line.keys.events

    def add(name: str, job: str) -> str:
        data = json.dumps({"state": name.removeprefix("fax."), "metadata": {"customer": 7}})
        fields: Any = {"event": name, "job": job, "at": "1700000000000", "data": data}
        entry: Any = redis_client.xadd(key, fields)
        return str(entry.decode())

    return add


@pytest.fixture
def start(redis_url: str, receiver: Receiver) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []

    def begin(**variables: str) -> subprocess.Popen[str]:
        known = {"REDIS_URL": redis_url, "CALLBACK_URL": receiver.url, "CALLBACK_SECRET": SECRET}
        environment = os.environ | known | {"CALLBACK_WAITS": "0.01,0.02"} | variables
        program = [sys.executable, str(FOLDER / "callback.py")]
        started.append(subprocess.Popen(program, env=environment, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.communicate()


Start = Callable[..., "subprocess.Popen[str]"]
Emit = Callable[[str, str], str]
Wait = Callable[..., Any]


def test_a_receiver_that_fails_at_first_gets_every_end_signed_and_in_order(
    receiver: Receiver, emit: Emit, start: Start, wait_until: Wait
) -> None:
    receiver.answers = [503, 0, 429, 404, 302]
    emit("fax.queued", "a")
    entry = emit("fax.delivered", "a")
    emit("fax.failed", "b")
    process = start()
    wait_until(lambda: receiver.taken == [("fax.delivered", "a"), ("fax.failed", "b")], timeout=30)
    assert len(receiver.got) == 7
    for headers, body, _ in receiver.got:
        assert VERIFIED["verified"](SECRET, headers, body)
        assert not VERIFIED["verified"](SECRET, headers, body.replace(b"7", b"8"))
        assert not VERIFIED["verified"](SECRET, headers | {"webhook-timestamp": "1700000000"}, body)
        assert not VERIFIED["verified"]("whsec_" + "A" * 32, headers, body)
    first = [json.loads(body) for headers, body, _ in receiver.got if headers["webhook-id"] == entry]
    assert len(first) == 6
    assert first[0] == first[-1]
    assert first[0]["data"]["metadata"] == {"customer": 7}
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0


def test_what_the_receiver_refuses_again_and_again_holds_up_no_other(
    receiver: Receiver, emit: Emit, start: Start, wait_until: Wait
) -> None:
    receiver.answers = [422] * 5
    entry = emit("fax.delivered", "a")
    emit("fax.canceled", "b")
    process = start()
    wait_until(lambda: receiver.taken == [("fax.canceled", "b")], timeout=30)
    process.terminate()
    assert f"{entry} (job a): refused with 422, left behind" in process.communicate(timeout=20)[1]


def test_an_end_that_it_was_at_when_it_was_ended_comes_again(
    receiver: Receiver, emit: Emit, start: Start, wait_until: Wait
) -> None:
    receiver.answers = [503]
    emit("fax.unconfirmed", "a")
    process = start(CALLBACK_WAITS="600")
    wait_until(lambda: len(receiver.got) == 1, timeout=30)
    process.terminate()
    assert process.wait(20) == 0
    start()
    wait_until(lambda: receiver.taken == [("fax.unconfirmed", "a")], timeout=30)


@pytest.mark.parametrize("missing", ["CALLBACK_URL", "CALLBACK_SECRET"])
def test_it_says_which_variable_it_needs(missing: str) -> None:
    known = {"CALLBACK_URL": "http://127.0.0.1:1", "CALLBACK_SECRET": SECRET}
    del known[missing]
    done = subprocess.run(
        [sys.executable, str(FOLDER / "callback.py")],
        env=os.environ | known,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, f"set {missing}\n")
