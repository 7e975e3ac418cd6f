"""Courses of events that hypothesis draws; after each step the ledger is held against all that Redis has.

Producers push and cancel, workers admit, send, answer, answer late, answer twice, or die; iFax takes a
request or not; receipts come early, late, doubled or contradict each other; time passes, and Redis' clock
steps; operators order.
"""

from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from faxline_worker.state.results import Admitted, Mark
from tests.stage.ledger import FINAL, NATIONAL, Attempt, Job, Ledger
from tests.stage.scene import RANKS, Scene, receipt

LEASE, LIFE = 7001, 6001
"""Milliseconds that a lease lasts, and that a request lives after its mark."""
WAIT, DEADLINE = 30.0, 60.0
WRONG = 600.0
"""Seconds that Redis' clock is ahead or behind, where it is wrong."""
SETTINGS = {
    "IN_DOUBT__WAIT": str(WAIT),
    "RECEIPT_DEADLINE": str(DEADLINE),
    "CEILINGS__JOBS": "1000",
    "CEILINGS__BYTES": "1000000",
    "LIMITS__REQUESTS": "12",
    "LIMITS__WINDOW": "20",
    "LIMITS__CONCURRENCY": "3",
    "LIMITS__BURST": "8",
    "COOLDOWN__BASE": "0.5",
    "COOLDOWN__MAX": "1",
    "PROBE__FIRST": "1",
    "PROBE__MAX": "2",
    "UNREACHABLE__FIRST": "0.5",
    "UNREACHABLE__MAX": "2",
    "BREAKER__AFTER": "2",
    "RETRIES__DELIVERY__ATTEMPTS": "3",
    "RETRIES__DELIVERY__BUSY": "2",
}
POLLING = {"RESULTS": "poll", "POLL__SCHEDULE": "[2,8]", "POLL__SHARE": "0.5"}
"""Beside SETTINGS: iFax is asked for results, too."""
POLLED = (
    *("delivered", "failed", "sending", "", "busy", "refuse", "unreachable"),
    *("sending", "in_doubt", "defer", "canceled"),
)
"""What a question may come to; nothing: its worker died."""
MOST_JOBS = 6
DOCUMENTS = {"a" * 64: "a short one", "b" * 64: "and one that is a little longer"}
NEEDED = (*DOCUMENTS, ",".join(DOCUMENTS))
SCHEDULES = ("", "", "provider", "local")
POLICIES = ("resend", "resend", "hold", "fail")
UNKNOWN_OR_NOT_TAKEN = ("refuse", "retry", "defer", "pause", "unreachable", "unknown", "in_doubt")
SILENT = {"account_state", "wakes", "doubts", "doubts_until"}
"""What an answer may touch that comes too late: what it tells of the account, and its own doubt."""
AGAIN: Mapping[str, dict[str, Any]] = {"busy": {"again": "busy"}, "coarse": {"again": "busy", "lower": True}}
"""Failures that are worth another delivery; the second one in a lower quality."""
PICK = st.integers(0, 60)
Which = Callable[[Attempt], object]


def unsent(attempt: Attempt) -> bool:
    return not attempt.marked and attempt.answer is None


def sent(attempt: Attempt) -> bool:
    return bool(attempt.marked) and attempt.answer is None


def answered(attempt: Attempt) -> bool:
    return attempt.answer is not None


def taken(attempt: Attempt) -> bool:
    return bool(attempt.taken)


