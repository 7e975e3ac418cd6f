"""What happens to the nodes of a cluster during a run, and how long its accounts take to go on.

The troubles are drawn from the seed alone. They come one after the other, beside the kills of processes
(`killing.py`): each begins when all nodes are in step. After each, a fax is pushed for every account, and
accepted by the sandbox once the account goes on.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle

from faxline import FaxLine
from faxline_chaos.evidence import Recovery
from faxline_chaos.faults import Fax
from faxline_chaos.producer import push
from faxline_chaos.rig import PartableCluster
from faxline_chaos.schedule import Hit, Timetable
from faxline_local.processes import wait_for
from faxline_local.redis_server import RedisServer

KILLED, LAGGED, MOVED = "primary killed", "primary killed, its replica lags", "slots moved"
FROZEN, PARTED, RESTARTED = "primary frozen", "primary parted", "nodes restarted"
LENGTHS: Mapping[str, tuple[float, float]] = {
    KILLED: (0.0, 2.0),
    LAGGED: (1.0, 3.0),
    MOVED: (0.0, 0.0),
    FROZEN: (0.0, 3.0),
    PARTED: (0.0, 3.0),
    RESTARTED: (0.0, 0.0),
}
"""Least and most seconds for which a primary stays away once its replica has taken over, or goes on alone."""
_ONE_BY_ONE = (MOVED, RESTARTED)
"""No account stands still for as long as these take."""
EACH = 12.0
"""Seconds for one trouble in the schedule. One that takes longer delays the next."""
KILLS_FOR_ALL = 15
"""All of them for so many kills, at least once."""
PATIENCE = 60.0
"""Seconds in which a replica takes over."""
GOES_ON = 300.0
"""Seconds in which every account goes on: a loaded machine takes a minute to start a killed worker."""
_FAX = Fax("", "", "urgent", "hold", "delivered", (), None, document=False)
_LOOK = 0.1


def draw_node_troubles(seed: int, kills: int, kinds: Sequence[str] = tuple(LENGTHS)) -> list[Hit]:
    """The troubles of the nodes, all these kinds in turn, in another order each time."""
    chance = random.Random(f"nodes:{seed}")
    drawn = list[Hit]()
    for _ in range(max(1, kills // KILLS_FOR_ALL)):
        for kind in chance.sample(kinds, len(kinds)):
            at = len(drawn) * EACH + chance.uniform(0.2, 0.4) * EACH
            drawn.append(Hit(at, kind, chance.uniform(*LENGTHS[kind]), stall=False))
    return drawn


def stretched(hits: Sequence[Hit], troubles: Sequence[Hit]) -> list[Hit]:
    """The kills and stalls, spread over the time of the troubles."""
    factor = max(1.0, len(troubles) * EACH / hits[-1].at) if hits else 1.0
    return [replace(hit, at=hit.at * factor) for hit in hits]


class Nodes:
    """Carries out the troubles of the nodes.

    Args:
        local: the processes, and the nodes.
        lines: push as the producers do, for every account.
        seed: of which node is hit.
    """

    def __init__(self, local: PartableCluster, lines: Mapping[str, FaxLine], seed: int) -> None:
        self._local = local
        self._cluster = local.cluster
        self._lines = lines
        accounts = list(lines)
        random.Random(f"hit nodes:{seed}").shuffle(accounts)
        self._turns = cycle(accounts)
        self._kinds: Mapping[str, Callable[[float], None]] = {
            KILLED: self._kill,
            LAGGED: self._kill_while_its_replica_lags,
            MOVED: self._move_slots,
            FROZEN: self._freeze,
            PARTED: self._part,
            RESTARTED: self._restart_all,
        }
        self.probes: list[Fax] = []
        """The faxes that were pushed to see the accounts go on."""
        self.recoveries: list[Recovery] = []

    def run(self, troubles: Sequence[Hit], timetable: Timetable) -> None:
        """Carry out the troubles in their order, each at its time or later.

        Raises:
            RedisServerError: the nodes did not come together again.
        """
        for hit in troubles:
            while not timetable.due(hit.at):
                threading.Event().wait(_LOOK)
            begun = time.time()
            self._kinds[hit.name](hit.down)
            ended = time.time()
            seconds = self._recovered(ended)
            begun = ended if hit.name in _ONE_BY_ONE else begun
            self.recoveries.append(Recovery(hit.name, seconds, begun, time.time()))
            self._cluster.await_whole()

    def _kill(self, seconds: float) -> None:
        primary, replica = self._pair()
        primary.kill()
        self._await_takeover(replica)
        wait_for(lambda: False, seconds)
        primary.restart()

    def _kill_while_its_replica_lags(self, seconds: float) -> None:
        primary, replica = self._pair()
        with self._not_copied(primary, replica):
            wait_for(lambda: False, seconds)  # the primary goes on alone
            primary.kill()
            self._await_takeover(replica)
        primary.restart()

    def _part(self, seconds: float) -> None:
        """It runs, and the clients reach it: until it misses the others, it takes itself for the primary."""
        primary, replica = self._pair()
        with self._not_copied(primary, replica):
            self._local.isolate(primary)
            self._await_takeover(replica)
        wait_for(lambda: False, seconds)
        self._local.reunite()

    @contextmanager
    def _not_copied(self, primary: RedisServer, replica: RedisServer) -> Iterator[None]:
        """A replica cannot log in, and copies nothing. (What a frozen one is sent would wait for it.)"""
        (right,) = self._cluster.ask(replica, "CONFIG", "GET", "masterauth")[1:]
        self._cluster.ask(replica, "CONFIG", "SET", "masterauth", "wrong")
        self._cluster.ask(primary, "CLIENT", "KILL", "TYPE", "replica")
        yield
        self._cluster.ask(replica, "CONFIG", "SET", "masterauth", right)

    def _freeze(self, seconds: float) -> None:
        """It keeps its connections, and takes what it was sent meanwhile, until it hears of the takeover."""
        primary, replica = self._pair()
        primary.pause()
        self._await_takeover(replica)
        wait_for(lambda: False, seconds)
        primary.resume()

    def _move_slots(self, _: float) -> None:
        """Each account's, to the next primary."""
        primaries = self._cluster.primaries
        for line in self._lines.values():
            key = line.keys.account_state
            here = primaries.index(self._cluster.owner_of(key))
            self._cluster.move(key, primaries[(here + 1) % len(primaries)])

    def _restart_all(self, _: float) -> None:
        for number, server in enumerate(self._cluster.servers):
            if number:
                self._cluster.await_whole()
            server.restart()

    def _pair(self) -> tuple[RedisServer, RedisServer]:
        """A primary with accounts, and its replica."""
        key = self._lines[next(self._turns)].keys.account_state
        primary = self._cluster.owner_of(key)
        (replica,) = self._cluster.replicas_of(primary)
        return primary, replica

    def _await_takeover(self, replica: RedisServer) -> None:
        assert wait_for(lambda: self._cluster.is_primary(replica), PATIENCE), "the replica did not take over"

    def _recovered(self, ended: float) -> float | None:
        """Seconds until the sandbox has accepted a fax of every account; None: it took too long."""
        number = len(self.probes)
        probes = [
            replace(_FAX, id=f"probe-{number + i}", number=f"+1202{7_000_000 + number + i}", account=account)
            for i, account in enumerate(self._lines)
        ]
        self.probes += probes
        give_up = threading.Event()
        with ThreadPoolExecutor(len(probes)) as pool:
            for probe in probes:
                pool.submit(push, self._lines[probe.account], probe, give_up=give_up)
            accepted = dict[str, float]()

            def all_go_on() -> bool:
                for fax in self._local.ledger():
                    accepted.setdefault(fax["subject"], fax["accepted_at"])
                return all(probe.id in accepted for probe in probes)

            recovered = wait_for(all_go_on, GOES_ON, every=0.25)
            give_up.set()
        return max(accepted[probe.id] for probe in probes) - ended if recovered else None
