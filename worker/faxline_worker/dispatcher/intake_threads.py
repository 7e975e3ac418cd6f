"""The threads of intake: one reads the streams, one opens PDFs that take long."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import redis

from faxline.contract.pdf.reader import PdfReader
from faxline.contract.redis_keys import ACCOUNTS
from faxline_worker.dispatcher.context import BLOCK, PAUSE, DispatcherContext
from faxline_worker.dispatcher.intake_reader import IntakeReader
from faxline_worker.dispatcher.schedule import Task
from faxline_worker.intake.made_on_demand import MadeOnDemand
from faxline_worker.intake.pdfs import Pdfs
from faxline_worker.intake.registrar import Intake
from faxline_worker.intake.slow_documents import SlowDocuments
from faxline_worker.observability.pulse import Loop, Loops
from faxline_worker.state.account_starts import init_accounts, slices
from faxline_worker.state.store import Store

EARLY = 0.05
"""Seconds that a read waits while cancellations came before the jobs that they are about."""

SOME = 200
"""The most accounts that are begun with before the entries of the others are read again."""
LISTED = 60.0
"""Seconds after which the accounts are listed again. A failover may lose what was added last."""


class IntakeThreads:
    """Turns intake entries into jobs.

    Args:
        context: the dispatcher.
        loops: gets a loop for each thread.
        file_hosts: the hosts that a fileUrl may name; () allows any.
        pdf_reader: makes the reader that opens PDFs.
        takeover: seconds after which another dispatcher's unfinished entries are taken over.
    """

    def __init__(
        self,
        context: DispatcherContext,
        loops: Loops,
        *,
        file_hosts: tuple[str, ...],
        pdf_reader: Callable[[], PdfReader],
        takeover: float,
    ) -> None:
        self._context = context
        self._file_hosts = file_hosts
        self.slow = SlowDocuments(
            *(context.client, pdf_reader, context.metrics, context.log),
            consumer=context.consumer,
            every=takeover / 3,
        )
        self.reading, self.opening = loops.add("intake"), loops.add("documents", self.slow.longest)
        self.opening.well()  # there is no slow document yet
        self.intakes = MadeOnDemand(lambda name: self._intake(name, self.reading, self.slow.quick(name)))
        self._thorough_intakes = MadeOnDemand(
            lambda name: self._intake(name, self.opening, self.slow.thorough(name))
        )
        self._reader = IntakeReader(
            *(context.client, context.stores, self.intakes, context.metrics, context.log),
            consumer=context.consumer,
            takeover=takeover,
            took=self._took,
            stopping=context.stopping,
            loop=self.reading,
            full=self.slow.full,
            bell=context.bell,
        )
        self._early_at = self._again_at = 0.0
        self._listed_until = time.monotonic() + LISTED
        self._more_come = False
        """Whether there are accounts to begin with at the next round."""
        self._begun: frozenset[str] = frozenset()
        """The accounts that were begun with."""
        self._taking: set[str] = set()
        """Those whose entries are taken."""
        self._unregistered: set[str] = set()
        """Those whose names are to be added to the set of all."""

    def _intake(self, name: str, loop: Loop, pdfs: Pdfs) -> Intake:
        context, store = self._context, self._context.stores[name]
        context.metrics.labels.serve(name)
        log = context.log.bind(account=name)
        return Intake(
            *(store, context.metrics, log, store.caller_id, store.schedule, self._file_hosts), loop.beat, pdfs
        )

    def read(self, loop: Loop) -> None:
        """Read and take entries until the dispatcher stops.

        Raises:
            redis.RedisError: Redis is away or refuses; what was not taken stays pending. Call it again.
            NewerLayoutError: a newer layout is stored than this version knows.
        """
        self._begun = frozenset()
        version = self._follow(loop)
        self._reader.begin()
        loop.well()
        while not self._context.stopping.is_set():
            if version != self._context.stores.version or self._is_due():
                version = self._follow(loop)
            block = min(BLOCK, self.slow.keep())
            early = self._early()
            self._reader.read(EARLY if early or self._more_come else block)
            for intake in early:
                intake.again()

    def open_documents(self, loop: Loop) -> None:
        """Take the next entry whose PDFs take long, if one comes within a while.

        Raises:
            redis.RedisError: Redis is away or refuses; the entry waits again.
        """

        def take(account: str, entries: Sequence[tuple[str, Mapping[bytes, bytes]]]) -> None:
            self._thorough_intakes[account].take(entries)
            self._context.schedule.add((Task.PLAN_WAKEUPS, account))

        if self.slow.work(take):
            loop.well()
        else:
            loop.failed()

    def close(self) -> None:
        """Leave the consumer groups. Call it when both threads have ended."""
        self.slow.close()
        try:
            self._reader.leave()
        except redis.RedisError as error:
            self._context.log.warning("the consumer groups could not be left", error=type(error).__name__)

    def _follow(self, loop: Loop) -> int:
        """Begin with the accounts that are new, and read all that are served; the version of these."""
        context = self._context
        version, stores = context.stores.version, dict(context.stores)
        new = [store for name, store in stores.items() if name not in self._begun]
        taking = {name for name in stores if context.stores.takes_faxes(name)}
        self._unregistered = (self._unregistered | (taking - self._taking)) & taking
        self._taking = taking
        many = bool(self._begun) and len(new) > SOME
        if many:
            new = [store for store in new if not context.lost.rest(store.account)][:SOME]
        self._more_come = many and bool(new)
        begun = self._begun.union(self._begin(new, loop)).intersection(stores)
        for intakes in (self.intakes, self._thorough_intakes):
            for name, intake in list(intakes.items()):
                if stores.get(name) is not intake.store:  # its settings changed, or it is gone
                    del intakes[name]
        there = {name: store for name, store in stores.items() if name in begun}
        self.slow.follow(there)
        self._reader.follow({name: there[name] for name in there if name in taking})
        self._begun = begun
        self._again_at = time.monotonic() + (0.0 if self._more_come else PAUSE)
        return version

    def _is_due(self) -> bool:
        """Whether accounts wait to be begun with, because their node was away, or to be listed again."""
        now = time.monotonic()
        if now >= self._listed_until:
            self._listed_until = now + LISTED
            self._unregistered |= self._taking
        waiting = self._unregistered or len(self._begun) < len(self._context.stores)
        return bool(waiting) and now >= self._again_at

    def _begin(self, stores: Sequence[Store], loop: Loop) -> set[str]:
        """Begin with new accounts; those whose node of a cluster is away are left for the next time."""
        context, begun = self._context, set[str]()
        for some in context.lost.by_node(stores):
            if context.lost.attempt(some[0].account, partial(self._begin_with, some, loop)):
                begun.update(store.account for store in some)
        context.lost.attempt(ACCOUNTS, self._register)
        return begun

    def _begin_with(self, stores: Sequence[Store], loop: Loop) -> None:
        self._context.begin(stores)
        init_accounts(stores, loop.beat)

    def _register(self) -> None:
        for names in slices(self._unregistered):
            self._context.accounts.serve(names)
            self._unregistered.difference_update(names)

    def _early(self) -> list[Intake]:
        """The intakes whose early cancellations are tried again; seldom while an account's PDFs take long."""
        seldom = time.monotonic() - self._early_at > BLOCK
        if seldom:
            self._early_at = time.monotonic()
        return [
            intake
            for name, intake in list(self.intakes.items())
            if intake.early and (seldom or not self.slow.waiting(name))
        ]

    def _took(self, account: str, last: str) -> None:
        if self._context.bell is not None:
            self._context.bell.took(account, last)
        self._context.schedule.add((Task.PLAN_WAKEUPS, account))
        if self._context.streams.is_ahead(last.encode()):
            self._context.schedule.add((Task.CHECK_STREAMS, account))
