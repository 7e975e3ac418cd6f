"""Heartbeats on a cluster whose nodes' clocks differ."""

import asyncio
from collections.abc import Callable, Iterator
from unittest.mock import Mock

import pytest

from faxline.contract.connections.redis_url import connect, connect_async
from faxline.contract.redis_keys import PROCESSES
from faxline.reading.processes import ROLES, Process, ProcessState, read_processes
from faxline.steps.drivers import run, run_async
from faxline_worker.observability.heartbeat import Heartbeat, look_at_processes
from faxline_worker.observability.pulse import Loops
from tests.scripted_nodes import Cluster, Words, array, bulk, number, scripted

APART = 600
"""Seconds between the clocks of two nodes."""


def keeping(clock: int) -> Callable[[Words], bytes]:
    """What a node answers that keeps hashes and has a clock of its own."""
    kept: dict[bytes, dict[bytes, bytes]] = {}

    def answer(words: Words) -> bytes:
        name, *rest = words
        own = kept.setdefault(rest[0], {}) if rest else {}
        if name == b"TIME":
            return array(bulk(str(clock)), bulk("0"))
        if name == b"HSET":
            own[rest[1]] = rest[2]
        elif name == b"HDEL":
            del own[rest[1]]
        elif name == b"HGETALL":
            return array(*(bulk(each.decode()) for pair in own.items() for each in pair))
        return number(len(own))

    return answer


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with scripted() as cluster:
        cluster.give(PROCESSES + "worker", cluster.nodes[1])
        for place, node in enumerate(cluster.nodes):
            node.answer = keeping(1_800_000_000 + place * APART)
        yield cluster


def test_a_process_is_at_work_by_the_clock_of_the_node_that_has_its_heartbeat(cluster: Cluster) -> None:
    with connect(cluster.url, protocol=2) as client:
        for role in ROLES:
            heartbeat = Heartbeat(client, role, [], Loops(), Mock())
            for _ in range(3):
                heartbeat._write(ProcessState.WORKING, {})
            assert look_at_processes(client)
        by_threads = run(client, read_processes())

    async def read() -> list[Process]:
        async with connect_async(cluster.url, protocol=2) as client:
            return await run_async(client, read_processes())

    for processes in (by_threads, asyncio.run(read())):
        assert {one.role: (one.at_work, one.silent) for one in processes} == dict.fromkeys(ROLES, (True, 0.0))
