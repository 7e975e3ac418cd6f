"""systemd is told that a process lives, as long as its loops go round."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from faxline_worker.observability.heartbeat import Heartbeat
from faxline_worker.observability.pulse import Loops
from faxline_worker.observability.systemd import notify


@pytest.fixture(params=["a path", "an abstract name"])
def systemd(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[socket.socket]:
    """What systemd listens on."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.settimeout(10)
        address = str(tmp_path / "notify") if request.param == "a path" else f"\0{tmp_path}"
        listener.bind(address)
        monkeypatch.setenv("NOTIFY_SOCKET", address.replace("\0", "@"))
        yield listener


def test_systemd_is_told(systemd: socket.socket) -> None:
    notify("WATCHDOG=1")
    assert systemd.recv(100) == b"WATCHDOG=1"


def test_nobody_is_told_where_systemd_does_not_listen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("WATCHDOG=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify("WATCHDOG=1")


def test_the_watchdog_is_told_while_the_loops_go_round_and_no_more_once_one_stands_still(
    systemd: socket.socket, wait_until: Callable[..., Any]
) -> None:
    now = 0.0
    loops = Loops(60, lambda: now)
    loop = loops.add("intake")
    beats = Mock(time=Mock(return_value=(0, 0)))
    with closing(Heartbeat(beats, "dispatcher", [], loops, Mock(), every=0.01)) as heartbeat:
        heartbeat.start()
        assert systemd.recv(100) == b"WATCHDOG=1"
        now = 61
        wait_until(lambda: "stalled" in str(beats.hset.call_args_list))
        systemd.settimeout(0)  # what is there, and no waiting
        with suppress(BlockingIOError):
            while systemd.recv(100):
                pass
        written = beats.hset.call_count
        wait_until(lambda: beats.hset.call_count > written + 2)
        with pytest.raises(BlockingIOError):
            systemd.recv(100)
        systemd.settimeout(10)
        loop.beat()
        assert systemd.recv(100) == b"WATCHDOG=1"
