"""The state in Redis. Every transition of a job is one Lua script, called through one typed method.

A script that is called again after a lost reply gives the same answer, so the client's retries are safe.
Python runs no transition and reads no clock: time comes from the server.
"""

import json
import time
from collections.abc import Callable

import redis

from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.seals import Seals
from faxline.reading.account_reader import read_account_state_from
from faxline.reading.account_state import AccountState
from faxline.reading.shared_settings import BELIEVED, SharedSettings, read_shared_settings
from faxline_worker.config.settings import Settings
from faxline_worker.state import (
    documents,
    intake,
    intake_entries,
    lineage,
    maintenance,
    orders,
    receipts,
    schema,
    streams,
    submission,
    timers,
)
from faxline_worker.state.account_context import AccountContext, milliseconds
from faxline_worker.state.recent_work import Memory
from faxline_worker.state.script_options import request_lifetime, script_options
from faxline_worker.state.scripts import Scripts
from faxline_worker.state.steady_clock import SteadyClock

PARTS = (
    *(intake, intake_entries, submission, receipts, timers, orders, streams),
    *(documents, maintenance, schema, lineage),
)
SCRIPTS = (*(name for part in PARTS for name in part.SCRIPTS), "offer")
"""The scripts of an account."""


class Store:
    """The state of one account, in parts named for the stages of a fax.

    Args:
        client: a client of the state's database (bytes replies).
        settings: the daemon's settings.
        account: the account's name, one of `settings.accounts`.
        who: the name of this process, for the audit.
        clock: Lua text that gives the scripts the time, for tests (`scripts.source`).
        monotonic: a monotonic clock (s), to notice steps of Redis' clock; None for a test with its own clock.
        memory: what this process did lately for the account; empty by default.

    Example:
        >>> store = Store(client, settings, "default")
        >>> admitted = store.submission.admit("token", "")
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        account: str,
        *,
        who: str = "",
        clock: str | None = None,
        monotonic: Callable[[], float] | None = time.monotonic,
        memory: Memory | None = None,
    ) -> None:
        self.account = account
        self.keys = RedisKeys(account)
        self.limits = settings.limits_of(account)
        self.caller_id = settings.accounts[account].caller_id
        self.schedule = settings.schedule
        self.seals = Seals(settings.keyring, account)
        self.memory = memory if memory is not None else Memory()
        self._client = client
        self._settings = settings
        options = script_options(settings, account, who)
        self._context = context = AccountContext(
            client=client,
            keys=self.keys,
            seals=self.seals,
            scripts=Scripts(client, self.keys, SCRIPTS, clock),
            options=json.dumps(options, separators=(",", ":")),
            steady=SteadyClock(None if clock and monotonic is time.monotonic else monotonic),
            memory=self.memory,
            confirmation=settings.confirmation,
        )
        self.intake = intake.IntakeStore(context)
        self.intake_entries = intake_entries.IntakeEntries(context)
        self.submission = submission.SubmissionStore(context, request_lifetime(settings), settings.http_rate)
        self.receipts = receipts.ReceiptStore(context, options["wake_lease"])
        self.timers = timers.TimerStore(context)
        self.orders = orders.OrderStore(context)
        self.streams = streams.StreamStore(context)
        self.documents = documents.StoredDocuments(context, options["document_ttl"])
        self.maintenance = maintenance.MaintenanceStore(context)
        self.schema = schema.SchemaStore(context, account)
        self.lineage = lineage.Lineage(context, who)

    @property
    def steady(self) -> int | str:
        """The account's steady clock (ms), as this process knows it; "" until a script has returned it."""
        return self._context.steady.now()

    def state(self) -> AccountState:
        """Read the account's state, for the dispatcher's gauges."""
        return read_account_state_from(self._client, self.keys)

    def offer(self, who: str) -> tuple[SharedSettings, ...]:
        """Publish the settings of this process for BELIEVED seconds, and return those of all live processes.

        Args:
            who: this process, as `role host:pid`.

        Raises:
            redis.ResponseError: a newer layout is stored.
        """
        steady = self._context.steady
        asked = steady.asked()
        believed = milliseconds(BELIEVED)
        reply = json.loads(self._context.run("offer", self._context.options, who, believed, steady.now()))
        steady.learn(asked, reply["steady"])
        return read_shared_settings(reply["offers"], reply["steady"])
