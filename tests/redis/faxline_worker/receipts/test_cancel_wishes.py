"""The wish that a scheduled fax is canceled, while the request that it is about changes. On our own clock."""

import pytest
import redis

from faxline_worker.state.results import Admitted, Registration
from tests.stage.scene import Scene
from tests.stage.states import JOB
from tests.stage.two_requests import accepted, lost, sent_again, taken_twice

ELSEWHERE = "+493012345678"


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


def kept(scene: Scene) -> dict[str, str]:
    """Of a fax that iFax keeps for a date."""
    return {"schedule": "provider", "send_at": str(scene.now + 500_000)}


def wish(scene: Scene) -> None:
    assert scene.store.intake.cancel(scene.intake("cancel"), JOB) is Registration.ASKED


def name(scene: Scene, job_id: str) -> None:
    """An operator found the fax at iFax."""
    assert scene.store.orders.resolve(scene.ordered("resolve"), JOB, "accepted", job_id) == "done"


def asked(scene: Scene, about: int) -> Admitted:
    """A worker asks iFax to cancel the fax with this jobId."""
    scene.go(1)
    scene.store.timers.run()
    asker = scene.admit()
    assert (asker.control_call, asker.request) == (f"!cancel!{JOB}", {"jobId": about})
    scene.store.submission.mark(asker)
    return asker


def answered(scene: Scene, about: int, decision: str) -> str:
    answer = {"decision": decision, "about": str(about), "seconds": 0, "retry": 0}
    return scene.store.submission.report(asked(scene, about), answer).result


def test_the_second_of_two_requests_is_canceled_with_tries_and_words_of_its_own(scene: Scene) -> None:
    taken_twice(scene, **kept(scene))
    wish(scene)
    assert answered(scene, 78, "in_doubt") == "again"
    assert answered(scene, 78, "retry") == "again"
    assert answered(scene, 78, "accepted") == "later"
    assert answered(scene, 77, "retry") == "again"
    scene.news()
    assert answered(scene, 77, "refuse") == "refused"
    (told,) = scene.news()
    assert (told.name, told.data["reason"]) == ("fax.cancel_refused", "too_late")


@pytest.mark.parametrize("under_way", [False, True])
def test_a_wish_under_a_jobid_that_was_another_faxs_is_refused_and_the_next_one_is_carried_out(
    scene: Scene, under_way: bool
) -> None:
    scene.push(JOB, **kept(scene))
    lost(scene)
    name(scene, "77")
    wish(scene)
    asker = asked(scene, 77) if under_way else None
    scene.news()
    scene.receipt("77", to=ELSEWHERE)
    told = [(event.name, event.data.get("reason")) for event in scene.news()]
    assert told == [("fax.in_doubt", "other_number"), ("fax.cancel_refused", "in_doubt")]
    if asker:
        answer = {"decision": "accepted", "about": "77", "seconds": 0}
        assert scene.store.submission.report(asker, answer).result == "repeated"
    name(scene, "78")
    wish(scene)
    assert answered(scene, 78, "accepted") == "canceled"
    assert scene.state(JOB) == "canceled"


def test_and_goes_to_the_older_request_where_ifax_took_one(scene: Scene) -> None:
    older = sent_again(scene, **kept(scene))
    lost(scene)
    name(scene, "78")
    assert accepted(scene, older, "77") == "duplicate"
    wish(scene)
    asker = asked(scene, 78)
    scene.receipt("78", to=ELSEWHERE)
    answer = {"decision": "accepted", "about": "78", "seconds": 0}
    assert scene.store.submission.report(asker, answer).result == "repeated"
    assert answered(scene, 77, "accepted") == "canceled"
