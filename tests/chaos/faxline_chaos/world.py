"""What happens to the world around Faxline.

iFax is out of reach, a firewall is in between, Redis' clock steps, a producer pushes a hostile document,
Redis comes back with older data, a fax comes in, iFax proves its webhooks otherwise.

Each is drawn from the seed alone and carried out as a hit beside the kills (`killing.py`): it begins, and
ends after its time. Only a restore is an interlude (`restore.py`).
"""

import base64
import json
import random
import threading
from collections.abc import Mapping, Sequence
from itertools import cycle

import redis

from faxline.contract.connections.redis_url import connect
from faxline.contract.redis_keys import RedisKeys
from faxline_chaos.evidence import answered
from faxline_chaos.relay import Relay
from faxline_chaos.schedule import Hit
from faxline_local.stack import Local
from tests.hostile_files import object_stream, page_tree, xref_stream
from tests.stepping_clock import SteppingClock

OUTAGE, FIREWALL, CLOCK, BOMB, RESTORE, INBOUND, PROOF = (
    *("outage", "firewall", "clock", "bomb", "restore", "inbound fax", "other proof"),
)
LENGTHS: Mapping[str, tuple[float, float]] = {
    OUTAGE: (1.0, 6.0),
    FIREWALL: (1.0, 6.0),
    CLOCK: (1.0, 5.0),
    BOMB: (0.0, 0.0),
    INBOUND: (0.0, 0.0),
    PROOF: (0.0, 0.0),
    RESTORE: (2.0, 5.0),
}
"""Least and most seconds of each."""
KILLS_FOR_ONE: Mapping[str, int] = dict.fromkeys(LENGTHS, 10) | {RESTORE: 25, INBOUND: 1, PROOF: 3}
"""One of a kind for so many kills, one at the least."""
AGAIN = 0.1
"""Seconds until a bomb is pushed again that Redis, which may be down just now, did not take."""
BEHIND = 600
"""Seconds that Redis' clock is behind while it is wrong."""


def draw_world(seed: int, hits: Sequence[Hit], kinds: Sequence[str]) -> list[Hit]:
    """What happens to the world during a run with these hits, in the order of time.

    Two of a kind do not overlap. A restore comes when faxes are under way, and others are still to come.

    Args:
        seed: of everything random.
        hits: the kills and stalls, whose length is the run's.
        kinds: of `LENGTHS`.
    """
    length = hits[-1].at if hits else 10.0
    kills = sum(not hit.stall for hit in hits)
    drawn = []
    for kind in kinds:
        each = max(1, kills // KILLS_FOR_ONE[kind])
        chance = random.Random(f"world:{kind}:{seed}")
        slot = length / each
        for i in range(each):
            down = min(chance.uniform(*LENGTHS[kind]), slot * 0.8)
            first, last = (0.3 * slot, 0.7 * slot) if kind == RESTORE else (0.0, slot - down)
            drawn.append(Hit(i * slot + chance.uniform(first, last), kind, down, stall=False))
    return sorted(drawn, key=lambda hit: hit.at)


class Outage:
    """iFax is out of reach: nothing listens there."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def begin(self) -> None:
        """Begin it."""
        self._relay.close_port()

    def end(self) -> None:
        """End it."""
        self._relay.open_port()


class Firewall:
    """Somebody between us and iFax refuses every request with a page of its own."""

    def __init__(self, relay: Relay) -> None:
        self._relay = relay

    def begin(self) -> None:
        """Begin it."""
        self._relay.refuse()

    def end(self) -> None:
        """End it."""
        self._relay.open_port()


class Clock:
    """Redis' clock is set back, and right again."""

    def __init__(self, clock: SteppingClock) -> None:
        self._clock = clock

    def begin(self) -> None:
        """Set it back."""
        self._clock.step(-BEHIND)

    def end(self) -> None:
        """Set it right again."""
        self._clock.step(0)


class Inbound:
    """Faxes come in, every other one in a form with its PDF."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._count = 0

    def begin(self) -> None:
        """Have one come in."""
        fax = {"pages": 1 + self._count % 3, "multipart": self._count % 2 == 1}
        self._count += 1
        self._local.control("POST", "accounts/default/inbound", fax)

    def webhooks_taken(self) -> dict[int, bool]:
        """Whether the webhook of each was taken, by its jobId."""
        came = self._local.control("GET", "accounts/default/inbound")
        return {fax["jobId"]: any(answered(one) for one in fax["webhooks"]) for fax in came}

    def end(self) -> None:
        """Do nothing: it has come."""


BASIC, PATH_SECRET = "fax:of-the-chaos", "path-of-the-chaos"  # of no worth


class Proofs:
    """iFax proves its webhooks otherwise: by a user and password, by a secret in the path, by a signature."""

    def __init__(self, local: Local) -> None:
        self._local = local
        url = f"http://127.0.0.1:{local.webhook_port}/webhooks/ifax/default"
        self._forms = cycle(
            (
                {"url": url, "signed": False, "basic": BASIC},
                {"url": f"{url}/{PATH_SECRET}", "signed": False, "basic": ""},
                {"url": url, "signed": True, "basic": ""},
            )
        )

    def begin(self) -> None:
        """Go on to the next."""
        self._local.control("PUT", "accounts/default/webhook", next(self._forms))

    def end(self) -> None:
        """Do nothing: it stays so."""


class Bombs:
    """A producer pushes PDFs that take for ever, or all memory, to open.

    Args:
        url: of the state's database.
        account: who gets them.
    """

    def __init__(self, url: str, account: str = "default") -> None:
        self._client = connect(url)
        self._intake = RedisKeys(account).intake
        self._documents = (page_tree(60), xref_stream(300), object_stream(300))
        self._pushes: list[threading.Thread] = []

    def begin(self) -> None:
        """Have one pushed, beside what else goes on: Redis may be down just now."""
        push = threading.Thread(target=self._push, args=(len(self._pushes),), daemon=True)
        self._pushes.append(push)
        push.start()

    def end(self) -> None:
        """Do nothing: a bomb has no end."""

    def pushed(self) -> list[str]:
        """Wait until all are pushed; the ids of the entries."""
        for push in self._pushes:
            push.join()
        return [_bomb(number) for number in range(len(self._pushes))]

    def _push(self, number: int) -> None:
        document = self._documents[number % len(self._documents)]
        files = [{"fileName": "a.pdf", "fileData": base64.b64encode(document).decode()}]
        fax = {"faxNumber": "+12025550123", "subject": _bomb(number), "faxData": files}
        entry = json.dumps({"id": _bomb(number), "fax": fax})
        while True:
            try:
                self._client.xadd(self._intake, {"send": entry})
            except redis.RedisError:
                threading.Event().wait(AGAIN)
            else:
                return


def _bomb(number: int) -> str:
    return f"bomb-{number}"
