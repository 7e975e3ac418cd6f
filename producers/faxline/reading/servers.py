"""The servers of Redis: the one of a URL, or each primary of a cluster."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from faxline.reading.server_facts import ServerFacts, facts
from faxline.steps.commands import Command, Steps
from faxline.steps.nodes import on_node
from faxline.steps.redis_errors import trouble

if TYPE_CHECKING:
    from faxline.contract.connections.cluster_slots import SlotMap


@dataclass(frozen=True, slots=True)
class Server:
    """A server of Redis.

    Attributes:
        node: its address in a cluster; empty if Redis is no cluster.
        facts: what it says about itself; None if it does not answer or may not be asked.
        trouble: why not.
    """

    node: str
    facts: ServerFacts | None
    trouble: str = ""


def read_servers(*, in_cluster: bool) -> Steps[list[Server]]:
    """Ask the server, or each primary of a cluster, about itself. A node that is away is told as such.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    if not in_cluster:
        return [(yield from _server("", facts()))]
    slots: SlotMap = yield Command(lambda client: client.look_at_slots())
    found: list[Server] = []
    for address in slots.primaries:
        steps = on_node(address, facts())
        found.append((yield from _server(f"{address[0]}:{address[1]}", steps)))
    return found


def _server(node: str, steps: Steps[ServerFacts]) -> Steps[Server]:
    try:
        return Server(node, (yield from steps))
    except Exception as error:  # noqa: BLE001 - what is the matter is the answer
        return Server(node, None, trouble(error))
