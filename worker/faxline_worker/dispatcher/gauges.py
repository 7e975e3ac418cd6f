"""The thread of the gauges: it reads the state of the accounts and of Redis for the metrics."""

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import redis

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.redis_url import address
from faxline.contract.redis_keys import ACCOUNTS
from faxline.reading.account_state import ROLLED_BACK, AccountState
from faxline.reading.draining import Drained, read_draining
from faxline.reading.processes import ROLES, Process, at_work
from faxline.reading.server_facts import server_facts
from faxline.reading.shared_settings import find_differences
from faxline.steps.drivers import run
from faxline_worker.dispatcher.clock_watch import ClockWatch
from faxline_worker.dispatcher.context import DispatcherContext
from faxline_worker.dispatcher.schedule import Task
from faxline_worker.dispatcher.timers import schedule_moved
from faxline_worker.observability.heartbeat import look_at_processes
from faxline_worker.observability.pulse import Loop

EVERY = 2.0
"""Seconds between two readings."""
READINGS = 100
"""Accounts that one reading reads. If there are more, each reading takes the next ones: reading an account
costs some 20 commands, and reading many would cost more than their faxes."""
DURABLE = 30.0
"""Seconds between two looks at whether Redis is durable."""


class Gauges:
    """Sets the gauges of the metrics."""

    def __init__(self, context: DispatcherContext) -> None:
        self._context = context
        self._read = 0
        self._drained: Mapping[str, Drained] = {}
        self._clock_watches: defaultdict[str, ClockWatch] = defaultdict(ClockWatch)
        """One for the server; of a cluster one for each account, because each node has a clock of its own."""
        self._in_cluster = isinstance(context.client, ClusterClient)
        self._server = ServerGauges(context)

    def run(self, loop: Loop) -> None:
        """Read some accounts and wait for the next reading.

        Raises:
            redis.RedisError: Redis is away or refuses.
            NewerLayoutError: a newer layout is stored than this version knows.
        """
        context, away = self._context, list[redis.RedisError]()
        names = self._next()
        self._drained = self._server.read_drained()
        for account in names:
            loop.beat()
            if context.lost.rest(account):
                away.append(redis.ConnectionError("the node is away"))
                continue
            try:
                self._read_account(account, loop)
            except redis.RedisError as error:
                if not context.lost.lost(account, error):
                    raise
                away.append(error)
        if away and len(away) == len(names):
            raise away[-1]
        processes = self._server.read_processes()
        if context.shares is not None and processes is not None:
            context.shares.saw(processes)
        context.metrics.redis_read()
        loop.well()
        self._server.read()
        context.stopping.wait(EVERY)

    def _read_account(self, account: str, loop: Loop) -> None:
        context, store = self._context, self._context.stores[account]
        store.schema.check()
        before = time.monotonic()
        state = store.state()
        self.watch_clock(before, state.now / 1e6, time.monotonic(), account if self._in_cluster else "")
        unread = store.streams.events_unread()
        if context.metrics.labels.serves(account) or unread or not state.idle:
            context.metrics.labels.serve(account)
            self._set(account, state)
            context.metrics.set_events_unread(account, unread)
        if context.streams.look(account, loop.beat):
            schedule_moved(context, account)

    def _next(self) -> Sequence[str]:
        """The accounts that this reading reads."""
        names = list(self._context.stores)
        first = self._read if self._read < len(names) else 0
        self._read = first + READINGS
        return names[first : first + READINGS]

    def _set(self, account: str, state: AccountState) -> None:
        metrics = self._context.metrics
        for job_state, n in state.jobs.items():
            metrics.set_jobs(account, cast("Any", job_state), n)
        for priority, age in state.oldest.items():
            metrics.set_oldest_job_age(account, cast("Any", priority), age)
        limits = {"concurrency": state.concurrency, "window": state.window, "burst": state.burst}
        for limit, found in limits.items():
            metrics.set_limit(account, cast("Any", limit), used=found.used, capacity=found.effective)
        metrics.set_polls(account, used=state.polls.used, capacity=state.polls.effective)
        for reason, n in state.waiting.items():
            metrics.set_queued(account, cast("Any", reason), n)
        for what, ceiling in state.backlog.items():
            metrics.set_backlog(account, cast("Any", what), used=ceiling.used, ceiling=ceiling.configured)
        metrics.set_receipts(account, oldest=state.receipt_wait, overdue=state.overdue)
        metrics.set_doubts_held(account, state.held_doubts)
        metrics.set_paused(account, bool(state.paused))
        metrics.set_closed(account, state.paused or ("rate_limited" if state.cooling_down else ""))
        since = self._drained[account].since.timestamp() if account in self._drained else None
        metrics.set_draining(account, max(0.0, state.now / 1e6 - since) if since is not None else 0.0)
        metrics.set_rolled_back(account, state.paused == ROLLED_BACK)
        metrics.set_dead_receipts(account, state.dead)
        differences = find_differences(settings for settings in state.shared_settings if settings.by)
        metrics.set_settings_differ(account, len(differences))

    def watch_clock(self, before: float, theirs: float, after: float, account: str = "") -> None:
        """Compare Redis' clock with ours. After a step the timers and plans of all accounts run anew.

        Args:
            before: our monotonic clock (s) when Redis was asked.
            theirs: Redis' clock (s).
            after: our monotonic clock when the answer was there.
            account: the account whose node was asked, in a cluster.
        """
        context, step = self._context, self._clock_watches[account].look(before, theirs, after)
        if not step:
            return
        context.log.warning(
            "Redis' clock stepped: the limits hold, but dates and retries follow the clock. Let NTP slew it",
            seconds=round(step, 3),
        )
        context.metrics.clock_step("back" if step < 0 else "forward")
        for name in [account] if account else context.stores:
            context.clock_steps[name] = context.clock_steps.get(name, 0.0) + step
            context.schedule.add((Task.RUN_TIMERS, name))
            context.schedule.add((Task.PLAN_WAKEUPS, name))


