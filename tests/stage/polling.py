"""An account that asks iFax how its faxes stand."""

from typing import Any
from uuid import uuid4

import redis

from faxline_worker.state.results import Admitted
from tests.stage.scene import Scene

JOB, JOB_ID = "a", "77"


def begin(client: redis.Redis, **changes: str) -> Scene:
    """A scene whose account asks after 120, 300 and 600 seconds."""
    own = {"RESULTS": "poll", "POLL__SCHEDULE": "[120,300,600]", "RECEIPT_DEADLINE": "2000"}
    return Scene(client, **(own | changes))


def submit(scene: Scene, *jobs: str) -> None:
    """The jobs are taken by iFax: the n-th under the jobId 76 + n."""
    for n, job in enumerate(jobs):
        scene.push(job)
        scene.submit(str(77 + n))


def take(scene: Scene) -> Admitted | None:
    """Take what is best, if there is anything."""
    admitted = scene.store.submission.admit(uuid4().hex, "")
    return admitted if isinstance(admitted, Admitted) else None


def questions(scene: Scene) -> list[Admitted]:
    """Those that may go now, as workers take them."""
    while scene.store.timers.poll().asked:
        continue
    taken = []
    while (admitted := take(scene)) is not None:
        scene.store.submission.mark(admitted)
        taken.append(admitted)
    return taken


def ask(scene: Scene) -> Admitted:
    """The one question that may go now."""
    [question] = questions(scene)
    return question


def answer(scene: Scene, question: Admitted, decision: str = "accepted", **more: Any) -> str:
    """iFax answers a question: what that did."""
    answer = {"about": str(question.request["jobId"]), "seconds": 0.1}
    return scene.store.submission.report(
        question, {"decision": decision, "reason": decision, **answer, **more}
    ).result
