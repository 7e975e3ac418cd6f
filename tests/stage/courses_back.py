"""Random courses of faxes in which Redis goes back, and a ledger of what iFax got."""

import json
from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Any, cast

from faxline.reading.account_state import ROLLED_BACK
from faxline_worker.state.results import Admitted, Mark
from tests.stage.rollbacks import OVER, Process, goes_back, paused, recover
from tests.stage.scene import Moment, receipt
from tests.stage.states import DEADLINE

POLICIES = {"one": "resend", "two": "resend", "three": "hold"}
STEPS = {
    "push": 6,
    "work": 8,
    "start": 4,
    "answer_late": 5,
    "hear": 6,
    "wait": 8,
    "cancel": 2,
    "save": 3,
    "go_back": 3,
    "recover": 4,
}
"""How often each step is taken."""


@dataclass(eq=False)
class Request:
    """A request to iFax. `over`: iFax did not take it, it failed, or the fax's policy gave it up."""

    admitted: Admitted
    taken: str
    answered: bool = False
    outcome: str = ""
    over: bool = False


class Course:
    """One course.

    Args:
        process: the process that does everything.
        seed: of the course.
    """

    def __init__(self, process: Process, seed: int) -> None:
        self.process, self.scene, self.store = process, process.scene, process.store
        self.chance = Random(seed)
        self.requests: dict[str, list[Request]] = defaultdict(list)
        self.canceled: set[str] = set()
        self.moment: Moment | None = None
        self.log: list[str] = []

    def play(self, steps: int = 60) -> None:
        """Take random steps, and let everything come to its end."""
        self.push()
        for name in self.chance.choices(list(STEPS), list(STEPS.values()), k=steps):
            self.log.append(name)
            getattr(self, name)()
            self._settle_down()
        for _ in range(8):
            self.recover()
            self.wait(DEADLINE)
            self._settle_down()

    def stuck(self) -> dict[str, str]:
        """The jobs that stand where nothing moves them any more, and their states."""
        client, keys = self.scene.client, self.scene.keys
        states = {job: self.scene.record(job).get("state", "") for job in POLICIES}
        queued = {one for key in (keys.ready, keys.delayed) for one in cast("Any", client.zrange(key, 0, -1))}
        return {
            job: state
            for job, state in states.items()
            if state in {"submitting", "submitted"} or (state == "queued" and job.encode() not in queued)
        }

    def push(self) -> None:
        job = self.chance.choice(list(POLICIES))
        self.scene.push(job, in_doubt=POLICIES[job], number=_number(job))

    def start(self) -> Request | None:
        """Send the best job. No other request of it may be at iFax."""
        admitted = self.store.submission.admit(self.scene.permit(), "")
        if not isinstance(admitted, Admitted) or self.store.submission.mark(admitted) is not Mark.MARKED:
            return None
        before = self.requests[admitted.job]
        assert [one.admitted.permit for one in before if not one.over] == [], self.log
        assert admitted.job not in self.canceled, self.log
        number = sum(map(len, self.requests.values()))
        request = Request(admitted, str(1000 + number) if self.chance.random() < 0.7 else "")
        before.append(request)
        return request

    def work(self) -> None:
        request = self.start()
        if request and self.chance.random() < 0.7:
            self._answer(request)

    def answer_late(self) -> None:
        if open_ := [one for each in self.requests.values() for one in each if not one.answered]:
            self._answer(self.chance.choice(open_))

    def _answer(self, request: Request) -> None:
        decision = self.chance.choice(["retry", "defer", "in_doubt", "unreachable"])
        if request.taken:
            decision = "accepted" if self.chance.random() < 0.85 else "in_doubt"
        request.answered = True
        request.over |= decision not in {"accepted", "in_doubt"}
        answer = {"decision": decision, "reason": "r", "attempt": request.admitted.attempt, "retry": 1000}
        named = {"job_id": request.taken} if decision == "accepted" else {}
        self.store.submission.settle(request.admitted, answer | named)

    def hear(self) -> None:
        """iFax tells how a fax ended, or tells it again."""
        if not (taken := [one for each in self.requests.values() for one in each if one.taken]):
            return
        request = self.chance.choice(taken)
        request.outcome = request.outcome or self.chance.choice(["delivered", "failed", "busy", "busy"])
        request.over |= request.outcome != "delivered"
        busy = request.outcome == "busy"
        told = receipt(
            request.taken,
            "failed" if busy else request.outcome,
            to=_number(request.admitted.job),
            **({"again": "busy"} if busy else {}),
        )
        self.scene.client.xadd(self.scene.keys.status, {"body": json.dumps(told), "kind": "receipt"})

    def wait(self, seconds: float = 0) -> None:
        self.scene.go(seconds or self.chance.choice([0.5, 2, 12, 12, 101, 200]))
        self.store.timers.run()
        self.store.receipts.match()

    def cancel(self) -> None:
        job = self.chance.choice(list(POLICIES))
        if self.store.intake.cancel(self.scene.intake("cancel"), job) == "canceled":
            self.canceled.add(job)

    def save(self) -> None:
        self.moment = self.scene.save()

    def go_back(self) -> None:
        if self.moment:
            goes_back(self.scene, self.process.server, self.moment)
            self.process.connect()

    def recover(self) -> None:
        if paused(self.scene) == ROLLED_BACK:
            self.scene.go(OVER)
            recover(self.scene)

    def _settle_down(self) -> None:
        """The watch looks, receipts meet their jobs, and the ledger hears of policies."""
        self.process.look()
        for entry, fields in self.store.receipts.read(100):
            self.store.receipts.apply([(entry, json.loads(fields[b"body"]))], [fields])
        for event in self.scene.news():
            if event.name == "fax.retrying" and event.data["reason"] == "in_doubt":
                for request in self.requests[event.job]:
                    request.over = True


def _number(job: str) -> str:
    return f"+1234567890{list(POLICIES).index(job)}"
