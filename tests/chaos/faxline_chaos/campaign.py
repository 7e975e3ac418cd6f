"""One run of Faxline under faults and kills, from the first push to the evidence."""

import json
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import redis

from faxline import Event, FaxLine, JobState
from faxline_chaos.evidence import Evidence, Lost, by_fax, by_job, read_jobs
from faxline_chaos.faults import Fax, Profile, answer_faults, outcome, webhook_faults
from faxline_chaos.killing import Trouble, run_hits
from faxline_chaos.producer import Producer
from faxline_chaos.relay import Relay
from faxline_chaos.restore import Restore
from faxline_chaos.schedule import Hit, Timetable, draw_hits, push_times
from faxline_chaos.verdict import as_known, judge
from faxline_chaos.world import (
    BASIC,
    BOMB,
    CLOCK,
    FIREWALL,
    INBOUND,
    OUTAGE,
    PATH_SECRET,
    PROOF,
    RESTORE,
    Bombs,
    Clock,
    Firewall,
    Inbound,
    Outage,
    Proofs,
    draw_world,
)
from faxline_local.processes import wait_for
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.stepping_clock import COMPILER, SteppingClock

CREW = {"dispatchers": 2, "workers": 3, "webhooks": 1}
THREADS = 16
STALL = 45.0
"""Seconds without any news after which a run is judged as it stands; longer than every scaled duration."""
LIMITS = {"requests": "20000", "window": "10", "burst": "5000", "concurrency": "40"}
SETTINGS = {
    **{f"LIMITS__{name.upper()}": value for name, value in LIMITS.items()},
    "COOLDOWN__MIN_LIMIT_FACTOR": "0.5",  # or the scripted 429s would keep nearly all of the limits unused
    "HTTP_TIMEOUT": "2",
    "LEASE_GRACE": "1",
    "WAKE_LEASE": "2",
    "SWEEP": "1",
    "TAKEOVER": "4",
    "IN_DOUBT__WAIT": "14",
    "IN_DOUBT__CLOCK_SLACK": "10",  # a loaded machine answers late
    "RECEIPT_DEADLINE": "14",
    "RETRIES__SUBMISSION__ATTEMPTS": "20",
    "RETRIES__SUBMISSION__BASE": "0.2",
    "RETRIES__SUBMISSION__MAX": "2",
    "RETRIES__DELIVERY__ATTEMPTS": "3",
    "RETRIES__DELIVERY__BUSY": "1",
    "RETRIES__DELIVERY__NO_ANSWER": "2",
    "RETRIES__DELIVERY__OTHER": "0.5",
    "UNREACHABLE__FIRST": "0.5",
    "UNREACHABLE__MAX": "3",
    "PROBE__FIRST": "1",
    "PROBE__MAX": "3",
    "REDIS_PATIENCE": "60",
    "EVENTS_CAP": "1000000",
}
"""An hour in seconds; the wait and the deadline outlast iFax's retries of a webhook as the defaults do."""
FIELD_SETTINGS = {
    "RETRIES__DELIVERY__REDIAL_WAIT": "14",
    "RETRIES__DELIVERY__ATTEMPTS": "2",
    "STATUS_CALL": "true",
    "STATUS_CALL__TIMEOUT": "4",
    "ACCOUNTS__DEFAULT__WEBHOOK_BASIC": json.dumps([BASIC]),
    "ACCOUNTS__DEFAULT__WEBHOOK_PATH_SECRETS": json.dumps([PATH_SECRET]),
}
"""A failure is the last word after as long as iFax's next may take: its retries of a webhook, and a call."""
SANDBOX = (
    *(word for name, value in LIMITS.items() for word in (f"--{name}", value)),
    *("--call-seconds", "0.3", "--page-seconds", "0.1", "--answer-seconds", "0.02", "0.2"),
    *("--time-scale", "0.0015"),
)
"""Its retries of a webhook come after 0.45, 0.9, 1.8, 2.7 and 5.4 seconds, 11 in all."""
FINAL = frozenset(str(state) for state in JobState if state.final)
_LOOK = 2.0
START = 30.0
"""Seconds in which a process that was started again is ready."""

Say = Callable[[str], None]


def crew() -> list[str]:
    """The names of the processes that may be hit, as `Local` gives them, and Redis."""
    roles = (
        ["dispatcher"] * CREW["dispatchers"] + ["worker"] * CREW["workers"] + ["webhook"] * CREW["webhooks"]
    )
    return [*(f"{role}-{i}" for i, role in enumerate(roles, start=1)), "redis"]


def plan(seed: int, kills: int, profile: Profile = "documented") -> list[Hit]:
    """The kills, the stalls and the troubles of a run; Redis' clock steps only on Linux with a C compiler."""
    hits = draw_hits(seed, kills, crew())
    kinds = [OUTAGE, FIREWALL, BOMB, RESTORE, *([CLOCK] if COMPILER else [])]
    kinds += [INBOUND, PROOF] if profile == "field" else []
    return sorted([*hits, *draw_world(seed, hits, kinds)], key=lambda hit: hit.at)


