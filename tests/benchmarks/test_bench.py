"""The benchmark of the speed itself: its short form runs through, and what it counts is counted rightly."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import redis

from faxline_local.processes import wait_for
from tests.benchmarks.speed.__main__ import SECTIONS
from tests.benchmarks.speed.backlog import name_of
from tests.benchmarks.speed.jobs import Maker
from tests.benchmarks.speed.load import Load, call
from tests.benchmarks.speed.monitor import Command, Counts, Monitor, break_down, read_line, script_names
from tests.benchmarks.speed.sheet import Figure, Section, Wanted, median
from tests.benchmarks.speed.stub import Answering, Arrivals
from tests.benchmarks.speed.usage import Usage
from tests.benchmarks.speed.ways import FREE

ROOT = Path(__file__).parents[2]
PARTS = ("throughput,intake,scaling", "commands,latency,memory", "webhooks,backlog,start-up,fleet,bounds")
HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the short form wrote; its parts run side by side, for its figures mean nothing."""
    folder = tmp_path_factory.mktemp("bench")
    running = [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "tests.benchmarks.speed", "--short"),
                *("--only", only, "--out", str(folder / str(i) / "speed.json")),
            ],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i, only in enumerate(PARTS)
    ]
    said = [process.communicate()[0] for process in running]
    assert [process.returncode for process in running] == [0] * len(PARTS), "\n".join(said)
    documents = [json.loads((folder / str(i) / "speed.json").read_text()) for i in range(len(PARTS))]
    sections: dict[str, Any] = {}
    for document in documents:
        sections |= document["sections"]
    return {**documents[0], "sections": sections}


def test_every_section_runs_and_every_figure_is_a_number(found: dict[str, Any]) -> None:
    assert set(found["sections"]) == set(SECTIONS)
    for section in found["sections"].values():
        assert section["figures"]
        for figure in section["figures"]:
            assert isinstance(figure["measured"], (int, float)), figure
            assert figure["wanted"] is None or isinstance(figure["reached"], bool), figure


def test_the_machine_is_named(found: dict[str, Any]) -> None:
    assert all(found["machine"][name] for name in ("cpu", "cores", "memory", "kernel", "python", "server"))
    assert found["started_at"]


def test_the_commands_by_script_and_by_client_add_up_to_those_that_the_server_counted(
    found: dict[str, Any],
) -> None:
    details = found["sections"]["commands"]["details"]
    counted = details["limits and lines off: commands a fax"]
    scripts = details["limits and lines off: commands a fax by script (EVALSHA included)"]
    assert set(scripts) >= {"register", "admit", "mark", "settle", "receipt"}
    outside = details["limits and lines off: outside of scripts"]
    assert sum(scripts.values()) + sum(outside.values()) == pytest.approx(sum(counted.values()), rel=0.05)


def test_a_push_imports_nothing_of_the_daemon(found: dict[str, Any]) -> None:
    assert found["sections"]["start-up"]["details"]["packages of the daemon that a push imports"] == []


def test_nothing_scans_the_state(found: dict[str, Any]) -> None:
    assert found["sections"]["backlog"]["details"]["KEYS and scans"] == {}


def test_a_figure_is_held_against_what_is_wanted() -> None:
    assert Figure("a", 8.0, baseline=10.0, wanted=Wanted(0.8, of="ratio")).reached is True
    assert Figure("a", 7.9, baseline=10.0, wanted=Wanted(0.8, of="ratio")).reached is False
    assert Figure("a", 41.0, wanted=Wanted(40, most=True)).reached is False
    assert Figure("a", 40.0, wanted=Wanted(40, most=True)).reached is True
    assert Figure("a", 40.0, wanted=Wanted(1, of="ratio")).reached is None
    section = Section("b")
    section.add("a", 1.0)
    assert section.figures[0].to_dict()["reached"] is None
    assert (median([3, 1, 2]), median([2, 1])) == (2, 1)


