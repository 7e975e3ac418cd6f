"""Which accounts a worker serves first, where accounts are many: its share, by the workers' heartbeats."""

import redis

from faxline.reading.processes import read_processes, units_to_text
from faxline.steps.drivers import run
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.state.units import MANY, OwnUnits, share_lists
from faxline_worker.wakeups.broker import WakeBroker


class WorkerShare:
    """Looks who is at work, as often as a heartbeat is written, and tells the broker.

    Args:
        client: a client of the state's database, with a short timeout.
        live: the accounts.
        broker: the worker's broker.
    """

    def __init__(self, client: redis.Redis, live: LiveAccounts, broker: WakeBroker) -> None:
        self._client = client
        self._live = live
        self._broker = broker
        self._own: OwnUnits | None = None

    def heartbeat_fields(self, process: str) -> dict[str, str]:
        """What the heartbeat says about the share of this worker; nothing while accounts are few.

        Args:
            process: the name of this worker in its heartbeat.
        """
        if len(self._live.settings.accounts) <= MANY:
            self._own, self._broker.units, self._broker.grouped = None, None, False
            return {}
        self._own = self._own or OwnUnits(process)
        try:
            found = [one for one in run(self._client, read_processes(["worker"])) if one.at_work]
        except redis.RedisError:  # away, or no right to look: the units stay as they are
            self._broker.units = self._broker.units or self._own.saw([])
        else:
            self._broker.units = self._own.saw(one.name for one in found if one.shares == self._live.group)
            self._broker.grouped = share_lists(found)
        return {"shares": self._live.group, "units": units_to_text(self._broker.units)}
