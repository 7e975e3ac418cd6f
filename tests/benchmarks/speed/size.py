"""How much is measured: the full run, and a short one that only proves that everything runs."""

from dataclasses import dataclass

QUOTA = 1000 / 3600
"""Faxes a second of an account at iFax's limits."""


@dataclass(frozen=True)
class Size:
    """One size of every section. Durations are in seconds.

    Args:
        rounds: how often each contender of an interleaved comparison runs; the median counts.
        accounts: among which the faxes are shared out.
        faxes: of a round of the throughput, and of a point of the scaling.
        receipts: of the throughput with webhooks, and of `reconcile`.
        way: faxes whose commands are counted.
        entries: of the intake's backlog.
        probes: faxes of the latency, one at a time; least and most time between two.
        gap: as above.
        idle: for which idle processes are watched.
        jobs: of the backlog.
        few: of the small account beside it.
        doubts, unmatched, orders: of the crowded account, beside the jobs: doubts of one number, receipts
            whose jobId nobody knows, orders (and jobs that wait for one number).
        admissions: timed in each of both.
        webhook_seconds: of one round of requests.
        flat: faxes during which the worker's memory is watched.
        imports: of the library, timed.
        workers, dispatchers: the points of the scaling.
        fleet: some accounts and many, each of which gets `fleet_rate` faxes a second.
        fleet_warm, fleet_seconds: before it is watched, and for which faxes are pushed then.
        dispatched: accounts of a dispatcher with nothing to do.
        at_quota: accounts that use all that iFax's limits let through.
    """

    rounds: int = 3
    accounts: int = 20
    faxes: int = 2500
    receipts: int = 2000
    way: int = 1000
    entries: int = 50_000
    probes: int = 300
    gap: tuple[float, float] = (0.02, 0.2)
    idle: float = 15.0
    jobs: int = 1_000_000
    few: int = 1000
    doubts: int = 1000
    unmatched: int = 10_000
    orders: int = 100_000
    admissions: int = 3000
    webhook_seconds: float = 5.0
    flat: int = 20_000
    imports: int = 10
    workers: tuple[int, ...] = (1, 2, 4)
    dispatchers: tuple[int, ...] = (1, 2)
    fleet: tuple[int, int] = (50, 200)
    fleet_rate: float = QUOTA
    fleet_warm: float = 8.0
    fleet_seconds: float = 40.0
    dispatched: tuple[int, ...] = (100, 1000)
    at_quota: int = 400


FULL = Size()
SHORT = Size(
    rounds=1,
    accounts=3,
    faxes=60,
    receipts=400,
    way=30,
    entries=300,
    probes=5,
    gap=(0.0, 0.02),
    idle=0.5,
    jobs=600,
    few=50,
    doubts=30,
    unmatched=60,
    orders=100,
    admissions=20,
    webhook_seconds=0.3,
    flat=60,
    imports=1,
    workers=(1,),
    dispatchers=(1,),
    fleet=(2, 3),
    fleet_rate=10.0,
    fleet_warm=0.5,
    fleet_seconds=1.0,
    dispatched=(2,),
    at_quota=4,
)
