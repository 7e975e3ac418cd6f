"""One run of Faxline under faults and kills, from the first push to the evidence."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

from faxline import FaxLine
from faxline_chaos import nodes
from faxline_chaos.evidence import Evidence
from faxline_chaos.faults import Fax, Profile
from faxline_chaos.gathering import Gathering, Say
from faxline_chaos.killing import Trouble, run_hits
from faxline_chaos.nodes import Nodes
from faxline_chaos.producer import Producer
from faxline_chaos.relay import Relay
from faxline_chaos.restore import Restore
from faxline_chaos.rig import CREW, PartableCluster, make_cluster, make_local, open_lines, script_sandbox
from faxline_chaos.schedule import Hit, Timetable, draw_hits, push_times
from faxline_chaos.world import (
    BOMB,
    CLOCK,
    FIREWALL,
    INBOUND,
    OUTAGE,
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
from tests.stepping_clock import COMPILER, SteppingClock

START = 30.0
"""Seconds in which a process that was started again is ready."""


def crew() -> list[str]:
    """The names of the processes that may be hit, as `Local` gives them, and Redis."""
    roles = (
        ["dispatcher"] * CREW["dispatchers"] + ["worker"] * CREW["workers"] + ["webhook"] * CREW["webhooks"]
    )
    return [*(f"{role}-{i}" for i, role in enumerate(roles, start=1)), "redis"]


def plan(
    seed: int, kills: int, profile: Profile = "documented", troubles_of_nodes: Sequence[str] = ()
) -> list[Hit]:
    """The kills, the stalls and the troubles of a run; Redis' clock steps only on Linux with a C compiler.

    Args:
        seed: of everything random.
        kills: how many.
        profile: how the sandbox behaves.
        troubles_of_nodes: those that a cluster's nodes have; none: there is one server.
    """
    hits = draw_hits(seed, kills, crew())
    troubles = nodes.draw_node_troubles(seed, kills, troubles_of_nodes) if troubles_of_nodes else []
    hits = nodes.stretched(hits, troubles)
    kinds = [BOMB, *([INBOUND, PROOF] if profile == "field" else [])]
    if not troubles:
        kinds += [OUTAGE, FIREWALL, RESTORE, *([CLOCK] if COMPILER else [])]
    return sorted([*hits, *troubles, *draw_world(seed, hits, kinds)], key=lambda hit: hit.at)


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

    It runs on a cluster if nodes are to have troubles.

    Args:
        faxes: what is pushed.
        hits: what is killed and stalled, and what happens to the world and to nodes.
        seed: of the times of the pushes.
        folder: for the logs.
        say: gets a line on each part of the run.
        binary: the Redis server's.
        profile: how the sandbox behaves.
    """
    troubles = [hit for hit in hits if hit.name in nodes.LENGTHS]
    clock = SteppingClock(folder / "clock") if any(hit.name == CLOCK for hit in hits) else None
    local = make_cluster(folder, profile, binary) if troubles else make_local(folder, profile, binary, clock)
    relay = Relay(local.sandbox_port)
    local.reach_ifax(relay.port)
    world: dict[str, Trouble] = {OUTAGE: Outage(relay), FIREWALL: Firewall(relay)}
    if clock is not None:
        world[CLOCK] = Clock(clock)
    with closing(relay), local, open_lines(local) as lines:
        world[BOMB] = bombs = Bombs(local.redis_url)
        world[INBOUND] = inbound = Inbound(local)
        world[PROOF] = Proofs(local)
        script_sandbox(local, faxes)
        say(f"{len(faxes)} faxes and {len(hits)} kills and stalls; the logs are in {folder}")
        timetable = Timetable()
        producers = _producers(lines, faxes, push_times(seed, len(faxes), hits), timetable)
        restore = Restore(local, producers[0], folder)
        hit_nodes = Nodes(local, lines, seed) if isinstance(local, PartableCluster) else None
        with ThreadPoolExecutor(1) as pool:
            hitting = pool.submit(hit_nodes.run, troubles, timetable) if hit_nodes else None
            rest = [hit for hit in hits if hit.name not in nodes.LENGTHS]
            exits = run_hits(local, rest, timetable, world, {RESTORE: restore})
            if hitting is not None:
                hitting.result()
        for producer in producers:
            producer.join()
        say("the last kill is over and all is pushed; now all must settle")
        gathering = Gathering(local, lines, faxes, bombs.pushed(), inbound, restore.lost)
        if hit_nodes:
            gathering.probes, gathering.recoveries = hit_nodes.probes, hit_nodes.recoveries
        evidence = gathering.gather(say)
        # One that was started a moment ago is told to end only when it can: before, the signal just kills it.
        wait_for(lambda: all(map(local.ready, local.metrics)), START)
        (folder / "ledger.json").write_text(json.dumps(local.ledger(), indent=1))  # to look into a finding
    wrong = [f"{name} with exit code {code} at SIGTERM" for name, code in local.exit_codes.items() if code]
    evidence.exits += exits + wrong
    return evidence


def _producers(
    lines: Mapping[str, FaxLine], faxes: Sequence[Fax], times: Sequence[float], timetable: Timetable
) -> list[Producer]:
    """One for each account, at work."""
    timed = list(zip(faxes, times, strict=True))
    producers = []
    for account, line in lines.items():
        mine = [(fax, at) for fax, at in timed if fax.account == account]
        producers.append(Producer(line, [fax for fax, _ in mine], [at for _, at in mine], timetable))
        producers[-1].start()
    return producers
