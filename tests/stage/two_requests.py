"""A fax that iFax may have twice: its first request was lost, and it was sent again."""

from faxline_worker.state.results import Admitted
from tests.stage.scene import Scene
from tests.stage.states import JOB, LEASE


def lost(scene: Scene) -> Admitted:
    """A worker sends, and dies: the job is in doubt."""
    admitted = scene.call()
    scene.go(LEASE)
    scene.store.timers.run()
    assert scene.state(JOB) == "in_doubt"
    return admitted


def resend(scene: Scene) -> None:
    """An operator has it sent again."""
    assert scene.store.orders.resolve(scene.ordered("resolve"), JOB, "resend", "") == "done"


def sent_again(scene: Scene, **entry: str) -> Admitted:
    """The job is queued for its second attempt; the first one is returned."""
    scene.push(JOB, **entry)
    older = lost(scene)
    resend(scene)
    return older


def sent_twice(scene: Scene, **entry: str) -> tuple[Admitted, Admitted]:
    """Both attempts; the second one's call is under way."""
    older = sent_again(scene, **entry)
    newer = scene.call()
    return older, newer


def accepted(scene: Scene, admitted: Admitted, job_id: str) -> str:
    """iFax took this attempt: what becomes of its answer."""
    return scene.store.submission.settle(admitted, {"decision": "accepted", "job_id": job_id}).result


def taken_twice(scene: Scene, **entry: str) -> None:
    """iFax took both: the older as 77, and the newer as 78, for whose receipt the job waits."""
    older, newer = sent_twice(scene, **entry)
    assert accepted(scene, older, "77") == "duplicate"
    assert accepted(scene, newer, "78") == "settled"
