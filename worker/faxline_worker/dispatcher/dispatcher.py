"""The dispatcher: reads intake, keeps the timers, sends the wake-ups. Two may run at once.

Threads that block, and poll nothing: one reads the intake streams in a consumer group, one listens to the
status streams, the doorbells and the orders, one works through the agenda: it surveys the accounts whose time
has come, plans their wake-ups and sends each at its moment; one reads the gauges; one carries out the orders
that take their time; one opens the PDFs that take long. Each beats as it goes round (pulse.py). A Redis that
is away is waited for.
"""

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import cycle
from typing import Any, cast

import redis
import structlog

from faxline.contract.orders import MOST_DIGITS
from faxline.contract.pdf_reader import PdfReader
from faxline.contract.redis_keys import ACCOUNTS
from faxline.reading.account_state import ROLLED_BACK
from faxline.reading.processes import ROLES, at_work
from faxline.reading.server_facts import server_facts
from faxline.reading.shared_settings import find_differences
from faxline_worker.dispatcher.clock_watch import ClockWatch
from faxline_worker.dispatcher.intake_reader import IntakeReader, held_back
from faxline_worker.dispatcher.long_orders import Chores
from faxline_worker.dispatcher.schedule import Agenda
from faxline_worker.dispatcher.stream_watch import StreamWatch
from faxline_worker.intake.pdfs import Pdfs
from faxline_worker.intake.registrar import Intake
from faxline_worker.intake.slow_documents import SlowDocuments
from faxline_worker.maintenance.erasure_and_rotation import CHORES, LEASE, ChoreBusyError, Housekeeping
from faxline_worker.observability.heartbeat import look_at_processes
from faxline_worker.observability.metrics.dispatcher import DispatcherMetrics
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.receipts.reconciler import count_end
from faxline_worker.state import scripts
from faxline_worker.state.orders import ORDERS_AT_ONCE
from faxline_worker.state.redis_clients import unserved
from faxline_worker.state.results import ReconcileLock
from faxline_worker.state.schema import NewerLayoutError
from faxline_worker.state.store import Store
from faxline_worker.wakeups.actors import Wakes

BLOCK = 2.0
"""Seconds that a read waits for the next entry; also how soon a stop is noticed."""
EARLY = 0.05
"""Seconds that a read waits while cancellations came before the jobs that they are about."""
PAUSE = 0.5
"""Seconds before the next try while Redis is away."""
NEWS = 10.0
"""Seconds of work after which it is news that Redis is away."""
GAUGES = 2.0
"""Seconds between two readings of the gauges."""
READINGS = 100
"""Accounts of which one reading takes the gauges; of more, each reading takes the next ones. A reading of one
account is some 20 commands, so that of many would cost more than their faxes."""
DURABLE = 30.0
"""Seconds between two looks at whether Redis keeps what it is told."""
LISTENED = 100
"""Entries of a stream that a read brings at the most: they only tell that something came."""
RINGS = 100
"""Entries of a doorbell that are kept at least (lua/lib/bell.lua)."""
GATHER, GATHER_MORE = 0.05, 0.75
"""Seconds in which receipts are gathered for one wake-up: the first ones, and those that come on and on."""
FLOW = 1.0
"""Seconds from one look to the next within which receipts come on and on."""

SURVEY, PLAN, CAME, RECEIPTS, ORDERS, WAKE = "survey", "plan", "came", "receipts", "orders", "wake"
TIDY, REPLACE, POLL = "tidy", "replace", "poll"
GROUP_GONE = ("NOGROUP", "UNBLOCKED")
"""How Redis tells who reads in a group that the stream was replaced."""
REPLACING = 1.0
"""Seconds until a stream that is being replaced is read again."""
HOW = ("accepted", "resend", "fail")
"""How an operator may settle a doubt."""

Entries = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]


def job_id_of(word: Mapping[str, str]) -> str:
    """The iFax jobId that an order names, without leading zeros, which JSON does not know; or nothing."""
    digits = word.get("jobId", "")
    return str(int(digits)) if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS else ""


