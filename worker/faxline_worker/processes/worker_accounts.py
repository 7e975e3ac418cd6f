"""What a worker has for each account: a submitter and a reconciler, each made when it is first needed."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from structlog.typing import FilteringBoundLogger

from faxline_worker.config.live_accounts import LiveAccounts, Update
from faxline_worker.config.settings import Settings
from faxline_worker.ifax import IfaxClient
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.receipts.reconciler import Reconciler, count_receipt
from faxline_worker.state.stores import Stores
from faxline_worker.submission.standing import Standing
from faxline_worker.submission.submitter import Submitter
from faxline_worker.tracing.spans import Traces
from faxline_worker.wakeups.actors import Wakes

CALLS, CALLS_OF_SEVERAL = 50, 16
"""The most calls that one wake-up leads to: with one account, and with several that share the threads."""


@dataclass
class WorkerAccounts:
    """Makes them. Thread-safe.

    Args:
        live: the accounts as they are now.
        settings: those with which they are made; `follow` renews them.
        stores: the state of each account.
        ifax: calls iFax.
        tokens: each account's token now.
        wakes: sends the Dramatiq messages.
        metrics, log, traces: the worker's.
        ending: whether the process is ending, so that no further call is made.
        beat: called between two calls.
    """

    live: LiveAccounts
    settings: Settings
    stores: Stores
    ifax: IfaxClient
    tokens: Mapping[str, str]
    wakes: Wakes
    metrics: WorkerMetrics
    log: FilteringBoundLogger
    traces: Traces
    ending: Callable[[], bool]
    beat: Callable[[], None]
    _submitters: dict[str, Submitter] = field(default_factory=dict, init=False)
    _reconcilers: dict[str, Reconciler] = field(default_factory=dict, init=False)
    _making: threading.RLock = field(default_factory=threading.RLock, init=False)

    def follow(self, update: Update) -> None:
        """Work for the accounts as they are now. Calls under way go on as they began."""
        with self._making:
            self.settings = update.settings
            self.stores.follow(update.settings, update.renewed)
            for name in (*update.renewed, *update.removed):
                if self._submitters.pop(name, None) is not None and name in update.renewed:
                    self.metrics.set_stepped_back(name, stepped_back=False)
                self._reconcilers.pop(name, None)

    def submitter(self, account: str) -> Submitter | None:
        """The account's submitter; None if the account is drained, or not known here (yet)."""
        if not self.live.takes_faxes(account):
            return None
        if (found := self._submitters.get(account)) is None:
            _ = self.stores[account]  # its first use waits for Redis: not with the lock
            with self._making:
                if (found := self._submitters.get(account)) is None:
                    found = self._submitters[account] = self._make_submitter(account)
        return found

    def reconciler(self, account: str) -> Reconciler | None:
        """The account's reconciler, also while it is drained; None if it is not known here (yet)."""
        if account not in self.stores:
            return None
        if (found := self._reconcilers.get(account)) is None:
            _ = self.stores[account]  # as above
            with self._making:
                if (found := self._reconcilers.get(account)) is None:
                    log = self.log.bind(account=account)
                    found = Reconciler(self.stores[account], self.wakes, self.metrics, log)
                    self._reconcilers[account] = found
        return found

    def stepped_back(self) -> Mapping[str, str]:
        """Each account whose calls this worker leaves to the others, and why."""
        return {
            name: f"stepped back: iFax accepts only the calls of other workers: {away.why}"
            for name, submitter in list(self._submitters.items())
            if (away := submitter.standing.away) is not None
        }

    def _make_submitter(self, account: str) -> Submitter:
        settings, metrics = self.settings, self.metrics
        return Submitter(
            store=self.stores[account],
            client=self.ifax,
            token=lambda: self.tokens[account],
            caller_id=settings.accounts[account].caller_id,
            retries=settings.retries.submission,
            wakes=self.wakes,
            metrics=metrics,
            log=self.log.bind(account=account),
            patience=settings.in_doubt.wait.total_seconds(),
            traces=self.traces,
            applied=lambda receipt, at, name: count_receipt(metrics, name, receipt, at),
            standing=self._standing(account),
            calls=CALLS if len(settings.accounts) == 1 else CALLS_OF_SEVERAL,
            ends=lambda: self.ending() or not self.live.takes_faxes(account),
            beat=self.beat,
        )

    def _standing(self, account: str) -> Standing:
        def on_change(why: str | None) -> None:
            self.metrics.set_stepped_back(account, stepped_back=why is not None)
            if why is None:
                self.log.info("takes the account's calls again", account=account)
            else:
                text = "stepped back: iFax accepts only the calls of other workers"
                self.log.warning(text, account=account, error=why)

        waits = self.settings.unreachable
        return Standing(waits.first.total_seconds(), waits.max.total_seconds(), on_change)
