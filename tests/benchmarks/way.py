"""The whole way of a fax, with webhooks: how many commands it costs from the push to the proof."""

from dataclasses import dataclass
from pathlib import Path

import redis

from faxline import EventName, FaxLine
from faxline_local.stack import DEFAULT, Local
from tests.benchmarks.commands import CommandCount
from tests.benchmarks.contenders import push_entries
from tests.benchmarks.pushes import bulk_names
from tests.benchmarks.scale import Scale

WINDOWS = 2
"""So many windows' worth of faxes are pushed."""
PATIENCE = 60.0
"""Seconds beyond those windows."""


@dataclass(frozen=True)
class WholeWay:
    """What came of it."""

    pushed: int
    delivered: int
    commands_per_fax: float
    rate_limited: int


def run_way(scale: Scale, directory: Path) -> WholeWay:
    """Push faxes and follow each to its receipt."""
    names = bulk_names(scale.requests * WINDOWS)
    parts = Local(
        directory,
        workers=scale.workers,
        threads=scale.threads,
        settings=scale.settings(),
        sandbox=scale.sandbox(),
    )
    with parts as local, CommandCount(local.redis_url) as count:
        with redis.Redis.from_url(local.redis_url) as client:
            push_entries(client, DEFAULT, names)
        delivered = 0
        for event in FaxLine(count.client).events(after="0", timeout=scale.window * WINDOWS + PATIENCE):
            delivered += event.name == EventName.DELIVERED
            if delivered == len(names):
                break
        commands = count.read()
        stats = local.stats()[DEFAULT]
    return WholeWay(
        pushed=len(names),
        delivered=delivered,
        commands_per_fax=commands / max(1, delivered),
        rate_limited=sum(stats["rate_limited"].values()),
    )
