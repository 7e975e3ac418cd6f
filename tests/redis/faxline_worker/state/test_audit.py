"""The audit: every call to iFax and every order, who, what, when and how it ended; never what is in it."""

from typing import Any

import pytest
import redis

from faxline_worker.state.results import Admitted
from faxline_worker.state.store import Store
from tests.stage.daemon import usual_settings
from tests.stage.scene import CLOCK, Scene

ANSWER = {"call": "fax-send", "attempt": 1, "outcome": "accepted", "status": 200, "ms": 120}


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    made = Scene(redis_client, AUDIT_RETENTION="315360000")  # the scene plays in another year
    made.store = Store(redis_client, made.store._settings, "default", who="pod-1:7", clock=CLOCK)
    return made


def audited(scene: Scene) -> list[dict[str, str]]:
    entries: Any = scene.client.xrange(scene.keys.audit)
    return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in entries]


def call(scene: Scene) -> Admitted:
    return scene.call()


def test_a_call_is_audited_with_the_answer_it_had(scene: Scene) -> None:
    scene.push("a")
    answer = {"decision": "accepted", "job_id": "77", "reason": "accepted", "code": 1, **ANSWER}
    admitted = call(scene)
    for _ in range(2):  # the first reply was lost
        scene.store.submission.settle(admitted, answer)
    assert audited(scene) == [
        {
            "at": str(scene.now),
            "who": "pod-1:7",
            "what": "fax-send",
            "job": "a",
            "attempt": "1",
            "outcome": "accepted",
            "status": "200",
            "code": "1",
            "reason": "accepted",
            "jobId": "77",
            "ms": "120",
        }
    ]


def test_what_was_not_called_is_not_audited(scene: Scene) -> None:
    scene.push("a")
    scene.store.submission.settle(scene.admit(), {"decision": "released"})
    assert audited(scene) == []


def test_a_call_whose_worker_died_is_audited_as_in_doubt(scene: Scene) -> None:
    scene.push("a")
    call(scene)
    scene.go(8)
    scene.store.timers.run()
    (entry,) = audited(scene)
    assert (entry["what"], entry["outcome"], entry["reason"]) == ("fax-send", "in_doubt", "worker_lost")


def test_a_cancellation_at_the_provider_is_audited_with_the_jobid(scene: Scene) -> None:
    scene.push("a", send_at=str(scene.now + 3_600_000), schedule="provider")
    scene.store.submission.settle(call(scene), {"decision": "accepted", "job_id": "77"})
    scene.store.intake.cancel(scene.intake("cancel"), "a")
    answer = {
        "decision": "accepted",
        "seconds": 0.1,
        "call": "fax-cancel",
        "about": "77",
        "outcome": "accepted",
    }
    scene.store.submission.report(call(scene), answer)
    order, entry = audited(scene)
    assert (order["what"], order["job"], order["outcome"]) == ("cancel", "a", "asked")
    assert (entry["what"], entry["job"], entry["jobId"], entry["outcome"]) == (
        *("fax-cancel", "a", "77", "accepted"),
    )


def test_every_order_is_audited_with_who_gave_it_and_what_came_of_it(scene: Scene) -> None:
    scene.push("a")
    scene.store.submission.settle(call(scene), {"decision": "in_doubt", "reason": "timeout"})
    store = scene.store
    store.orders.pause_or_resume(scene.ordered("pause"), "pause", "jane")
    store.orders.pause_or_resume(scene.ordered("pause"), "pause", "john")
    store.orders.pause_or_resume(scene.ordered("pause"), "pause", "john")
    store.orders.pause_or_resume(scene.ordered("resume"), "resume", "jane", "operator 1")
    store.orders.pause_or_resume(scene.ordered("resume"), "resume", "jane")
    store.orders.resolve(scene.ordered("resolve"), "nobody", "fail", "", "jane")
    store.orders.resolve(scene.ordered("resolve"), "a", "accepted", "77", "jane")
    store.orders.redrive(scene.ordered("redrive"), "1-1", "john")
    assert [(e["who"], e["what"], e["outcome"]) for e in audited(scene)] == [
        ("jane", "pause", "done"),
        ("john", "pause", "done"),
        ("john", "pause", "idle"),
        ("jane", "resume", "changed"),
        ("jane", "resume", "done"),
        ("jane", "resolve fail", "refused"),
        ("jane", "resolve accepted", "done"),
        ("john", "redrive", "refused"),
    ]


def test_entries_older_than_the_retention_go(redis_client: redis.Redis) -> None:
    settings = usual_settings(AUDIT_RETENTION="86400")
    store = Store(redis_client, settings, "default")
    seconds, _ = redis_client.time()
    days = {day: (seconds - day * 86400) * 1000 for day in (3, 2, 0)}
    for day in (3, 2, 0):
        for i in range(150):  # more than one node of the stream: trimming takes whole ones
            redis_client.xadd(store.keys.audit, {"what": str(day)}, id=f"{days[day]}-{i + 1}")
    store.timers.run()
    kept: Any = redis_client.xrange(store.keys.audit, count=1)
    assert kept[0][1][b"what"] != b"3"
    assert redis_client.xlen(store.keys.audit) < 300
