"""Sends steps to one node of a cluster."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from faxline.contract.connections.cluster_url import Address
from faxline.steps.commands import Command, Steps

_T = TypeVar("_T")


def on_node(address: Address, steps: Steps[_T]) -> Steps[_T]:
    """The same steps, whose commands go to one node."""
    try:
        current = next(steps)
        while True:
            if isinstance(current, Command):
                current = replace(current, call=_at(address, current.call))
            try:
                reply = yield current
            except Exception as error:  # noqa: BLE001 - the steps decide what it means
                current = steps.throw(error)
            else:
                current = steps.send(reply)
    except StopIteration as end:
        result: _T = end.value
        return result
    finally:
        steps.close()


def _at(address: Address, call: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda client: call(client.topology.node(address))
