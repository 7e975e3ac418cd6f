"""The list of accounts on a cluster: what is noted of them lies with their names, and each part reads it."""

from typing import Any
from unittest.mock import Mock

import pytest

from faxline.contract.connections.cluster_slots import slot_of
from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import ACCOUNTS, DRAINING, FOLDERS
from faxline_local.redis_cluster import RedisCluster
from faxline_worker.state.account_list import AccountList

pytestmark = pytest.mark.slow

DIRECTORY = "/run/accounts"


def test_accounts_are_noted_and_found_on_a_cluster_with_the_rights_of_each_part(
    redis_cluster: RedisCluster,
) -> None:
    client: Any
    with connect(redis_cluster.url("dispatcher"), protocol=2) as client:
        assert len({slot_of(("HGETALL", key)) for key in (ACCOUNTS, DRAINING, FOLDERS)}) == 1
        accounts = AccountList(client, Mock(), DIRECTORY, lambda _: True)
        accounts.serve(["west", "east"])
        accounts.drain_missing(["east"])
        for user in ("dispatcher", "worker", "console", "archive"):
            with connect(redis_cluster.url(user), protocol=2) as other:
                assert AccountList(other, Mock(), DIRECTORY).drained() == ["west"]
        assert accounts.leave("west")
        assert accounts.drained() == []
        assert client.smembers(ACCOUNTS) == {b"east"}
        assert client.hgetall(FOLDERS) == {b"east": DIRECTORY.encode()}
