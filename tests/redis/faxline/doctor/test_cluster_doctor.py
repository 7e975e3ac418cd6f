"""What the doctor finds on a cluster: every primary is looked at."""

from collections.abc import Callable, Iterator

import pytest
import redis

from faxline import FaxLine
from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.redis_url import connect
from faxline.doctor.cluster_checks import cluster_checks
from faxline.reading.servers import read_servers
from faxline.steps.drivers import run
from faxline_local.redis_cluster import RedisCluster
from faxline_local.server_binaries import ServerBinary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster(server_binary: ServerBinary) -> Iterator[RedisCluster]:
    with RedisCluster(
        binary=server_binary, options={"min-replicas-to-write": "1", "min-replicas-max-lag": "1"}
    ) as running:
        yield running


def checks(url: str) -> dict[str, tuple[str, str]]:
    with FaxLine(url) as line:
        return {check.name: (str(check.result), check.text) for check in line.checks()}


def test_each_primary_is_looked_at_and_one_replica_each_is_too_few(cluster: RedisCluster) -> None:
    found = checks(cluster.url())
    assert found["cluster"] == ("ok", "all slots are served by 3 primaries, 3 replicas")
    assert found["clocks"] == ("ok", "those of the primaries agree")
    for primary in cluster.servers[:3]:
        assert found[f"version of 127.0.0.1:{primary.port}"][0] == "ok"
        result, text = found[f"replication of 127.0.0.1:{primary.port}"]
        assert result == "warn"
        assert "run 2 replicas" in text


def test_each_primary_tells_about_itself(cluster: RedisCluster) -> None:
    with connect(cluster.url(), protocol=2) as client:
        found = run(client, read_servers(in_cluster=True))
    assert sorted(one.node for one in found) == sorted(f"127.0.0.1:{p.port}" for p in cluster.servers[:3])
    assert all(one.facts is not None and one.facts.primary and one.facts.clients for one in found)


def test_clocks_that_are_apart_are_told(cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    with connect(cluster.url(), protocol=2) as client:
        assert isinstance(client, ClusterClient)
        seconds, micros = client.nodes[0].time()
        monkeypatch.setattr(client.nodes[0], "time", lambda: (seconds + 60, micros))
        found = {check.name: check for check in run(client, cluster_checks())}
    assert str(found["clocks"].result) == "warn"
    assert "ahead of" in found["clocks"].text


def test_slots_that_nobody_serves_are_told(
    server_binary: ServerBinary, wait_until: Callable[..., object]
) -> None:
    with RedisCluster(binary=server_binary, replicas=0) as cluster:
        cluster.ask(cluster.servers[0], "CLUSTER", "DELSLOTSRANGE", 0, 99)
        for server in cluster.servers[1:]:
            cluster.ask(server, "CLUSTER", "DELSLOTSRANGE", 0, 99)

        def told() -> bool:
            result, text = checks(cluster.url())["cluster"]
            return result == "fail" and "nobody serves 100 of the slots" in text

        wait_until(told, timeout=30)


def test_a_primary_that_does_not_answer_is_told(server_binary: ServerBinary) -> None:
    with RedisCluster(binary=server_binary, replicas=0) as cluster:
        gone = cluster.servers[2]
        with connect(cluster.url(), protocol=2) as client:
            assert isinstance(client, ClusterClient)
            client.look_at_slots()
            gone.kill()
            found = {check.name: check for check in run(client, cluster_checks())}
    assert str(found[f"node 127.0.0.1:{gone.port}"].result) == "fail"
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(gone.url()).ping()
