"""A slot of a Redis Cluster is moved from one node to another, key by key, while scripts are called.

A script that is stopped at a key which is at the other node has written half of a transition. Each script of
an account declares one key that is there, the account's hash, and one that never is, the prefix: so it is
refused at both ends, before it runs, for as long as the slot is on its way.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, TryAgainError

from faxline.contract.redis_keys import RedisKeys
from faxline_local.redis_cluster import RedisCluster
from faxline_local.server_binaries import ServerBinary
from faxline_worker.state.scripts import FLAGS, Scripts
from faxline_worker.state.store import SCRIPTS, Store
from tests.stage.daemon import usual_settings
from tests.stage.intake import create_group, register

pytestmark = pytest.mark.slow
EVERY_SCRIPT = (*SCRIPTS, "tick")


@dataclass
class Move:
    """A slot that is on its way.

    Attributes:
        keys: the account that has the slot.
        source: a client on the node that had it.
        target: a client on the node that gets it.
    """

    keys: RedisKeys
    slot: int
    source: Any
    target: Any

    def content(self) -> list[dict[bytes, bytes]]:
        """All keys of both nodes, as DUMP has them."""
        return [{key: _dump(node, key) for key in self._keys_at(node)} for node in (self.source, self.target)]

    def _keys_at(self, node: Any) -> list[bytes]:
        found: list[bytes] = node.execute_command("CLUSTER", "GETKEYSINSLOT", self.slot, 1000)
        return found

    def migrate(self, *keys: str) -> None:
        """Move some keys to the target; all that are left without any named."""
        place = self.target.connection_pool.connection_kwargs
        for key in keys or self._keys_at(self.source):
            self.source.execute_command("MIGRATE", place["host"], place["port"], key, 0, 5000)

    def complete(self) -> None:
        """Give the slot to the target."""
        for node in (self.target, self.source):
            node.execute_command("CLUSTER", "SETSLOT", self.slot, "NODE", _id(self.target))


@pytest.fixture(scope="module")
def cluster(server_binary: ServerBinary) -> Iterator[RedisCluster]:
    with RedisCluster(binary=server_binary, replicas=0) as cluster:
        yield cluster


@pytest.fixture
def move(cluster: RedisCluster) -> Iterator[Move]:
    """The slot of an account with a queued fax, on its way to another node; it comes back at the end."""
    keys = RedisKeys("default")
    owner = cluster.owner_of(keys.intake)
    other = next(server for server in cluster.servers if server is not owner)
    with redis.Redis.from_url(owner.url()) as source, redis.Redis.from_url(other.url()) as target:
        _push(source)
        move = Move(keys, key_slot(keys.intake.encode()), source, target)
        target.execute_command("CLUSTER", "SETSLOT", move.slot, "IMPORTING", _id(source))
        source.execute_command("CLUSTER", "SETSLOT", move.slot, "MIGRATING", _id(target))
        yield move
        for node in (source, target):
            node.flushall()
            node.execute_command("CLUSTER", "SETSLOT", move.slot, "STABLE")
            node.execute_command("CLUSTER", "SETSLOT", move.slot, "NODE", _id(source))


def _dump(node: Any, key: bytes) -> bytes:
    node.execute_command("ASKING")
    found: bytes = node.dump(key)
    return found


def _id(node: Any) -> Any:
    return node.execute_command("CLUSTER", "MYID")


def _push(client: Any) -> Store:
    """An account with a fax that is queued."""
    store = Store(client, usual_settings(), "default")
    create_group(store)
    store.timers.run()
    register(store, client, "a")
    return store


def _refuses_all(node: Any, keys: RedisKeys, error: type[Exception], *, asking: bool = False) -> None:
    """Call each script of the account, which must raise this error."""
    scripts = Scripts(node, keys, EVERY_SCRIPT)
    for name in EVERY_SCRIPT:
        if asking:
            node.execute_command("ASKING")
        with pytest.raises(error):
            scripts.run(name)


def test_while_the_accounts_hash_is_at_the_source_each_script_is_refused_at_both_ends(move: Move) -> None:
    move.migrate(move.keys.ready, move.keys.job("a"))
    before = move.content()
    assert all(before), "some keys are at each end"
    _refuses_all(move.source, move.keys, TryAgainError)
    _refuses_all(move.target, move.keys, TryAgainError, asking=True)
    assert move.content() == before


def test_once_the_hash_has_moved_the_source_sends_each_script_on_and_the_target_refuses_it(
    move: Move,
) -> None:
    move.migrate(move.keys.account_state)
    before = move.content()
    assert all(before), "some keys are at each end"
    _refuses_all(move.source, move.keys, AskError)
    _refuses_all(move.target, move.keys, TryAgainError, asking=True)
    assert move.content() == before


def test_a_script_that_declared_the_hash_alone_would_write_half_of_a_transition(move: Move) -> None:
    move.migrate(move.keys.ready)
    half = "redis.call('HSET', KEYS[1], 'half', '1') redis.call('ZADD', ARGV[1], 1, 'b')"
    with pytest.raises(redis.ResponseError, match="non local key"):
        move.source.execute_command("EVAL", f"{FLAGS}\n{half}", 1, move.keys.account_state, move.keys.ready)
    assert move.source.hget(move.keys.account_state, "half") == b"1"


def test_once_the_slot_has_moved_the_target_runs_the_scripts_on_all_that_there_was(move: Move) -> None:
    before = move.content()[0]
    move.migrate()
    _refuses_all(move.target, move.keys, TryAgainError, asking=True)
    move.complete()
    assert move.content() == [{}, before]
    _refuses_all(move.source, move.keys, MovedError)
    store = Store(move.target, usual_settings(), "default")
    assert getattr(store.submission.admit("token", ""), "job", None) == "a"