class Courses(RuleBasedStateMachine):
    """One course of events. A rule is what one party may do, for then each has its say in most courses."""

    def __init__(self, scene: Scene) -> None:
        super().__init__()
        self.scene = scene
        self.store = scene.store
        scene.begin()
        for digest, text in DOCUMENTS.items():
            scene.client.set(scene.keys.document(digest), text)
        self.ledger = Ledger(scene)
        self.store.timers.run()

    def _one(self, pick: int, which: Which) -> Attempt | None:
        found = [attempt for attempt in self.ledger.attempts if which(attempt)]
        return found[-1 - pick % len(found)] if found else None

    @initialize(policies=st.lists(st.sampled_from(POLICIES), min_size=2, max_size=5))
    def begin(self, policies: list[str]) -> None:
        for policy in policies:
            self._push("normal", policy, 0, "")

    @rule(
        what=st.sampled_from(["push", "push", "push", "again", "cancel"]),
        pick=PICK,
        priority=st.sampled_from(sorted(RANKS)),
        policy=st.sampled_from(POLICIES),
        expires=st.sampled_from([0, 5, 50]),
        schedule=st.sampled_from(SCHEDULES),
    )
    def producer(
        self, what: str, pick: int, *, priority: str, policy: str, expires: int, schedule: str
    ) -> None:
        name = f"job-{pick % len(self.ledger.jobs)}"
        if what == "cancel":
            self.store.intake.cancel(self.scene.intake("cancel"), name)
        elif what == "push" and len(self.ledger.jobs) < MOST_JOBS:
            self._push(priority, policy, expires, schedule)
        elif what == "again":
            assert self.scene.push(name) == "repeated"
            assert self.scene.push(name, digest="other") == "rejected"

    def _push(self, priority: str, policy: str, expires: int, schedule: str) -> None:
        name = f"job-{len(self.ledger.jobs)}"
        job = self.ledger.jobs[name] = Job(policy, f"+1234567{1000 + len(self.ledger.jobs)}")
        more = {"expires_at": str(self.scene.now + expires * 1000)} if expires else {}
        if schedule:
            more |= {"send_at": str(self.scene.now + 20_000), "schedule": schedule}
        more |= {"documents": NEEDED[len(self.ledger.jobs) % len(NEEDED)]}
        pushed = self.scene.push(name, priority=priority, in_doubt=policy, number=job.number, **more)
        assert pushed == "registered"

    @rule(accepted=st.booleans(), lives=st.booleans(), why=st.sampled_from(UNKNOWN_OR_NOT_TAKEN))
    def worker(self, *, accepted: bool, lives: bool, why: str) -> None:
        """A whole turn, or one that ends after the mark."""
        attempt = self._admit()
        if attempt is not None:
            self._send(attempt, accepted=accepted)
            if lives:
                self.scene.go(1)
                self._answer(attempt, why)

    @rule(
        sends=st.booleans(),
        wait=st.sampled_from([LEASE / 1000, WAIT + LEASE / 1000]),
        other=st.booleans(),
        comes_back=st.booleans(),
    )
    def lost_worker(self, *, sends: bool, wait: float, other: bool, comes_back: bool) -> None:
        """A turn that stops before or after the mark, and perhaps goes on when another worker has the job."""
        attempt = self._admit()
        if attempt is None:
            return
        if sends:
            self._send(attempt, accepted=True)
        self.time(wait, 1)
        self.time(0, 1)
        if other and (newer := self._admit()) is not None:
            self._send(newer, accepted=True)
        if comes_back and sends:
            self._answer(attempt, "accepted")
        elif comes_back:
            self._send(attempt, accepted=True)

    @rule(
        what=st.sampled_from(["admit", "send", "answer", "answer", "again", "release"]),
        pick=PICK,
        accepted=st.booleans(),
        why=st.sampled_from(UNKNOWN_OR_NOT_TAKEN),
    )
    def slow_worker(self, what: str, pick: int, *, accepted: bool, why: str) -> None:
        """One step of a turn, of any attempt, long after the step before."""
        which: dict[str, Which] = {"send": unsent, "release": unsent, "answer": sent, "again": answered}
        attempt = self._one(pick, which.get(what, bool))
        if what == "admit":
            self._admit()
        elif attempt is None:
            return
        elif what == "send":
            self._send(attempt, accepted=accepted)
        elif what == "release":
            self._report(attempt, {"decision": "unreachable" if accepted else "released"})
        elif what == "answer":
            self._answer(attempt, why)
        else:
            self._answer_again(attempt)

    @rule(seconds=st.sampled_from([2, 8, DEADLINE + 1]))
    def good_worker(self, seconds: float) -> None:
        """Every fax that may go is taken, and then there is time for the questions."""
        for wait in (0, seconds, 0):
            self.time(wait, 1)
            for _ in range(3):
                attempt = self._admit()
                if attempt is not None:
                    self._send(attempt, accepted=True)
                    self._answer(attempt, "accepted")

    def _admit(self) -> Attempt | None:
        permit = self.scene.permit()
        admitted = self.store.submission.admit(permit, "")
        assert self.store.submission.admit(permit, "") == admitted  # the first reply was lost
        return self._begin(admitted) if isinstance(admitted, Admitted) else None

    def _begin(self, admitted: Admitted) -> Attempt | None:
        if admitted.control_call is not None:
            if admitted.kind == "poll":
                self._ask_ifax(admitted)
            else:
                self._cancel_at_ifax(admitted)
            return None
        return self.ledger.admitted(admitted, LEASE)

    def _cancel_at_ifax(self, admitted: Admitted) -> None:
        """A worker asks iFax to cancel; it dies, or reports one of the answers."""
        assert self.store.submission.mark(admitted) is Mark.MARKED
        answers = ("accepted", "refuse", "retry", "unreachable", "unknown", "in_doubt", "")
        decision = answers[self.scene.true // 1000 % len(answers)]  # as good as drawn
        if not decision:
            self.ledger.control_calls.add(admitted.permit)
            return
        self.store.submission.report(
            admitted, {"decision": decision, "reason": decision, "retry": 1000, "seconds": 0}
        )

    def _ask_ifax(self, admitted: Admitted) -> None:
        """A worker asks how a fax stands; it dies, or reports one of the answers, and that twice."""
        assert self.store.submission.mark(admitted) is Mark.MARKED
        about, job = str(admitted.request["jobId"]), self.ledger.jobs[admitted.job]
        assert about in {attempt.taken for attempt in job.attempts}
        outcome = POLLED[self.scene.true // 1000 % len(POLLED)]  # as good as drawn
        if not outcome:
            self.ledger.control_calls.add(admitted.permit)
            return
        answer: dict[str, Any] = {"decision": "accepted", "reason": "r", "seconds": 0, "about": about}
        if outcome in {"delivered", "failed", "canceled", *AGAIN}:
            job.delivered |= {about} if outcome == "delivered" else set()
            more = AGAIN.get(outcome, {})
            answer["receipt"] = receipt(about, "failed" if more else outcome, to=job.number, **more)
        elif outcome == "sending":
            answer["sending"] = True
        else:
            answer["decision"] = outcome
        self.store.submission.report(admitted, answer)
        before = self.scene.content()
        assert self.store.submission.report(admitted, answer).result == "repeated"
        assert self._changed(before) <= {"account_state"}

    def _send(self, attempt: Attempt, *, accepted: bool) -> None:
        if attempt.lease <= self.scene.true:
            before = self.scene.content()
            assert self.store.submission.mark(attempt.admitted) is Mark.LOST
            assert self.scene.content() == before
            return
        assert self.store.submission.mark(attempt.admitted) is Mark.MARKED
        attempt.marked = self.scene.true // 1000
        attempt.lease = max(attempt.lease, self.scene.true + LIFE)
        attempt.taken = str(self.ledger.attempts.index(attempt) + 1000) if accepted else ""

    def _answer(self, attempt: Attempt, why: str) -> None:
        if attempt.taken and why != "in_doubt":
            self._report(attempt, {"decision": "accepted", "job_id": attempt.taken})
        elif sent(attempt):
            odd: dict[str, Any] = {"meaning": why} if why in {"unknown", "in_doubt"} else {}
            if attempt.taken and self.scene.true // 1000 % 2:  # as good as drawn
                odd["named"] = attempt.taken
            self._report(attempt, {"decision": why, "silent": why == "in_doubt" or None, **odd})

    def _answer_again(self, attempt: Attempt) -> None:
        assert attempt.answer is not None
        before = self.scene.content()
        assert self.store.submission.settle(attempt.admitted, attempt.answer).result in {"repeated", "stale"}
        assert self._changed(before) <= {"account_state", "wakes"}

    def _report(self, attempt: Attempt, answer: dict[str, Any]) -> None:
        attempt.answer = {"reason": "r", "retry": 2000, **answer}
        before = self.scene.content()
        goes_on = self.scene.true // 1000 % 2  # as good as drawn
        permit = self.scene.permit() if goes_on else ""
        settlement = self.store.submission.settle(attempt.admitted, attempt.answer, permit=permit)
        result, changed = settlement.result, self._changed(before)
        again = self.store.submission.settle(attempt.admitted, attempt.answer, permit=permit)
        assert again.next == settlement.next  # the first reply was lost
        self.ledger.reported(attempt, result)
        if settlement.next is not None:
            assert result == "settled"
            self._begin(settlement.next)
        if result in {"stale", "repeated"}:
            assert changed <= SILENT, changed
        elif result == "duplicate" and settlement.receipt is None:
            record = f"job:{attempt.admitted.job}"  # it keeps the jobId while a newer attempt is under way
            number = self.ledger.jobs[attempt.admitted.job].number
            early = {"unmatched", f"untried:{number[-NATIONAL:]}"}  # the receipt of that jobId came first
            assert changed <= {*SILENT, *early, "events", f"jobid:{attempt.taken}", record}, changed

    def _changed(self, before: dict[str, bytes]) -> set[str]:
        after, keys = self.scene.content(), self.scene.keys
        names = {getattr(keys, name): name for name in (*SILENT, "events")}
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        return {names.get(key, key.removeprefix(keys.prefix)) for key in changed}

    @rule(
        what=st.sampled_from(["receipt", "receipt", "receipt", "match"]),
        pick=PICK,
        outcome=st.sampled_from(["delivered", "delivered", "failed", "busy", "coarse", "canceled"]),
    )
    def ifax(self, what: str, pick: int, outcome: str) -> None:
        attempt = self._one(pick, taken)
        if what == "match":
            self._match()
        elif attempt is not None:
            job = self.ledger.jobs[attempt.admitted.job]
            job.delivered |= {attempt.taken} if outcome == "delivered" else set()
            more = AGAIN.get(outcome, {})
            word = "failed" if more else outcome
            self.scene.receipt(attempt.taken, word, to=job.number, started=attempt.marked, **more)

    def _match(self) -> None:
        for matched in self.store.receipts.match():
            self.ledger.jobs[matched.job].known.add(matched.receipt["job_id"])

    @rule(seconds=st.sampled_from([0, 2, 8, 8, WAIT + 1, DEADLINE + 1]), look=st.sampled_from([1, 1, 0]))
    def time(self, seconds: float, look: int) -> None:
        self.scene.go(seconds)
        if look:
            if self.store.timers.run().poll:
                self.store.timers.poll()
            self.ledger.timers_ran()

    @rule(wrong=st.sampled_from([0.0, 0.0, -WRONG, WRONG]))
    def clock(self, wrong: float) -> None:
        """Redis' clock is wrong from now on, or right again; a dispatcher sees it."""
        by = wrong - self.scene.wrong
        self.scene.step(by)
        self.store.timers.run(step=by)
        self.ledger.timers_ran()

    @rule(
        what=st.sampled_from(["resend", "resend", "accepted", "fail", "resume", "resume", "pause"]), pick=PICK
    )
    def operator(self, what: str, pick: int) -> None:
        attempt = self._one(pick, taken if what == "accepted" else bool)
        if what in {"resume", "pause"}:
            self.store.orders.pause_or_resume(self.scene.ordered(what), what)
        elif attempt is not None:
            job, job_id = attempt.admitted.job, attempt.taken if what == "accepted" else ""
            done = self.store.orders.resolve(self.scene.ordered("resolve"), job, what, job_id)
            if done == "done" and what == "resend":
                self.ledger.forgive(job)

    @invariant()
    def holds(self) -> None:
        self.ledger.check()

    def teardown(self) -> None:
        """Nothing happens any more but time: every job comes to its end, or to where somebody is asked."""
        self.scene.step(-self.scene.wrong)
        self.time(2 * WRONG, 1)
        for _ in range(4):
            self.time(DEADLINE + WAIT, 1)
            self._match()
            self.ledger.check()
        for name, job in self.ledger.jobs.items():
            held = job.state == "in_doubt" and job.policy != "fail"
            assert held or job.state in {"queued", *FINAL}, (name, job.state)
            assert self.scene.client.zscore(self.scene.keys.delayed, name) is None
        assert self.scene.client.zcard(self.scene.keys.permits) == 0


COURSE = settings(
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],
    stateful_step_count=40,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


def run(scene: Scene, examples: int) -> None:
    """Try so many courses.

    Raises:
        AssertionError: something that must always hold does not; hypothesis tells the course.
    """
    run_state_machine_as_test(
        lambda: Courses(scene),  # type: ignore[arg-type]
        settings=settings(COURSE, max_examples=examples),
    )
