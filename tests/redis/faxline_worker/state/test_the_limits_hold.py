"""The proof of ARCHITECTURE.md (The limits), held against the scripts on a real server.

Greedy workers admit whatever `admit` gives, connect, mark, and are answered, cut off, killed or late, with
delays that hypothesis draws. Time is the test's own, through the one seam of the scripts. Each marked request
could have reached iFax at any moment between its mark and the end of its life, so each is an interval, and no
choice of one moment in each interval may break a limit of iFax. Redis' clock may step meanwhile, back and
forward; the intervals are told by the true time. The mutations show that the test would notice.
"""

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline_sandbox.config import Limits
from faxline_sandbox.limits import LimitKeeper
from faxline_worker.config.settings import Settings, read_settings
from faxline_worker.state import scripts
from faxline_worker.state.results import Admitted, Held, Idle, Mark
from faxline_worker.state.store import Store

REQUESTS, WINDOW, CONCURRENCY, BURST = 8, 10, 3, 5
TIMEOUT, GRACE = 2.0, 1.0
RATE = 1000
"""Bytes a second of a request, by which its time and its lease grow."""
SOON = 0.001
"""Seconds; no answer comes at once."""
S = 1_000_000
"""Microseconds of a second."""
CLOCK = """
local now_us = tonumber(redis.call('GET', 'clock'))
local now = math.floor(now_us / 1000)
local function int(number) return string.format('%.0f', number) end
"""
BEGIN = 1_800_000_000 * S


class LimitBrokenError(AssertionError):
    """There is a choice of arrivals that iFax would answer with a 429."""


@dataclass(frozen=True)
class Call:
    """What becomes of one admission: seconds to the mark, seconds to the end, and which end."""

    connect: float
    lasts: float
    end: str
    late: float = 0.0
    size: int = 0


ENDS = (
    "accepted",
    "accepted",
    "accepted",
    "refuse",
    "retry",
    "unreachable",
    "unknown",
    "pause",
    "defer",
    "in_doubt",
    "killed",
    "released",
    "late",
    "checked",
)


