"""The state in Redis. Every transition of a job is one Lua script, called through one typed method.

A script that is called again after a lost reply gives the same answer, so the client's retries are safe.
Python runs no transition and reads no clock: time comes from the server.
"""

import json
import time
from collections.abc import Callable
from typing import Any

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
from faxline_worker.state.scripts import Argument, Scripts
from faxline_worker.state.steady_clock import SteadyClock

PARTS = (
    *(intake, intake_entries, submission, receipts, timers, orders, streams),
    *(documents, maintenance, schema, lineage),
)
SCRIPTS = (*(name for part in PARTS for name in part.SCRIPTS), "offer")
"""The scripts of an account."""


class Shared:
    """What the stores of all accounts share: the scripts, and the options of accounts with equal limits.

    Args:
        client, settings, who, clock: as in `Store`.
    """

    def __init__(
        self, client: redis.Redis, settings: Settings, who: str = "", clock: str | None = None
    ) -> None:
        self.scripts = Scripts(client, RedisKeys("any"), SCRIPTS, clock)
        self.request_lifetime = request_lifetime(settings)
        self._settings = settings
        self._who = who
        self._options: dict[tuple[object, object], tuple[dict[str, Any], str]] = {}

    def options_of(self, account: str) -> tuple[dict[str, Any], str]:
        """The options of the account's scripts, and their JSON."""
        settings = self._settings
        alike = settings.limits_of(account), settings.ceilings_of(account)
        found = self._options.get(alike)
        if found is None:
            options = script_options(settings, account, self._who)
            found = self._options[alike] = options, json.dumps(options, separators=(",", ":"))
        return found


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
        shared: what is shared with the stores of other accounts; by default nothing is.

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
        shared: Shared | None = None,
    ) -> None:
        shared = shared or Shared(client, settings, who, clock)
        self.account = account
        self.keys = RedisKeys(account)
        self.limits = settings.limits_of(account)
        self.caller_id = settings.accounts[account].caller_id
        self.schedule = settings.schedule
        self.seals = Seals(settings.keyring, account)
        self.memory = memory if memory is not None else Memory()
        self.client = client
        self.scripts = shared.scripts.of(self.keys)
        self._settings = settings
        options, text = shared.options_of(account)
        self._context = context = AccountContext(
            client=client,
            keys=self.keys,
            seals=self.seals,
            scripts=self.scripts,
            options=text,
            steady=SteadyClock(None if clock and monotonic is time.monotonic else monotonic),
            memory=self.memory,
            confirmation=settings.confirmation,
        )
        self.intake = intake.IntakeStore(context)
        self.intake_entries = intake_entries.IntakeEntries(context)
        self.submission = submission.SubmissionStore(
            context, shared.request_lifetime, options["linger"], settings.http_rate, options["doubt"]
        )
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
        return read_account_state_from(self.client, self.keys)

    def offer(self, who: str) -> tuple[SharedSettings, ...]:
        """Publish the settings of this process for BELIEVED seconds, and return those of all live processes.

        Args:
            who: this process, as `role host:pid`.

        Raises:
            redis.ResponseError: a newer layout is stored.
        """
        asked, args = self.offer_arguments(who)
        return self.offered(asked, self._context.run("offer", *args))

    def offer_arguments(self, who: str) -> tuple[float, list[Argument]]:
        """The moment of the call, and the arguments of `offer`."""
        steady = self._context.steady
        believed = milliseconds(BELIEVED)
        return steady.asked(), [self._context.options, who, believed, steady.now()]

    def offered(self, asked: float, reply: bytes) -> tuple[SharedSettings, ...]:
        """The settings in a reply of `offer` that was asked for at this moment."""
        read = json.loads(reply)
        self._context.steady.learn(asked, read["steady"])
        return read_shared_settings(read["offers"], read["steady"])
