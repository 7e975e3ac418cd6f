"""Every state that a job can be in, and the way there; the job is `a`, iFax's jobId for it 77.

`STATES` are those of a job's first attempt. A name with ` again` is the same state of a second attempt, while
the first may have been accepted, and an operator ordered the second.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from faxline_worker.state.results import Admitted
from tests.stage.scene import Event, Scene

JOB = "a"
JOB_ID = "77"
AGAIN = " again"
LEASE, WAIT, DEADLINE = 7.1, 100.1, 1000.1
"""Seconds after which a lease runs out, a doubt's wait is over, a receipt is overdue."""
RETRY = 2.0
DATE = 10.0
"""Seconds after the begin at which a scheduled fax is due."""
STRANGER = Admitted("stranger", JOB, 1, "send", {}, "", "normal", None)
ASKER = replace(STRANGER, kind="status", control_call=f"!status!{JOB}")


@dataclass
class Actors:
    """Who acts in a scene: the worker of the newest attempt, and one of an older attempt or of none."""

    scene: Scene
    owner: Admitted = STRANGER
    older: Admitted = STRANGER
    asker: Admitted = ASKER
    """Who makes a control call: asks iFax how the submitted fax stands, or that it does not send one."""

    def admit(self) -> None:
        """A worker takes the job; the one before is stale from now on."""
        self.older, self.owner = self.owner, self.scene.admit()

    def settle(self, decision: str, **more: object) -> str:
        """The owner reports an answer."""
        return self.scene.store.submission.settle(
            self.owner, {"decision": decision, "reason": decision, **more}
        ).result

    def mark(self) -> None:
        """The owner sends."""
        self.scene.store.submission.mark(self.owner)


def _queued(_: Actors) -> None:
    pass


def _delayed(actors: Actors) -> None:
    actors.admit()
    actors.settle("retry", retry=round(RETRY * 1000))


def _submitting(actors: Actors) -> None:
    actors.admit()


def _marked(actors: Actors) -> None:
    actors.admit()
    actors.mark()


def _submitted(actors: Actors) -> None:
    _marked(actors)
    actors.settle("accepted", job_id=JOB_ID)


def _in_doubt(actors: Actors) -> None:
    _marked(actors)
    actors.scene.go(LEASE)
    actors.scene.store.timers.run()


def _delivered(actors: Actors) -> None:
    _submitted(actors)
    actors.scene.receipt(JOB_ID)


def _failed(actors: Actors) -> None:
    _marked(actors)
    actors.settle("refuse")


def _canceled(actors: Actors) -> None:
    actors.scene.store.intake.cancel(actors.scene.intake("cancel"), JOB)


def _unconfirmed(actors: Actors) -> None:
    _submitted(actors)
    actors.scene.go(DATE + DEADLINE)
    actors.scene.store.timers.run()


NOTHING = "(nothing)"
STATES: Mapping[str, Callable[[Actors], None]] = {
    "queued": _queued,
    "delayed": _delayed,
    "submitting": _submitting,
    "marked": _marked,
    "submitted": _submitted,
    "in_doubt": _in_doubt,
    "delivered": _delivered,
    "failed": _failed,
    "canceled": _canceled,
    "unconfirmed": _unconfirmed,
}
EVERY_STATE = (NOTHING, *STATES, *(state + AGAIN for state in STATES))


def put(scene: Scene, state: str, **fields: str) -> Actors:
    """Begin anew and put the job into a state; the events of the way there are read."""
    scene.begin()
    actors = Actors(scene)
    if state != NOTHING:
        scene.push(JOB, **fields)
        if state.endswith(AGAIN):
            _in_doubt(actors)
            scene.store.orders.resolve(scene.ordered("resolve"), JOB, "resend", "")
        STATES[state.removesuffix(AGAIN)](actors)
    assert look(scene)[0] == state.removesuffix(AGAIN)
    return actors


def look(scene: Scene) -> tuple[str, list[Event]]:
    """The state that the job is in, by its record and its index; and the events since the last look."""
    with scene.client.pipeline(transaction=False) as pipe:
        pipe.hmget(scene.keys.job(JOB), "state", "marked")
        pipe.zscore(scene.keys.delayed, JOB)
        pipe.xrange(scene.keys.events, min=scene.unread())
        (state, marked), delayed, entries = pipe.execute()
    seen = state.decode() if state else NOTHING
    if seen == "queued" and delayed is not None:
        seen = "delayed"
    if seen == "submitting" and marked == b"1":
        seen = "marked"
    return seen, scene.events(entries)
