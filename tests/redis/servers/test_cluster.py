"""A Redis Cluster of three nodes: every script with all its keys runs where the account's slot is.

A cluster refuses a script that touches two slots, also by a key that the script makes itself.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline_local.redis_cluster import RedisCluster
from faxline_local.server_binaries import ServerBinary
from faxline_worker.state.store import SCRIPTS
from tests.stage.expected import expected
from tests.stage.walk import Seen, Walk

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def owner(server_binary: ServerBinary) -> Iterator[Any]:
    """The node that has the slot of the account `default`."""
    with (
        RedisCluster(binary=server_binary, replicas=0) as cluster,
        redis.Redis.from_url(cluster.owner_of(RedisKeys("default").intake).url()) as client,
    ):
        yield client


def test_every_script_runs_in_every_state_with_all_its_keys_in_the_slot_of_the_account(
    owner: Any,
) -> None:
    seen: list[Seen] = list(Walk(owner))
    assert {s.script for s in seen} == set(SCRIPTS)
    did = {(s.script, s.input, s.state): s.outcome for s in seen}
    should = {(s.script, s.input, s.state): expected(s.script, s.input, s.state, s.before) for s in seen}
    assert did == should


def test_a_script_that_touched_another_accounts_key_would_be_refused(owner: Any) -> None:
    keys = RedisKeys("default")
    text = "#!lua\nreturn redis.call('GET', ARGV[1])"
    assert owner.eval(text, 1, keys.ready, keys.document("none")) is None
    with pytest.raises(redis.ResponseError, match=r"slot|non local key"):
        owner.eval(text, 1, keys.ready, RedisKeys("acme").document("none"))


def test_the_names_of_the_accounts_and_two_accounts_lie_in_slots_of_their_own(owner: Any) -> None:
    names = [ACCOUNTS, RedisKeys("default").intake, RedisKeys("acme").intake]
    slots = {owner.execute_command("CLUSTER", "KEYSLOT", name) for name in names}
    assert len(slots) == len(names)  # so one read cannot have two accounts, which a dispatcher's has