def plans(*ends: str) -> st.SearchStrategy[list[Call]]:
    call = st.builds(
        Call,
        connect=st.one_of(st.floats(0, 0.3), st.floats(0, 5)),
        lasts=st.one_of(st.just(SOON), st.floats(SOON, TIMEOUT), st.just(TIMEOUT), st.just(TIMEOUT + 3)),
        end=st.sampled_from(ends),
        late=st.floats(0, 8),
        size=st.sampled_from([0, 0, RATE // 2, 3 * RATE]),
    )
    return st.lists(call, min_size=1, max_size=25)


Interval = tuple[int, int]


class Simulation:
    """Greedy workers on a store whose clock is ours. `run` gives the interval of every marked request.

    Args:
        steps: when (s) Redis' clock steps, and by how much (s); `now` is the true time.
        processes: how many take turns, each with a store of its own.
        feels: the processes have a clock that does not step.
        looser: further processes, with these settings in which they are less strict than iFax.
    """

    def __init__(
        self,
        client: redis.Redis,
        plan: list[Call],
        jobs: int,
        *,
        steps: Sequence[tuple[float, float]] = (),
        processes: int = 1,
        feels: bool = True,
        looser: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.client = client
        self.now = BEGIN
        monotonic = (lambda: (self.now - BEGIN) / S) if feels else None
        each: list[Mapping[str, str]] = [*looser, *([{}] * processes)]
        self.stores = [
            Store(client, configured(**changes), "default", clock=CLOCK, monotonic=monotonic)
            for changes in each
        ]
        self._timeouts = [configured(**changes).http_timeout.total_seconds() for changes in each]
        self._offset = 0
        self._steps = steps
        self.intervals: list[Interval] = []
        self._plan = plan
        self._jobs = jobs
        self._begun = 0
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()

    def run(self) -> list[Interval]:
        self.client.flushdb()
        self._tell()
        for i, store in enumerate(self.stores):
            store.offer(f"worker {i}")
        self._push()
        self._at(0.0, self._run_timers)
        self._at(0.0, self._admit)
        for at, step in self._steps:
            self._at(at, lambda by=step: self._step(by))  # type: ignore[misc]
        while self._events and self._begun < len(self._plan) * 3 and self.now < BEGIN + 200 * S:
            self.now, _, event = heapq.heappop(self._events)
            self._tell()
            event()
            self._admit()
        return self.intervals

    @property
    def store(self) -> Store:
        """That of the process whose turn it is."""
        return self.stores[self._begun % len(self.stores)]

    @property
    def timeout(self) -> float:
        """That of its calls, in seconds."""
        return self._timeouts[self._begun % len(self._timeouts)]

    def _tell(self) -> None:
        self.client.set("clock", self.now + self._offset)

    def _step(self, seconds: float) -> None:
        self._offset += round(seconds * S)
        self._tell()

    def _at(self, seconds: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + round(seconds * S), next(self._order), event))

    def _push(self) -> None:
        store = self.store
        self.client.xgroup_create(store.keys.intake, INTAKE_GROUP, id="0", mkstream=True)
        fields = {"kind": "send", "request": "{}", "number": "+12345678901", "priority": "normal"}
        items = []
        for i in range(self._jobs):
            entry: Any = self.client.xadd(store.keys.intake, {"send": "{}"}, id=f"{i + 1}-0")
            job = {"id": f"job-{i}", "digest": "d", "rank": 2, "fields": dict(fields)}
            items.append({"entry": entry.decode(), "jobs": [job]})
        self.client.xreadgroup(INTAKE_GROUP, "test", {store.keys.intake: ">"})
        store.intake.register(items)

    def _run_timers(self) -> None:
        run = self.stores[0].timers.run()
        self._at(max(run.next, 0.05), self._run_timers)

    def _admit(self) -> None:
        while isinstance(admitted := self._permit(), Admitted):
            call = self._plan[self._begun % len(self._plan)]
            self._begun += 1
            self._at(call.connect, lambda a=admitted, c=call: self._mark(a, c))  # type: ignore[misc]
        plan = self.stores[0].timers.plan_wakeups()
        for _, wait in plan.wakes:
            if wait > 0:
                self._at(wait, lambda: None)  # whatever happens, `_admit` follows
        if plan.next is not None:
            self._at(plan.next, lambda: None)

    def _permit(self) -> Admitted | Held | Idle:
        """For a job; or, of the doctor, for the question whether iFax takes the key."""
        permit = f"permit-{self._begun}"
        checks = self._plan[self._begun % len(self._plan)].end == "checked"
        return (
            self.store.submission.acquire_check_permit(permit)
            if checks
            else self.store.submission.admit(permit, "")
        )

    def _mark(self, admitted: Admitted, call: Call) -> None:
        if call.end == "released":
            self.store.submission.settle(admitted, {"decision": "released"})
            return
        if call.end == "unreachable" and call.lasts == SOON:  # no connection: not a byte was sent
            self.store.submission.settle(admitted, {"decision": "unreachable", "reason": "connect_failed"})
            return
        if self.store.submission.mark(admitted, call.size) is Mark.LOST:
            return
        upload = call.size / RATE
        marked = self.now
        if call.end == "killed":  # until its process would have given it up, and its last bytes are there
            self.intervals.append((marked, marked + round((self.timeout + upload + GRACE) * S)))
            return
        lasts = min(call.lasts, self.timeout + upload)  # no call lasts longer than its own process lets it
        ended = round(lasts * S)
        over = ended + round(GRACE * S) if call.end == "in_doubt" else ended
        self.intervals.append((marked, marked + over))
        wait = lasts + (call.late if call.end == "late" else 0.0)
        self._at(wait, lambda: self._settle(admitted, call))

    def _settle(self, admitted: Admitted, call: Call) -> None:
        if call.end == "checked":
            self.store.submission.report(admitted, {"decision": "refuse", "reason": "r"})
            return
        decision = "accepted" if call.end == "late" else call.end
        job_id = str(1000 + len(self.intervals) + self._begun)
        answer = {"decision": decision, "job_id": job_id, "reason": "r", "retry": 100}
        odd = {"meaning": decision} if decision in {"unknown", "in_doubt"} else {}
        self.store.submission.settle(admitted, answer | odd)


def check(intervals: list[Interval]) -> None:
    """No choice of one moment in each interval breaks a limit; by our own arithmetic, for the worst choice.

    Raises:
        LimitBrokenError: some choice does.
    """
    rate = REQUESTS / (WINDOW * S)
    for _, start in intervals:
        # An answer that is known was written before, so a request that begins then finds its place free.
        open_now = sum(1 for a, b in intervals if a < start <= b)
        if open_now > CONCURRENCY:
            raise LimitBrokenError(f"{open_now} at once")
        in_window = sum(1 for a, b in intervals if b >= start and a < start + WINDOW * S)
        if in_window > REQUESTS:
            raise LimitBrokenError(f"{in_window} in a window")
        for end in {start, *(a for a, _ in intervals if a >= start)}:
            come = sum(1 for a, b in intervals if b >= start and a <= end)
            if come > BURST + (end - start) * rate + 1e-6:
                raise LimitBrokenError(f"a burst of {come} in {(end - start) / S:g} s")


def judge(intervals: list[Interval], choice: float) -> None:
    """The sandbox's limits, which share no code with ours, see each request at one point of its interval."""
    keeper = LimitKeeper(Limits(REQUESTS, WINDOW, CONCURRENCY, BURST))
    leave, arrive = range(2)
    moments = [(a + (b - a) * choice * 0.999_999, arrive) for a, b in intervals]
    moments += [(b, leave) for _, b in intervals]
    for moment, kind in sorted(moments):
        if kind != arrive:
            keeper.leave()
        elif (excess := keeper.arrive(round(moment * 1000))) is not None:
            raise LimitBrokenError(f"the sandbox says 429: {excess.limit}")


def configured(**changes: str) -> Settings:
    return read_settings(
        {
            "FAXLINE_ACCOUNTS__DEFAULT__TOKEN": "token",
            "FAXLINE_NUMBERS__CONCURRENT": "0",
            "FAXLINE_HTTP_TIMEOUT": str(TIMEOUT),
            "FAXLINE_HTTP_RATE": str(RATE),
            "FAXLINE_LEASE_GRACE": str(GRACE),
            "FAXLINE_LIMITS__REQUESTS": str(REQUESTS),
            "FAXLINE_LIMITS__WINDOW": str(WINDOW),
            "FAXLINE_LIMITS__CONCURRENCY": str(CONCURRENCY),
            "FAXLINE_LIMITS__BURST": str(BURST),
            "FAXLINE_IN_DOUBT__WAIT": "5",
            "FAXLINE_IN_DOUBT__THEN": "resend",
            "FAXLINE_RETRIES__SUBMISSION__ATTEMPTS": "1000",
            "FAXLINE_SWEEP": "1",
            "FAXLINE_UNREACHABLE__FIRST": "0.1",
            "FAXLINE_UNREACHABLE__MAX": "2",
            "FAXLINE_PROBE__FIRST": "0.5",
            "FAXLINE_PROBE__MAX": "2",
            "FAXLINE_COOLDOWN__BASE": "0.5",
            "FAXLINE_COOLDOWN__MAX": "2",
        }
        | {f"FAXLINE_{name}": value for name, value in changes.items()}
    )


EXAMPLES = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def test_no_limit_is_broken_whatever_the_network_and_the_workers_do(
    redis_client: redis.Redis, pytestconfig: pytest.Config
) -> None:
    @settings(EXAMPLES, max_examples=pytestconfig.getoption("--examples"))
    @given(plan=plans(*ENDS), choice=st.floats(0, 1))
    def holds(plan: list[Call], choice: float) -> None:
        intervals = Simulation(redis_client, plan, jobs=60).run()
        check(intervals)
        judge(intervals, choice)

    holds()


def steps(*sizes: float) -> st.SearchStrategy[list[tuple[float, float]]]:
    return st.lists(st.tuples(st.floats(0.1, 40), st.sampled_from(sizes)), min_size=1, max_size=5)


BACK, FORWARD = (-0.4, -2.0, -7.0, -600.0), (2.0, 7.0, 600.0, 86400.0)


@pytest.mark.slow
def test_no_limit_is_broken_when_redis_clock_steps_back_and_forward(
    redis_client: redis.Redis, pytestconfig: pytest.Config
) -> None:
    @settings(EXAMPLES, max_examples=pytestconfig.getoption("--examples"))
    @given(plan=plans(*ENDS), choice=st.floats(0, 1), steps=steps(*BACK, *FORWARD))
    def holds(plan: list[Call], choice: float, steps: list[tuple[float, float]]) -> None:
        intervals = Simulation(redis_client, plan, jobs=60, steps=steps, processes=3).run()
        check(intervals)
        judge(intervals, choice)

    holds()


@pytest.mark.slow
def test_no_limit_is_broken_when_redis_clock_steps_back_and_no_process_can_tell(
    redis_client: redis.Redis, pytestconfig: pytest.Config
) -> None:
    # A quarter: what waits for a clock that nobody feels steps through all the seconds that it is behind.
    @settings(EXAMPLES, max_examples=max(1, pytestconfig.getoption("--examples") // 4))
    @given(plan=plans(*ENDS), steps=steps(*BACK))
    def holds(plan: list[Call], steps: list[tuple[float, float]]) -> None:
        check(Simulation(redis_client, plan, jobs=60, steps=steps, feels=False, processes=3).run())

    holds()


LOOSER = (
    {"LIMITS__REQUESTS": "100", "LIMITS__BURST": "0", "HTTP_TIMEOUT": "0.5", "LEASE_GRACE": "0.1"},
    {"LIMITS__WINDOW": "1", "LIMITS__CONCURRENCY": "9"},
    {"LIMITS__REQUESTS": "0", "LIMITS__CONCURRENCY": "0"},
)


@pytest.mark.slow
def test_no_limit_is_broken_when_other_processes_have_looser_ones(
    redis_client: redis.Redis, pytestconfig: pytest.Config
) -> None:
    @settings(EXAMPLES, max_examples=pytestconfig.getoption("--examples"))
    @given(plan=plans(*ENDS), looser=st.lists(st.sampled_from(LOOSER), min_size=1, max_size=3))
    def holds(plan: list[Call], looser: list[Mapping[str, str]]) -> None:
        check(Simulation(redis_client, plan, jobs=60, looser=looser).run())

    holds()


@pytest.mark.slow
@pytest.mark.parametrize("by", [-600.0, 600.0])
def test_what_waits_goes_at_the_same_moments_whether_or_not_redis_clock_is_wrong_for_a_while(
    redis_client: redis.Redis, by: float
) -> None:
    def starts(*steps: tuple[float, float]) -> list[int]:
        plan = [Call(0.0, 0.1, "accepted")] * 40
        return [a for a, _ in Simulation(redis_client, plan, jobs=40, steps=steps, processes=2).run()]

    right, stepping = starts(), starts((11.05, by), (21.05, -by))
    assert len(stepping) == len(right)
    assert max(abs(a - b) for a, b in zip(right, stepping, strict=True)) < S // 10


def test_what_waits_is_sent_as_fast_as_the_limits_allow(redis_client: redis.Redis) -> None:
    intervals = Simulation(redis_client, [Call(0.0, 0.1, "accepted")] * 40, jobs=40).run()
    starts = sorted(a for a, _ in intervals)
    after = BURST + (starts[-1] - starts[0]) * REQUESTS / (WINDOW * S)
    round_trips = 0.1 * REQUESTS / WINDOW * (len(starts) // REQUESTS + 1)
    assert len(starts) == 40
    assert len(starts) >= after - 1 - round_trips


def mutated(*changes: tuple[str, str]) -> Callable[[str, str | None], str]:
    """The scripts with some text changed, which must stand in at least one of them."""
    found: set[str] = set()

    def source(name: str, clock: str | None = None) -> str:
        text = original(name, clock)
        for old, new in changes:
            if old in text:
                found.add(old)
                text = text.replace(old, new)
        return text

    original = scripts.source
    for name in ("admit", "settle", "run_timers"):
        source(name)
    assert found == {old for old, _ in changes}
    return source


STAMP = "redis.call('ZADD', keys.answers, int(now_us), token)\n    account.bucket, account.bucket_at = "
STAMPED_AT_GRANT = (
    (STAMP, "account.bucket, account.bucket_at = account.bucket, account.bucket_at --"),
    ("bound(limits.requests - r.held - r.answers,", "bound(limits.requests - r.answers,"),
    ("bound(math.floor(limits.burst - r.held - r.level),", "bound(math.floor(limits.burst - r.level),"),
    (
        "    if r.probe then note_probe",
        """    redis.call('ZADD', keys.answers, int(now_us), token)
    local level = bucket_level(account, limits_of(options, account))
    redis.call('HSET', keys.account_state, 'bucket', level + 1, 'bucket_at', int(now_us))
    if r.probe then note_probe""",
    ),
)
FORGOTTEN_LEASES = (
    (
        "note_answer(account, run.limits, token)\n        if lost and is",
        "if lost and is",
    ),
)
NO_LINGER = (
    ("int(steady + options.linger), permit_of(token)) -- held", "int(steady), permit_of(token)) -- held"),
)
NO_SKEW = (("estimate > 0 and at > estimate + STEP_US", "false"),)
NO_STRICTEST = (("if strictest then take_stricter(options, strictest) end", ""),)
STEPPING = ((3.0, 600.0), (20.0, -600.0))


@pytest.fixture
def mutate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    yield lambda *changes: monkeypatch.setattr(scripts, "source", mutated(*changes))
    monkeypatch.undo()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        (STAMPED_AT_GRANT, ("accepted",)),
        (FORGOTTEN_LEASES, ("killed", "late")),
        (NO_LINGER, ("in_doubt",)),
        (NO_SKEW, ("accepted",)),
        pytest.param(
            NO_STRICTEST, ("accepted",), marks=pytest.mark.slow
        ),  # it takes a hundred plans and more
    ],
    ids=[
        "stamped at the grant",
        "a lease that ran out counts as nothing",
        "a doubt gives its permit back",
        "a step forward goes unnoticed",
        "each process goes by its own limits",
    ],
)
def test_the_proof_notices_when_a_request_is_counted_otherwise(
    redis_client: redis.Redis,
    mutate: Callable[..., None],
    changes: tuple[tuple[str, str], ...],
    ends: tuple[str, ...],
) -> None:
    mutate(*changes)

    def breaks(plan: list[Call]) -> bool:
        try:
            check(Simulation(redis_client, plan, jobs=60, steps=STEPPING, looser=LOOSER).run())
        except LimitBrokenError:
            return True
        return False

    looking = settings(EXAMPLES, max_examples=300)
    assert find(plans(*ends), breaks, settings=looking)
