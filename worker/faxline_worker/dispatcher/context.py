"""What the threads of a dispatcher share."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import redis
import structlog

from faxline_worker.dispatcher.intake_bell import IntakeBell
from faxline_worker.dispatcher.lost_nodes import LostNodes
from faxline_worker.dispatcher.schedule import Schedule
from faxline_worker.dispatcher.served import Served
from faxline_worker.dispatcher.shares import Shares
from faxline_worker.dispatcher.stream_watch import StreamWatch
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.state.account_list import AccountList
from faxline_worker.state.store import Store

BLOCK = 2.0
"""Seconds that a thread waits for something to do. A stop is noticed this soon."""
PAUSE = 0.5
"""Seconds before the next try after an error."""


@dataclass(frozen=True)
class DispatcherContext:
    """Shared by the threads of one dispatcher.

    Attributes:
        client: a client whose socket timeout is longer than BLOCK.
        stores: the stores of the accounts that this dispatcher serves now.
        begin: called with the stores of new accounts before their first entry is taken.
        shares: decides which accounts this dispatcher serves; None: always all.
        accounts: the list of accounts in Redis.
        drained: whether an account that is drained and has nothing under way may be forgotten.
        metrics: the dispatcher's metrics.
        log: the dispatcher's log.
        consumer: this dispatcher's name in the consumer group; no other dispatcher has it.
        streams: replaces streams that ran out of ids.
        schedule: what to do for which account, and when.
        stopping: set when the dispatcher is to stop.
        bell: tells the intake reader which accounts have entries, if each account is listened to by itself.
        lost: which nodes of a cluster were lost a moment ago.
        clock_steps: steps of Redis' clock (s) that the timers of an account have yet to take.
    """

    client: redis.Redis
    stores: Served
    metrics: DispatcherMetrics
    log: structlog.typing.FilteringBoundLogger
    consumer: str
    streams: StreamWatch
    lost: LostNodes
    accounts: AccountList
    bell: IntakeBell | None = None
    begin: Callable[[Sequence[Store]], None] = lambda _: None
    shares: Shares | None = None
    drained: Callable[[str], bool] = lambda _: True
    schedule: Schedule = field(default_factory=Schedule)
    stopping: threading.Event = field(default_factory=threading.Event)
    clock_steps: dict[str, float] = field(default_factory=dict)
