"""Checks that Redis takes entries, without adding one: for a user that may only XADD and run no script."""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

import redis
from redis.exceptions import ClusterDownError, MovedError

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.cluster_slots import slot_of
from faxline.contract.connections.cluster_url import Address


def check_adds(client: redis.Redis, stream: str) -> bool:
    """Check that the server accepts entries of a stream now. Returns True.

    Raises:
        redis.RedisError: the server cannot be reached, or refuses entries.
    """
    try:
        client.execute_command(*adds_nothing(stream))  # type: ignore[no-untyped-call]
    except redis.ResponseError as error:
        return took_nothing(error)
    return True


def away_to_add(client: redis.Redis, streams: Iterable[str]) -> list[str]:
    """Check which nodes accept no entries of these streams now, as `check_adds`. Returns their addresses.

    The nodes of a cluster are asked at once, so one that hangs costs no more than one that is away.

    Args:
        client: the client.
        streams: their keys. Those whose slots no node serves are left out.

    Raises:
        redis.RedisError: no node accepts any.

    Example:
        >>> away_to_add(client, [RedisKeys("acme").status])
        ['10.0.0.1:6379']
    """
    asked = list(streams)
    if not asked or not isinstance(client, ClusterClient):
        check_adds(client, asked[0]) if asked else client.ping()
        return []
    slots, by_node = client.look_at_slots(), dict[Address, str]()
    for stream in asked:
        if (node := slots.find(slot_of(("XLEN", stream)))) is not None:
            by_node[node] = stream
    if not by_node:
        raise ClusterDownError("no node serves a slot")

    def try_one(node: Address) -> redis.RedisError | None:
        try:
            check_adds(client.topology.node(node), by_node[node])
        except MovedError:  # it answers, and another has the slot
            return None
        except redis.RedisError as error:
            return error
        return None

    with ThreadPoolExecutor(len(by_node)) as pool:
        found = dict(zip(by_node, pool.map(try_one, by_node), strict=True))
    errors = {node: error for node, error in found.items() if error is not None}
    if errors:
        client.topology.refresh()
    if len(errors) == len(by_node):
        raise next(iter(errors.values()))
    return [f"{host}:{port}" for host, port in errors]


def adds_nothing(stream: str) -> tuple[str, ...]:
    """An XADD with the id 0-0, which no entry can have. A server that refuses writes refuses it as such."""
    return ("XADD", stream, "0-0", "probe", "")


def took_nothing(error: redis.ResponseError) -> bool:
    """Return True if the server refused only the id of `adds_nothing`; otherwise raise the error."""
    if "0-0" not in str(error):
        raise error
    return True
