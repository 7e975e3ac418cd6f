"""An account on a clock of its own, for what its answers say about it as a whole."""

from typing import Any
from uuid import uuid4

import redis

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_worker.config.settings import read_settings
from faxline_worker.state.results import Admitted, Held, Settlement
from faxline_worker.state.store import Store

CLOCK = """
local now_us = tonumber(redis.call('GET', 'clock'))
local now = math.floor(now_us / 1000)
local function int(number) return string.format('%.0f', number) end
"""
BEGIN = 1_800_000_000
RANKS = {"urgent": 1, "normal": 2, "bulk": 3}


def create_group(store: Store) -> None:
    """Create the dispatchers' consumer group, as a dispatcher does when it starts."""
    store.scripts.each("create_group", [(store.keys, [INTAKE_GROUP])])


class Account:
    """A store whose time stands still until it is told otherwise."""

    def __init__(self, client: redis.Redis, **changes: str) -> None:
        environment = {"FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token", "FAXLINE_NUMBERS__CONCURRENT": "0"}
        environment |= {f"FAXLINE_{name}": value for name, value in changes.items()}
        self.settings = read_settings(environment)
        self.client = client
        self.seconds = 0.0
        self.go(0)
        self.store = self.worker("")
        create_group(self.store)
        self.store.timers.run()

    def worker(self, who: str) -> Store:
        """The same account, of another process."""
        return Store(self.client, self.settings, "default", who=who, clock=CLOCK)

    def go(self, seconds: float) -> None:
        self.seconds += seconds
        self.client.set("clock", round((BEGIN + self.seconds) * 1_000_000))

    def push(self, *jobs: str, priority: str = "normal", **more: str) -> None:
        for job in jobs:
            entry: Any = self.client.xadd(self.store.keys.intake, {"send": "{}"})
            self.client.xreadgroup(INTAKE_GROUP, "test", {self.store.keys.intake: ">"})
            fields = {"kind": "send", "request": "{}", "number": "+12345678901", "priority": priority} | more
            item = {"id": job, "digest": "d", "rank": RANKS[priority], "fields": fields}
            self.store.intake.register([{"entry": entry.decode(), "jobs": [item]}])
            self.go(0.001)

    def admit(self, chance: float = 1.0) -> Admitted:
        admitted = self.store.submission.admit(uuid4().hex, "", chance)
        assert isinstance(admitted, Admitted), admitted
        return admitted

    def held(self) -> str:
        held = self.store.submission.admit(uuid4().hex, "")
        assert isinstance(held, Held), held
        return held.limit

    def answer(self, admitted: Admitted, decision: str, **more: Any) -> None:
        self.store.submission.mark(admitted)
        self.store.submission.settle(
            admitted, {"decision": decision, "reason": decision, "retry": 100, **more}
        )

    def unsent(self, admitted: Admitted, **more: Any) -> Settlement:
        """No connection could be made."""
        answer = {"decision": "unreachable", "reason": "connection_refused", "message": "connection refused"}
        return self.store.submission.settle(admitted, answer | {"retry": 100, "ours": True, **more})

    def job(self, job: str) -> dict[str, str]:
        """A job's record."""
        raw: Any = self.client.hgetall(self.store.keys.job(job))
        return {name.decode(): value.decode() for name, value in raw.items()}

    def next_probe(self) -> tuple[float, Admitted]:
        """Let time pass until a probe goes: after how long (s), and the probe."""
        waited = 0.0
        while isinstance(probe := self.store.submission.admit(uuid4().hex, ""), Held):
            plan = self.store.timers.plan_wakeups()
            assert plan.next is not None
            self.go(plan.next)
            waited += plan.next
        assert isinstance(probe, Admitted), probe
        return round(waited, 3), probe

    def order(self, order: str) -> str:
        entry: Any = self.client.xadd(self.store.keys.orders, {"order": order, "by": "test"})
        return self.store.orders.pause_or_resume(entry.decode(), order)

    @property
    def state(self) -> Any:
        """The state as producers read it, at this clock's time."""
        raw: dict[bytes, bytes] = self.client.hgetall(self.store.keys.account_state)  # type: ignore[assignment]
        return {name.decode(): value.decode() for name, value in raw.items()}