def run(
    faxes: Sequence[Fax],
    hits: Sequence[Hit],
    seed: int,
    folder: Path,
    *,
    say: Say,
    binary: ServerBinary | None = None,
    profile: Profile = "documented",
) -> Evidence:
    """Push, kill and stall by the schedule, wait until all is settled or nothing moves, gather the evidence.

    Args:
        faxes: what is pushed.
        hits: what is killed and stalled, and what happens to the world.
        seed: of the times of the pushes.
        folder: for the logs.
        say: gets a line on each part of the run.
        binary: the Redis server's.
        profile: how the sandbox behaves.
    """
    clock = SteppingClock(folder / "clock") if any(hit.name == CLOCK for hit in hits) else None
    local = Local(
        folder,
        workers=CREW["workers"],
        dispatchers=CREW["dispatchers"],
        webhooks=CREW["webhooks"],
        threads=THREADS,
        settings=SETTINGS | (FIELD_SETTINGS if profile == "field" else {}),
        sandbox=(*SANDBOX, "--profile", profile),
        binary=binary,
        appendfsync="always",
        server_environment=clock.environment if clock else None,
    )
    relay = Relay(local.sandbox_port)
    local.reach_ifax(relay.port)
    world: dict[str, Trouble] = {OUTAGE: Outage(relay), FIREWALL: Firewall(relay)}
    if clock is not None:
        world[CLOCK] = Clock(clock)
    with closing(relay), local:
        world[BOMB] = bombs = Bombs(local.redis_url)
        world[INBOUND] = inbound = Inbound(local)
        world[PROOF] = Proofs(local)
        script_sandbox(local, faxes)
        say(f"{len(faxes)} faxes and {len(hits)} kills and stalls; the logs are in {folder}")
        timetable = Timetable()
        producer = Producer(local.redis_url, faxes, push_times(seed, len(faxes), hits), timetable)
        restore = Restore(local, producer, folder)
        producer.start()
        exits = run_hits(local, hits, timetable, world, {RESTORE: restore})
        producer.join()
        say("the last kill is over and all is pushed; now all must settle")
        with FaxLine(local.redis_url) as line:
            watch = _Watch(line)
            look = partial(_look, local, watch, faxes, bombs.pushed(), restore.lost, inbound=inbound)
            evidence = _gather(local, watch, as_known(faxes, restore.lost), look, say)
        # One that was started a moment ago is told to end only when it can: before, the signal just kills it.
        wait_for(lambda: all(map(local.ready, local.metrics)), START)
        (folder / "ledger.json").write_text(json.dumps(local.ledger(), indent=1))  # to look into a finding
    wrong = [f"{name} with exit code {code} at SIGTERM" for name, code in local.exit_codes.items() if code]
    evidence.exits += exits + wrong
    return evidence


def script_sandbox(local: Local, faxes: Sequence[Fax]) -> None:
    """Tell the sandbox what will go wrong with each fax."""
    local.control("POST", "faults", [fault for fax in faxes for fault in answer_faults(fax)])
    local.control("POST", "webhook-faults", [fault for fax in faxes for fault in webhook_faults(fax)])
    for fax in faxes:
        outcomes = outcome(fax)
        if outcomes:
            local.control("PUT", f"numbers/{fax.number}", outcomes)


@dataclass
class _Watch:
    """Follows the events, the first of them included."""

    line: FaxLine
    events: list[Event] = field(default_factory=list)
    states: dict[str, str] = field(default_factory=dict)

    def look(self, seconds: float) -> bool:
        """Read the events of so many seconds; whether there were any."""
        before = len(self.events)
        after = self.events[-1].id if self.events else "0"
        self.events.extend(self.line.events(after=after, timeout=seconds))
        for event in self.events[before:]:
            self.states[event.job] = str(event.data.get("state"))
        return len(self.events) > before

    def open(self, faxes: Sequence[Fax]) -> list[str]:
        """The faxes that, by their last event, are neither over nor held."""
        return [fax.id for fax in faxes if not _over(self.states.get(fax.id), fax)]


def _over(state: str | None, fax: Fax) -> bool:
    return state in FINAL or (state == JobState.IN_DOUBT and fax.policy == "hold")


def _gather(
    local: Local, watch: _Watch, faxes: Sequence[Fax], look: Callable[[], Evidence], say: Say
) -> Evidence:
    """Wait until the verdict is clean, or until no event has come for `STALL` seconds."""
    moved = time.monotonic()
    with redis.Redis.from_url(local.redis_url) as client:
        while time.monotonic() - moved < STALL:
            if watch.look(_LOOK):
                moved = time.monotonic()
            if not watch.open(faxes) and _quiet(local, watch.line, client):
                evidence = look()
                if not judge(faxes, evidence):
                    return evidence
    say(f"no event for {STALL:g} s; judged as it stands")
    return look()


def _look(
    local: Local,
    watch: _Watch,
    faxes: Sequence[Fax],
    bombs: Sequence[str],
    lost: Sequence[Lost],
    *,
    inbound: Inbound,
) -> Evidence:
    """The evidence as it stands. The events are read last, so none of a record is missing."""
    jobs = read_jobs(watch.line, [*(fax.id for fax in faxes), *bombs])
    watch.look(0.2)
    ledger, stats = by_fax(local.ledger()), local.stats()["default"]
    return Evidence(
        jobs,
        by_job(watch.events),
        ledger,
        stats,
        bombs=tuple(bombs),
        lost=lost,
        inbound=inbound.webhooks_taken(),
    )


def _quiet(local: Local, line: FaxLine, client: redis.Redis) -> bool:
    """Whether nothing is under way any more: no call or webhook, no entry, no permit."""
    keys = line.keys
    return bool(
        local.control("POST", "drain?timeout=1")["drained"]
        and not client.xlen(keys.intake)
        and not client.xlen(keys.status)
        and not client.zcard(keys.permits)
    )
