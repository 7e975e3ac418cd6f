"""Where a listener connects after a node of a cluster has sent it elsewhere, or is gone without a word."""

import math
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


def test_a_connection_to_a_node_that_lost_the_account_is_made_anew_although_the_node_says_nothing() -> None:
    intake, other = RedisKeys("default").intake, RedisKeys("acme").intake
    with scripted() as cluster, connect(cluster.url, protocol=2) as client:
        assert isinstance(client, ClusterClient)
        _, second = cluster.nodes
        client.topology.ensure()
        listener = AccountListener(Mock(client=client), Mock())
        for account, key in (("default", intake), ("acme", other)):
            place = client.topology.slots.owner(slot_of(("XLEN", key)))
            listener._links[account] = _Link(
                account, (key,), key, place=place, listens=True, silent_until=math.inf
            )
        listener._drop_useless()
        assert all(link.listens for link in listener._links.values())
        client.topology.slots.moved(slot_of(("XLEN", intake)) or 0, ("127.0.0.1", second.port))
        listener._drop_useless()
        assert [account for account, link in listener._links.items() if not link.listens] == ["default"]
        assert [account for _, account in listener._due] == ["default"]
