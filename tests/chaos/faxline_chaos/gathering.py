"""Waits until a run is over, and gathers what is known then."""

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import redis

from faxline import Event, FaxLine, JobState
from faxline.contract.connections.redis_url import connect
from faxline_chaos.evidence import Evidence, Lost, Recovery, by_fax, by_job, read_jobs
from faxline_chaos.faults import Fax
from faxline_chaos.verdict import as_known, judge
from faxline_chaos.world import Inbound
from faxline_local.stack import Local

STALL = 45.0
"""Seconds without any news after which a run is judged as it stands; longer than every scaled duration."""
FINAL = frozenset(str(state) for state in JobState if state.final)
_LOOK = 2.0
_COUNTS = ("rate_limited", "faults")
"""What the sandbox counted and the verdict needs."""

Say = Callable[[str], None]


@dataclass
class Gathering:
    """What is needed for the evidence.

    Attributes:
        local: the processes.
        lines: of all accounts, by name.
        faxes: all that were pushed.
        bombs: the ids of the entries with a hostile document.
        inbound: has the faxes that came in.
        lost: what restores have lost.
        probes: those of the faxes that showed that an account goes on.
        recoveries: how long the accounts took to go on.
    """

    local: Local
    lines: Mapping[str, FaxLine]
    faxes: Sequence[Fax]
    bombs: Sequence[str]
    inbound: Inbound
    lost: Sequence[Lost] = ()
    probes: Sequence[Fax] = ()
    recoveries: Sequence[Recovery] = ()
    _events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    _states: dict[str, str] = field(default_factory=dict)

    def gather(self, say: Say) -> Evidence:
        """Wait until the verdict is clean, or until no event has come for `STALL` seconds."""
        moved = time.monotonic()
        known = as_known([*self.faxes, *self.probes], self.lost)
        with connect(self.local.redis_url) as client:
            while time.monotonic() - moved < STALL:
                if self._follow(_LOOK):
                    moved = time.monotonic()
                if all(self._over(fax) for fax in known) and self._quiet(client):
                    evidence = self._look()
                    if not judge(self.faxes, evidence):
                        return evidence
        say(f"no event for {STALL:g} s; judged as it stands")
        return self._look()

    def _follow(self, seconds: float) -> bool:
        """Read the events of so many seconds, the first of them included; whether there were any."""
        came = False
        for account, line in self.lines.items():
            known = self._events[account]
            new = list(line.events(after=known[-1].id if known else "0", timeout=seconds / len(self.lines)))
            known.extend(new)
            self._states |= {event.job: str(event.data.get("state")) for event in new}
            came |= bool(new)
        return came

    def _over(self, fax: Fax) -> bool:
        """Whether a fax, by its last event, has ended or is held."""
        state = self._states.get(fax.id)
        return state in FINAL or (state == JobState.IN_DOUBT and fax.policy == "hold")

    def _look(self) -> Evidence:
        """The evidence as it stands. The events are read last, so none of a record is missing."""
        jobs = read_jobs(self.lines["default"], self.bombs)
        for account, line in self.lines.items():
            mine = (fax.id for fax in [*self.faxes, *self.probes] if fax.account == account)
            jobs |= read_jobs(line, mine)
        self._follow(0.2)
        events = [event for each in self._events.values() for event in each]
        return Evidence(
            jobs,
            by_job(events),
            by_fax(self.local.ledger()),
            self._stats(),
            bombs=tuple(self.bombs),
            lost=self.lost,
            inbound=self.inbound.webhooks_taken(),
            probes=self.probes,
            recoveries=self.recoveries,
        )

    def _stats(self) -> dict[str, Counter[str]]:
        """What went wrong by the sandbox, of all accounts."""
        stats = [self.local.stats()[account] for account in self.lines]
        return {name: sum((Counter(each[name]) for each in stats), Counter()) for name in _COUNTS}

    def _quiet(self, client: redis.Redis) -> bool:
        """Whether nothing is under way any more: no call or webhook, no entry, no permit."""
        return bool(self.local.control("POST", "drain?timeout=1")["drained"]) and not any(
            client.xlen(line.keys.intake) or client.xlen(line.keys.status) or client.zcard(line.keys.permits)
            for line in self.lines.values()
        )