def test_a_line_of_monitor_tells_who_asked_for_what() -> None:
    line = b'+1700000000.250000 [1 127.0.0.1:4000] "evalsha" "abc" "1" "key"'
    assert read_line(line) == Command(1700000000.25, 1, "127.0.0.1:4000", "EVALSHA", "abc")
    assert read_line(b'1.000000 [0 lua] "TIME"') == Command(1.0, 0, "lua", "TIME", "")
    assert read_line(b"OK") is None


def test_commands_are_counted_by_script_and_by_client_and_a_pipeline_is_one_round_trip() -> None:
    seen = [
        Command(1.0, 0, "a", "EVALSHA", "1"),
        Command(1.0, 0, "lua", "TIME", ""),
        Command(1.0, 0, "lua", "HSET", "x"),
        Command(2.0, 0, "b", "XADD", "s"),
        Command(2.00001, 0, "b", "XADD", "s"),
        Command(3.0, 0, "b", "XADD", "s"),
        Command(4.0, 0, "own", "INFO", ""),
    ]
    counted = break_down(iter(seen), {"1": "mark"}, {"a": "worker", "b": "producer", "own": "me"}, "me")
    assert counted.by_script == {"mark": 3}
    assert counted.inner == {"mark TIME": 1, "mark HSET": 1}
    assert counted.plain == {"producer XADD": 3}
    assert counted.trips == {"worker": 1, "producer": 2}
    assert counted.total == 6


def test_monitor_and_the_servers_counts_see_the_same_commands_of_a_job_on_its_way(redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client, redis.Redis.from_url(redis_url) as own:
        maker = Maker(client, "default", FREE)
        maker.register(["first"])
        maker.submit(1, 1)  # connections and scripts are there from now on
        port = int(own.connection_pool.connection_kwargs["port"])
        with Monitor(port) as monitor:
            own.ping()
            counts = Counts(own)
            maker.register(["second"])
            maker.submit(1, 2)
            commands, trips = counts.read()
            own_address = str(own.client_info()["addr"])
        counted = break_down(monitor.commands(), script_names(), {own_address: "own"}, "own")
    assert counted.total == sum(commands.values())
    assert set(counted.calls) == {"register", "admit", "mark", "settle"}
    assert trips == 6  # the push, the read, and each script


def test_the_stub_accepts_keeps_the_arrival_and_forgets() -> None:
    arrivals, written = Arrivals(), bytearray()
    answering = Answering(arrivals)

    class Wire(asyncio.Transport):
        def write(self, data: bytes | bytearray | memoryview) -> None:
            written.extend(data)

    answering.connection_made(Wire())
    request = b'POST /v1/customer/fax-send HTTP/1.1\r\nContent-Length: 15\r\n\r\n{"subject":"a"}'
    answering.data_received(request[:50])
    assert not written
    answering.data_received(request[50:] + request)
    assert written.count(HEAD) == len(arrivals.at) == arrivals.stats()["count"] == 2
    assert list(arrivals.by_subject) == ["a"]
    answering.data_received(b"DELETE / HTTP/1.1\r\n\r\n")
    assert arrivals.stats()["count"] == 0


def test_the_load_counts_answers_by_their_status() -> None:
    async def run() -> Any:
        arrivals = Arrivals()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Answering(arrivals), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        load = Load(f"http://127.0.0.1:{port}/x", {}, (("{}", {"a": "b"}),), connections=2, seconds=0.0)
        answers = await call(load)
        server.close()
        return answers, arrivals

    answers, arrivals = asyncio.run(run())
    assert answers.statuses == {"200": 2}
    assert len(arrivals.at) == 2


def test_the_cpu_time_of_a_busy_process_is_found_and_one_that_is_gone_has_none() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"], process_group=0) as busy:
        usage = Usage({"busy": [busy.pid]}, {"gone": 2**22 + 1})
        assert wait_for(lambda: usage.seconds()["busy"] > 0.0, 30.0)
        assert usage.seconds()["gone"] == 0.0
        busy.kill()


def test_a_slow_script_is_called_by_its_name() -> None:
    digest = next(sha for sha, name in script_names().items() if name == "register")
    assert name_of(f"EVALSHA {digest} 6 key".encode()) == "register"
    assert name_of(b"HSET key field value") == "HSET"