def _word_of(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """What an order says."""
    return {name.decode("utf-8", "replace"): fields[name].decode("utf-8", "replace")[:128] for name in fields}


def batches(names: Sequence[str], most: int) -> Iterator[Sequence[str]]:
    """So many names at the most, then the next ones, round and round."""
    return cycle([names[start : start + most] for start in range(0, len(names), most)] or [()])


def _for_room(rings: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> bool:
    """Whether the doorbell was rung for nothing but who may go next, and no ring was missed."""
    return len(rings) < RINGS and all(fields.get(b"for") == b"room" for _, fields in rings)


class Dispatcher:
    """Runs until `stop`.

    Args:
        client: a client whose socket timeout outlasts BLOCK.
        stores: the state of every account, by name.
        wakes: sends the Dramatiq messages.
        consumer: this dispatcher's name in the consumer group, unique among those that run.
        takeover: seconds after which another dispatcher's unfinished entries are taken over.
        sweep: seconds between two looks at an account for which nothing was asked.
        wake_lease: seconds after which a wake-up that no actor took is sent again.
        file_hosts: the hosts that a fileUrl may name; none is any.
        pdf_reader: makes what opens PDFs.
        loops: gets a loop for each thread, which beats as it goes round.
    """

    def __init__(
        self,
        client: redis.Redis,
        stores: Mapping[str, Store],
        wakes: Wakes,
        metrics: DispatcherMetrics,
        log: structlog.stdlib.BoundLogger,
        *,
        consumer: str,
        takeover: float,
        sweep: float,
        wake_lease: float,
        file_hosts: tuple[str, ...] = (),
        pdf_reader: Callable[[], PdfReader] = PdfReader,
        loops: Loops | None = None,
    ) -> None:
        self._client = client
        self._stores = stores
        self._wakes = wakes
        self._metrics = metrics
        self._log = log
        self._consumer = consumer
        self._sweep = sweep
        self._wake_lease = wake_lease
        self._loops = loops or Loops()
        self._works: Mapping[str, Callable[[Loop], None]] = {
            "intake": self._take_intake,
            "listener": self._listen,
            "timers": self._work,
            "gauges": self._read_gauges,
            "housekeeping": self._keep_house,
            "documents": self._open_slowly,
        }
        streams = {name: store.keys.intake for name, store in stores.items()}
        self._slow = SlowDocuments(
            *(client, pdf_reader, streams, metrics, log), consumer=consumer, every=takeover / 3
        )
        self._beats = {
            name: self._loops.add(name, self._slow.longest if name == "documents" else 0.0)
            for name in self._works
        }
        self._patient_intakes = {
            name: self._intake(name, file_hosts, "documents", self._slow.patient(name)) for name in stores
        }
        self._intakes = {
            name: self._intake(name, file_hosts, "intake", self._slow.quick(name)) for name in stores
        }
        self._watch = StreamWatch(stores, metrics, log)
        self._early_at = 0.0
        self._stopping = threading.Event()
        self._agenda = Agenda()
        self._reader = IntakeReader(
            *(client, stores, self._intakes, metrics, log),
            consumer=consumer,
            takeover=takeover,
            took=self._took,
            stopping=self._stopping,
            loop=self._beats["intake"],
            full=self._slow.full,
        )
        self._chores = Chores()
        self._ordered: dict[str, str] = {}  # the last order that was read, where more wait behind it
        self._by_kind: dict[str, Callable[[str], float | None]] = {
            SURVEY: self._survey,
            PLAN: self._plan,
            CAME: self._gather,
            RECEIPTS: self._look_for_receipts,
            ORDERS: self._carry_out,
            TIDY: self._tidy,
            REPLACE: self._look_at_streams,
            POLL: self._poll,
        }
        self._ended: Callable[[], None] = lambda: None
        self._register_accounts = scripts.register(client, "register_accounts")
        self._readings = batches(tuple(stores), READINGS)
        self._durable, self._durable_at = True, 0.0
        self._may_see_config = True
        self._clock_watch = ClockWatch()
        self._steps: dict[str, float] = {}  # of Redis' clock, which the accounts are still to be told
        self._threads: list[threading.Thread] = []
        self.newer: NewerLayoutError | None = None
        """Set once a newer layout is stored than this version knows; it works no more then."""

    def _intake(self, name: str, hosts: tuple[str, ...], thread: str, pdfs: Pdfs) -> Intake:
        store, log = self._stores[name], self._log.bind(account=name)
        beat = self._beats[thread].beat
        return Intake(store, self._metrics, log, store.caller_id, store.schedule, hosts, beat, pdfs)

    def start(self, ended: Callable[[], None] = lambda: None) -> None:
        """Start the threads.

        Args:
            ended: called when this version can work no more (`newer`).
        """
        self._ended = ended
        for name, work in self._works.items():
            thread = threading.Thread(target=self._guarded, args=(work, self._beats[name]), name=name)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Ask the threads to end and wait for them."""
        self._stopping.set()
        self._agenda.close()
        self._slow.stop()
        for thread in self._threads:
            thread.join()
        self._slow.close()
        self._leave_group()

    def _guarded(self, work: Callable[[Loop], None], loop: Loop) -> None:
        """Run one thread's work again and again; a Redis that is away is waited for, nothing is given up."""
        away = False
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                work(loop)
            except NewerLayoutError as error:
                loop.failed()
                self.newer = error
                self._stopping.set()
                self._ended()
            except Exception as error:  # noqa: BLE001 - the next round begins from the state
                loop.failed()
                if str(error).startswith(GROUP_GONE):
                    self._log.warning("the intake's group is gone, and made anew", error=type(error).__name__)
                elif not unserved(error):
                    self._log.exception("the dispatcher goes on after an error")
                else:
                    if not away or time.monotonic() - began > NEWS:
                        self._log.warning("Redis is away", error=type(error).__name__)
                    away = True
                self._stopping.wait(PAUSE)
            else:
                away = False
        self._loops.drop(loop.name)

    def _take_intake(self, loop: Loop) -> None:
        self._make_groups(loop)
        self._reader.begin()
        loop.well()
        while not self._stopping.is_set():
            block = min(BLOCK, self._slow.keep())
            early = self._early()
            self._reader.read(EARLY if early else block)
            for intake in early:
                intake.again()

    def _early(self) -> list[Intake]:
        """Whose early cancellations are tried once more: seldom where an entry's PDF takes long."""
        seldom = time.monotonic() - self._early_at > BLOCK
        if seldom:
            self._early_at = time.monotonic()
        return [
            intake
            for name, intake in self._intakes.items()
            if intake.early and (seldom or not self._slow.waiting(name))
        ]

    def _open_slowly(self, loop: Loop) -> None:
        def take(account: str, entries: Sequence[tuple[str, Mapping[bytes, bytes]]]) -> None:
            self._patient_intakes[account].take(entries)
            self._agenda.look((PLAN, account))

        if self._slow.work(take):
            loop.well()
        else:
            loop.failed()

    def _took(self, account: str, last: str) -> None:
        self._agenda.look((PLAN, account))
        if self._watch.is_ahead(last.encode()):
            self._agenda.look((REPLACE, account))

    def _make_groups(self, loop: Loop) -> None:
        names = list(self._stores)
        for start in range(0, len(names), READINGS):
            self._register_accounts(keys=[ACCOUNTS], args=names[start : start + READINGS])
        for store in self._stores.values():
            loop.beat()
            store.schema.init_account()
            store.intake.create_group()

    def _leave_group(self) -> None:
        try:
            self._reader.leave()
        except redis.RedisError as error:
            self._log.warning("left the group without a word", error=type(error).__name__)

    def _listen(self, loop: Loop) -> None:
        """Receipts, orders and doorbells: whatever comes, the account is looked at."""
        asked: dict[bytes, tuple[str, str]] = {}
        bells: dict[bytes, str] = {}
        last: dict[Any, Any] = {}
        for name, store in self._stores.items():
            loop.beat()
            keys = store.keys
            asked[keys.status.encode()] = (CAME, name)
            asked[keys.doorbell.encode()] = (PLAN, name)
            bells[keys.doorbell.encode()] = name
            asked[keys.orders.encode()] = (ORDERS, name)
            for key in (keys.status, keys.doorbell, keys.orders):
                newest = self._client.xrevrange(key, count=1)
                last[key] = newest[0][0] if newest and not self._watch.is_ahead(newest[0][0]) else "0-0"
            for kind in (SURVEY, PLAN, RECEIPTS, ORDERS, TIDY):
                self._agenda.look((kind, name))
        resting: dict[str, float] = {}  # that receipts come is told once while they are gathered
        told: dict[str, float] = {}
        read = 0.0
        while not self._stopping.is_set():
            loop.well()
            self._stopping.wait(held_back(read, len(last)))
            read = now = time.monotonic()
            resting = {key: until for key, until in resting.items() if until > now}
            block = min([BLOCK, *(until - now for until in resting.values())])
            streams = {key: entry for key, entry in last.items() if key not in resting}
            reply = self._client.xread(streams, count=LISTENED, block=max(1, round(block * 1000)))
            for stream, entries in cast("Entries", reply or []):
                key = stream.decode()
                last[key] = entries[-1][0]
                if stream in bells and not _for_room(entries):
                    self._agenda.look((SURVEY, bells[stream]))
                wait = 0.0
                if asked[stream][0] == CAME:
                    now = time.monotonic()
                    wait = GATHER_MORE if now - told.get(key, -FLOW) < FLOW else GATHER
                    told[key] = resting[key] = now + wait
                self._agenda.look(asked[stream], wait)
                if stream not in bells and self._watch.is_ahead(entries[-1][0]):
                    self._agenda.look((REPLACE, asked[stream][1]))
                    last[key], resting[key] = "0-0", time.monotonic() + REPLACING

    def _work(self, loop: Loop) -> None:
        item = self._agenda.next(BLOCK)
        if item is None:
            loop.well()
            return
        kind, account, *more = item
        try:
            if kind == WAKE:
                self._wakes.submit(account, more[0])
            else:
                again = self._by_kind[kind](account)
                if again is not None:
                    self._agenda.look(item, again)
        except BaseException:
            if kind != WAKE:  # a wake-up that could not be sent is given up, and planned anew
                self._agenda.look(item, PAUSE)
            raise
        loop.well()

    def _survey(self, account: str) -> float:
        step = self._steps.get(account, 0.0)
        survey = self._stores[account].timers.run(step=step)
        if step:
            self._steps.pop(account, None)
        if survey.newer:
            self._stores[account].schema.check()
        if survey.ready:
            self._agenda.look((PLAN, account))
        if survey.match:
            self._agenda.look((RECEIPTS, account))
        if survey.poll:
            self._agenda.look((POLL, account))
        for change in survey.changes:
            if change.event == "fax.failed":
                self._metrics.outcome(account, "failed")
                self._metrics.failure(account, "submission", None, change.reason)
            elif change.event == "fax.unconfirmed":
                self._metrics.outcome(account, "unconfirmed")
            self._log.info(change.event, account=account, job=change.job, reason=change.reason)
        for job, receipt in survey.failures:
            count_end(self._metrics, account, receipt)
            self._log.info("held failure applied", account=account, job=job, jobId=receipt["job_id"])
        return survey.next

    def _plan(self, account: str) -> float:
        plan = self._stores[account].timers.plan_wakeups()
        at_once = [token for token, wait in plan.wakes if wait <= 0]
        for token, wait in plan.wakes:
            if wait > 0:
                self._agenda.look((WAKE, account, token), wait)
        if at_once:
            self._wakes.submit(account, *at_once)
        # However far it is: the clock by which that was told may step.
        return self._sweep if plan.next is None else min(plan.next, self._sweep)

    def _poll(self, account: str) -> float | None:
        """Have iFax asked about the jobs whose time it is; workers are woken for that like for any call."""
        polled = self._stores[account].timers.poll()
        if polled.asked:
            self._agenda.look((PLAN, account))
        return polled.next

    def _gather(self, account: str) -> None:
        """Receipts have come."""
        if self._stores[account].receipts.lock_reconcile_on_news():
            self._wakes.reconcile(account)
        self._agenda.look((RECEIPTS, account), self._wake_lease)

    def _look_for_receipts(self, account: str) -> float | None:
        """Receipts may wait although nobody works on them, or be due to meet the doubts."""
        claim = self._stores[account].receipts.try_lock_reconcile()
        if claim is ReconcileLock.LOCKED:
            self._wakes.reconcile(account)
        return None if claim is ReconcileLock.NONE else self._wake_lease

    def _tidy(self, account: str) -> float:
        self._stores[account].maintenance.tidy()
        return self._sweep

    def _look_at_streams(self, account: str, beat: Callable[[], None] = lambda: None) -> None:
        """Replace a stream that is out of ids; what was moved is looked at like what comes."""
        if self._watch.look(account, beat):
            for kind in (PLAN, CAME, ORDERS):
                self._agenda.look((kind, account))

    def _carry_out(self, account: str) -> float | None:
        """Carry out some of the orders, and come back at once where more may wait."""
        store = self._stores[account]
        after = self._ordered.pop(account, "")
        page = store.orders.read(after)
        for entry, fields in page:
            word = _word_of(fields)
            order, job = word.get("order", ""), word.get("job", "")
            how, job_id = word.get("how", ""), job_id_of(word)
            if order in CHORES:
                self._chores.add(account, entry)
                continue
            if order == "resolve" and how in HOW and (job_id or how != "accepted"):
                applied = partial(count_end, self._metrics, account)
                result = store.orders.resolve(entry, job, how, job_id, word.get("by", ""), applied=applied)
                if (result, how) == ("done", "fail"):
                    self._metrics.outcome(account, "failed")
                    self._metrics.failure(account, "submission", None, "operator")
            elif order == "redrive":
                result = store.orders.redrive(entry, word.get("entry", ""), word.get("by", ""))
            elif order == "drop":
                result = store.orders.drop(entry, word.get("entry", ""), word.get("by", ""))
            elif order == "reveal":
                result = store.orders.reveal(entry, word.get("by", ""))
            else:
                result = store.orders.pause_or_resume(entry, order, word.get("by", ""))
            told = {"order": order[:16], "by": word.get("by", ""), "job": job or None, "how": how or None}
            self._log.info("operator's order", account=account, result=result, **told)
        if len(page) < ORDERS_AT_ONCE:
            return 0.0 if after and not page else None  # the stream may have been replaced
        self._ordered[account] = page[-1][0]
        return 0.0

    def _keep_house(self, loop: Loop) -> None:
        """Carry out the orders that take their time, one after the other."""
        loop.well()
        chore = self._chores.take(BLOCK)
        if chore is None:
            return
        account, entry = chore
        try:
            self._do_chore(account, entry, loop)
        except ChoreBusyError:  # is it carried out where it was begun?
            self._chores.later(account, entry, LEASE / 3)
        except BaseException:
            self._chores.later(account, entry, PAUSE)
            raise
        else:
            self._chores.done(account, entry)

    def _do_chore(self, account: str, entry: str, loop: Loop) -> None:
        fields = self._stores[account].orders.get(entry)
        if fields is None:  # another dispatcher has done it
            return
        word = _word_of(fields)
        told = {"order": word["order"], "by": word.get("by", ""), "job": word.get("job") or None}
        log = self._log.bind(account=account)
        house = Housekeeping(self._stores[account], log, self._consumer, self._stopping.is_set, loop.beat)
        self._log.info("operator's order", account=account, result=house.carry_out(entry, word), **told)

    def _read_gauges(self, loop: Loop) -> None:
        for name in next(self._readings):
            loop.beat()
            store = self._stores[name]
            store.schema.check()
            before = time.monotonic()
            state = store.state()
            self._watch_clock(before, state.now / 1e6, time.monotonic())
            for job_state, n in state.jobs.items():
                self._metrics.set_jobs(name, cast("Any", job_state), n)
            for priority, age in state.oldest.items():
                self._metrics.set_oldest_job_age(name, cast("Any", priority), age)
            self._metrics.set_limit(
                name, "concurrency", used=state.concurrency.used, capacity=state.concurrency.effective
            )
            self._metrics.set_limit(name, "window", used=state.window.used, capacity=state.window.effective)
            self._metrics.set_limit(name, "burst", used=state.burst.used, capacity=state.burst.effective)
            self._metrics.set_polls(name, used=state.polls.used, capacity=state.polls.effective)
            for reason, n in state.waiting.items():
                self._metrics.set_queued(name, cast("Any", reason), n)
            self._metrics.set_receipts(name, oldest=state.receipt_wait, overdue=state.overdue)
            self._metrics.set_doubts_held(name, state.held_doubts)
            self._metrics.set_paused(name, bool(state.paused))
            self._metrics.set_closed(name, state.paused or ("rate_limited" if state.gated else ""))
            self._metrics.set_rolled_back(name, state.paused == ROLLED_BACK)
            self._metrics.set_dead_receipts(name, state.dead)
            self._metrics.set_events_unread(name, store.streams.events_unread())
            differ = find_differences(settings for settings in state.shared_settings if settings.by)
            self._metrics.set_settings_differ(name, len(differ))
            for what, ceiling in state.backlog.items():
                self._metrics.set_backlog(
                    name, cast("Any", what), used=ceiling.used, ceiling=ceiling.configured
                )
            self._look_at_streams(name, loop.beat)
        try:
            self._metrics.set_processes(at_work(look_at_processes(self._client)))
        except redis.exceptions.NoPermissionError:  # users.acl is an older one: the heartbeat warns
            self._metrics.set_processes(dict.fromkeys(ROLES, math.nan))
        self._metrics.redis_read()
        loop.well()
        if time.monotonic() >= self._durable_at:
            self._look_at_the_server()
            self._durable_at = time.monotonic() + DURABLE
        self._stopping.wait(GAUGES)

    def _watch_clock(self, before: float, theirs: float, after: float) -> None:
        """A clock that steps is warned of, and every account is told."""
        step = self._clock_watch.look(before, theirs, after)
        if not step:
            return
        self._log.warning(
            "Redis' clock stepped: the limits hold, dates and retries follow it: run NTP that slews",
            seconds=round(step, 3),
        )
        self._metrics.clock_step("back" if step < 0 else "forward")
        for account in self._stores:
            self._steps[account] = self._steps.get(account, 0.0) + step
            self._agenda.look((SURVEY, account))
            self._agenda.look((PLAN, account))

    def _look_at_the_server(self) -> None:
        """Whether Redis keeps what it is told; a change for the worse is warned of."""
        try:
            facts = server_facts(self._client, config=self._may_see_config)
        except redis.exceptions.NoPermissionError:  # INFO is refused, so nobody knows
            durable = False
        else:
            durable = facts.durable
            self._may_see_config = facts.appendfsync is not None  # a refusal each time would fill ACL LOG
            self._metrics.set_redis(
                memory=facts.used_memory, limit=facts.maxmemory, aof=facts.aof_size, aof_ok=facts.aof_ok
            )
        self._metrics.set_redis_durable(durable)
        if self._durable and not durable:
            self._log.warning(
                "Redis may lose faxes: it needs appendonly yes and maxmemory-policy noeviction (ops/redis)"
            )
        self._durable = durable
