"""Check a Redis Cluster: its slots, each of its primaries, and whether their clocks agree."""

import time
from dataclasses import replace

from faxline.contract.check import Check, Result
from faxline.contract.connections.cluster_slots import SlotMap
from faxline.contract.wording import plural
from faxline.doctor.server_checks import server_checks
from faxline.steps.commands import Command, Steps
from faxline.steps.nodes import on_node
from faxline.steps.redis_errors import is_refusal, trouble
from faxline.steps.replicas import NOT_ASKED, Confirmation

APART = 1.0
"""Seconds by which the clocks of two primaries may differ."""


def cluster_checks(confirmation: Confirmation = NOT_ASKED) -> Steps[list[Check]]:
    """Look at all primaries of a cluster.

    Args:
        confirmation: how many replicas must have what is written.
    """
    slots: SlotMap = yield Command(lambda client: client.look_at_slots())
    checks = [_slots(slots)]
    ahead: dict[str, float] = {}
    for address in slots.primaries:
        node = f"{address[0]}:{address[1]}"
        try:
            found = yield from on_node(address, server_checks(confirmation=confirmation))
            checks += [replace(check, name=f"{check.name} of {node}") for check in found]
            ahead[node] = yield from on_node(address, _ahead())
        except Exception as error:  # noqa: BLE001 - what is the matter is the check's answer
            if not is_refusal(error):  # without the right to TIME the check of the clock has said so
                checks.append(Check(f"node {node}", Result.FAIL, trouble(error)))
    return [*checks, _clocks(ahead)] if len(ahead) > 1 else checks


def _slots(slots: SlotMap) -> Check:
    servers = (
        f"{plural(len(slots.primaries), 'primary', 'primaries')}, {plural(len(slots.replicas), 'replica')}"
    )
    if slots.unserved:
        text = f"nobody serves {slots.unserved} of the slots, and so the accounts in them: {servers}"
        return Check("cluster", Result.FAIL, text)
    return Check("cluster", Result.OK, f"all slots are served by {servers}")


def _ahead() -> Steps[float]:
    """How far a node's clock is ahead of ours, in seconds."""
    before = time.time()
    seconds, micros = yield Command(lambda client: client.time())
    return int(seconds) + int(micros) / 1e6 - (before + time.time()) / 2


def _clocks(ahead: dict[str, float]) -> Check:
    first, last = min(ahead, key=ahead.__getitem__), max(ahead, key=ahead.__getitem__)
    apart = ahead[last] - ahead[first]
    if apart <= APART:
        return Check("clocks", Result.OK, "those of the primaries agree")
    text = (
        f"{last} is {apart:.0f} s ahead of {first}, and an account whose slot moves goes by another clock: "
        f"run NTP clients that slew"
    )
    return Check("clocks", Result.WARN, text)
