"""A scene for doubts: faxes whose receipts may be known by number, sender, pages and time."""

import json
from collections.abc import Callable
from typing import Any

from faxline_worker.state.results import Admitted, Receipted, Settlement
from tests.stage.daemon import make_intake
from tests.stage.intake import read_intake
from tests.stage.scene import BEGIN, USUAL, Scene

TO, SENDER = "+12025550123", "+12025550100"
SETTINGS = USUAL | {"HTTP_TIMEOUT": "30", "LEASE_GRACE": "10", "SWEEP": "10", "IN_DOUBT__CLOCK_SLACK": "120"}
SETTLED = 60.1
"""Seconds after which nobody claims a receipt any more: the lease (50 s), and a sweep."""


class Doubts(Scene):
    """A scene of faxes that differ in what a receipt may know of them."""

    usual = SETTINGS

    def begin(self) -> None:
        super().begin()
        self.store.timers.run()

    def push(self, *jobs: str, **more: Any) -> str:
        return super().push(*jobs, **{"number": TO, "sender": SENDER, "known_pages": "3", **more})

    def take(self, entry: dict[str, Any], kind: str = "send") -> None:
        """A producer's entry, as the dispatcher takes it."""
        self.client.xadd(self.keys.intake, {kind: json.dumps(entry)})
        make_intake(self.store).take(read_intake(self.client, self.store))

    def answer(self, admitted: Admitted, decision: str, **more: Any) -> Settlement:
        """iFax answers a worker, or the connection breaks."""
        return self.store.submission.settle(
            admitted, {"decision": decision, "reason": decision, "retry": 0, **more}
        )

    def doubt(self, job: str, **fields: str) -> Admitted:
        """A job whose request may have reached iFax, a second ago."""
        self.push(job, **fields)
        admitted = self.call()
        assert admitted.job == job
        assert self.answer(admitted, "in_doubt").state == "in_doubt"
        self.go(1)
        return admitted

    def receipt(self, job_id: str = "77", outcome: str = "delivered", **more: Any) -> Receipted:
        said = {"to": TO, "sender": SENDER, "started": round(BEGIN + self.seconds)}
        return super().receipt(job_id, outcome, **(said | more))

    def match(self) -> list[tuple[str, str]]:
        """What the receipts did that nobody has claimed by now."""
        self.go(SETTLED)
        return [(matched.result, matched.job) for matched in self.store.receipts.match()]

    def told(self, job: str) -> list[str]:
        """The names of all events about a job."""
        entries: Any = self.client.xrange(self.keys.events)
        return [f[b"event"].decode().removeprefix("fax.") for _, f in entries if f[b"job"] == job.encode()]


Make = Callable[..., Doubts]