class ServerGauges:
    """Sets the gauges that describe the Redis server."""

    def __init__(self, context: DispatcherContext) -> None:
        self._context = context
        self._not_durable: set[str] = set()
        self._may_see_config = True
        self._next = self._processes_at = 0.0

    def read_processes(self) -> list[Process] | None:
        """Read the processes and count those at work; None if the user may not, or their node is away."""
        if time.monotonic() < self._processes_at:
            return None
        try:
            found = look_at_processes(self._context.client)
        except (redis.ConnectionError, redis.TimeoutError):
            if not isinstance(self._context.client, ClusterClient):
                raise
            self._processes_at = time.monotonic() + DURABLE  # the node that has the heartbeats may hang
            return None
        except redis.exceptions.NoPermissionError:  # users.acl is an older one: the heartbeat warns
            self._context.metrics.set_processes(dict.fromkeys(ROLES, math.nan))
            return None
        self._context.metrics.set_processes(at_work(found))
        return found

    def read_drained(self) -> Mapping[str, Drained]:
        """Which accounts are drained, and since when. They are asked for only if one is drained here."""
        found: dict[str, Drained] = {}
        if self._context.stores.draining:
            with suppress(redis.exceptions.NoPermissionError):  # users.acl is an older one
                self._context.lost.attempt(
                    ACCOUNTS, lambda: found.update(run(self._context.client, read_draining()))
                )
        return found

    def read(self) -> None:
        """Read the server, or each primary of a cluster, every DURABLE seconds."""
        if time.monotonic() < self._next:
            return
        client = self._context.client
        if not isinstance(client, ClusterClient):
            self._read(client)
        else:
            nodes = {address(node): node for node in client.nodes}
            self._context.metrics.keep_nodes(nodes)
            for name, node in nodes.items():
                with suppress(redis.ConnectionError, redis.TimeoutError):  # its replica will take its place
                    self._read(node, name)
        self._next = time.monotonic() + DURABLE

    def _read(self, client: redis.Redis, node: str = "") -> None:
        """Read one server. Log a warning if it stopped being durable."""
        context = self._context
        try:
            facts = server_facts(client, config=self._may_see_config)
        except redis.exceptions.NoPermissionError:  # INFO is refused, so nobody knows
            durable = False
        else:
            durable = facts.durable
            self._may_see_config = facts.appendfsync is not None  # a refusal each time would fill ACL LOG
            context.metrics.set_redis(
                memory=facts.used_memory,
                limit=facts.maxmemory,
                aof=facts.aof_size,
                aof_ok=facts.aof_ok,
                node=node,
            )
        context.metrics.set_redis_durable(durable, node)
        if durable:
            self._not_durable.discard(node)
        elif node not in self._not_durable:
            self._not_durable.add(node)
            context.log.warning(
                "Redis may lose faxes: it needs appendonly yes and maxmemory-policy noeviction (ops/redis)"
            )
