"""Where a listener connects after a node of a cluster has sent it elsewhere."""

from unittest.mock import Mock

from redis.exceptions import MovedError

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.cluster_slots import slot_of
from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import RedisKeys
from faxline_worker.dispatcher.account_listener import AccountListener, _Link
from tests.scripted_nodes import scripted


def test_moved_without_a_host_means_the_node_that_says_so_and_the_whole_map_is_asked_for() -> None:
    intake, other = RedisKeys("default").intake, RedisKeys("acme").intake
    slot = slot_of(("XLEN", intake))
    with scripted() as cluster, connect(cluster.url, protocol=2) as client:
        assert isinstance(client, ClusterClient)
        first, second = cluster.nodes
        client.topology.ensure()
        cluster.give(other, second)
        listener = AccountListener(Mock(client=client), Mock())
        link = _Link("default", (intake,), intake, place=("127.0.0.1", first.port))
        listener._lost(link, MovedError(f"{slot} :{second.port}"))
        assert client.topology.slots.owner(slot) == ("127.0.0.1", second.port)
        assert client.topology.slots.owner(slot_of(("XLEN", other))) == ("127.0.0.1", second.port)
