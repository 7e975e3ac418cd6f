"""The processes of a run: how many, with which settings, on one Redis server or on a cluster."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from faxline import FaxLine
from faxline_chaos.faults import Fax, Profile, answer_faults, outcome, webhook_faults
from faxline_chaos.relay import Relay
from faxline_chaos.world import BASIC, PATH_SECRET
from faxline_local.redis_access import Access
from faxline_local.redis_cluster import source_of
from faxline_local.redis_server import RedisServer
from faxline_local.server_binaries import ServerBinary
from faxline_local.stack import Local
from tests.clusters import ClusterLocal
from tests.stepping_clock import SteppingClock

CREW = {"dispatchers": 2, "workers": 3, "webhooks": 1}
THREADS = 16
LIMITS = {"requests": "20000", "window": "10", "burst": "5000", "concurrency": "40"}
ACCOUNTS = ("default", "acme", "globex", "hooli", "umbrella", "wayne")
"""Those of a run on a cluster: two on each of three primaries."""
CLUSTER_LIMITS = {"requests": "400", "window": "10", "burst": "20", "concurrency": "10"}
"""Low ones, which are reached after each standstill."""
SETTINGS = {
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
_SANDBOX = (
    *("--call-seconds", "0.3", "--page-seconds", "0.1", "--answer-seconds", "0.02", "0.2"),
    *("--time-scale", "0.0015"),
)
"""Its retries of a webhook come after 0.45, 0.9, 1.8, 2.7 and 5.4 seconds, 11 in all."""
CLUSTER_SETTINGS = {
    "REDIS_REPLICAS": "1",
    "LEASE_GRACE": "4",  # with such limits a loaded machine must not let a request arrive after its lease
}
_USERS = Path(__file__).parents[3] / "ops/redis/users.acl"


def make_local(
    folder: Path, profile: Profile, binary: ServerBinary | None, clock: SteppingClock | None
) -> Local:
    """All of Faxline on one server.

    Args:
        folder: for the logs.
        profile: how the sandbox behaves.
        binary: the server's.
        clock: the server's; None: the machine's.
    """
    return Local(
        folder, **_options(profile, binary, LIMITS), server_environment=clock.environment if clock else None
    )


class PartableCluster(ClusterLocal):
    """All of Faxline on three primaries with a replica each, as our users, with a small broker."""

    def __init__(self, *args: Any, cluster: dict[str, Any], **options: Any) -> None:
        self._buses: list[Relay] = []
        super().__init__(*args, cluster={**cluster, "relay": self._relay}, **options)

    def isolate(self, server: RedisServer) -> None:
        """Cut a node off from all others. Its clients reach it."""
        number = self.cluster.servers.index(server)
        for place, relay in enumerate(self._buses):
            relay.bar(*(() if place == number else (source_of(number),)))

    def reunite(self) -> None:
        """Have all nodes reach one another again."""
        for relay in self._buses:
            relay.admit()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        for relay in self._buses:
            relay.close()

    def _relay(self, bus: int) -> int:
        self._buses.append(Relay(bus))
        return self._buses[-1].port


def make_cluster(folder: Path, profile: Profile, binary: ServerBinary | None) -> PartableCluster:
    """All of Faxline on a cluster.

    Args:
        folder: for the logs.
        profile: how the sandbox behaves.
        binary: the servers'.
    """
    return PartableCluster(
        folder,
        **_options(profile, binary, CLUSTER_LIMITS, CLUSTER_SETTINGS),
        accounts=ACCOUNTS,
        access=Access.of(_USERS.read_text()),
        cluster={"appendfsync": "always"},
    )


@contextmanager
def open_lines(local: Local) -> Iterator[dict[str, FaxLine]]:
    """A line of each account, by name; on a cluster, pushes wait for a replica."""
    clustered = isinstance(local, ClusterLocal)
    options: dict[str, Any] = {"replicas": 1, "replicas_timeout": 0.5} if clustered else {}
    with ExitStack() as stack:
        yield {
            account: stack.enter_context(FaxLine(local.url_of("producer"), account, **options))
            for account in (ACCOUNTS if clustered else ("default",))
        }


def sandbox_options(limits: Mapping[str, str] = LIMITS) -> tuple[str, ...]:
    """The options of the sandbox, with these limits."""
    return (*(word for name, value in limits.items() for word in (f"--{name}", value)), *_SANDBOX)


def _options(
    profile: Profile,
    binary: ServerBinary | None,
    limits: Mapping[str, str],
    more: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    ours = {f"LIMITS__{name.upper()}": value for name, value in limits.items()}
    field = FIELD_SETTINGS if profile == "field" else {}
    return {
        **CREW,
        "threads": THREADS,
        "settings": SETTINGS | ours | field | dict(more or {}),
        "sandbox": (*sandbox_options(limits), "--profile", profile),
        "binary": binary,
        "appendfsync": "always",
    }


def script_sandbox(local: Local, faxes: Sequence[Fax]) -> None:
    """Tell the sandbox what will go wrong with each fax."""
    local.control("POST", "faults", [fault for fax in faxes for fault in answer_faults(fax)])
    local.control("POST", "webhook-faults", [fault for fax in faxes for fault in webhook_faults(fax)])
    for fax in faxes:
        outcomes = outcome(fax)
        if outcomes:
            local.control("PUT", f"numbers/{fax.number}", outcomes)
