"""An account on a clock of its own, for what its answers say about it as a whole."""

from typing import Any

from faxline_worker.state.results import Admitted, Held, Settlement
from tests.stage.scene import USUAL, Scene


class Account(Scene):
    """A scene with the durations that Faxline has by itself."""

    usual = USUAL

    def begin(self) -> None:
        super().begin()
        self.store.timers.run()

    def held(self) -> str:
        """What holds the best job."""
        held = self.store.submission.admit(self.permit(), "")
        assert isinstance(held, Held), held
        return held.limit

    def answer(self, admitted: Admitted, decision: str, **more: Any) -> None:
        """iFax answers a worker."""
        self.store.submission.mark(admitted)
        self.store.submission.settle(
            admitted, {"decision": decision, "reason": decision, "retry": 100, **more}
        )

    def unsent(self, admitted: Admitted, **more: Any) -> Settlement:
        """No connection could be made."""
        answer = {"decision": "unreachable", "reason": "connection_refused", "message": "connection refused"}
        return self.store.submission.settle(admitted, answer | {"retry": 100, "ours": True, **more})

    def next_probe(self) -> tuple[float, Admitted]:
        """Let time pass until a probe goes: after how long (s), and the probe."""
        waited = 0.0
        while isinstance(probe := self.store.submission.admit(self.permit(), ""), Held):
            plan = self.store.timers.plan_wakeups()
            assert plan.next is not None
            self.go(plan.next)
            waited += plan.next
        assert isinstance(probe, Admitted), probe
        return round(waited, 3), probe

    def order(self, order: str) -> str:
        """An operator pauses or resumes the account."""
        return self.store.orders.pause_or_resume(self.ordered(order), order)

    @property
    def whole(self) -> dict[str, str]:
        """The account's state as producers read it, at this clock's time."""
        raw: Any = self.client.hgetall(self.keys.account_state)
        return {name.decode(): value.decode() for name, value in raw.items()}
