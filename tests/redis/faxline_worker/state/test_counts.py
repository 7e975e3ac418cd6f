"""What the metrics say when answers, receipts and replies come in another order than usual, or get lost."""

from collections.abc import Callable
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from prometheus_client import CollectorRegistry

from faxline_worker.ifax import Answer, Decision
from faxline_worker.observability.metrics.families import new_registry
from faxline_worker.observability.metrics.worker import WorkerMetrics
from faxline_worker.processes.common import failure_labels
from faxline_worker.receipts.reconciler import count_receipt
from tests.stage.daemon import dispatcher_metrics, make_dispatcher
from tests.stage.scene import Scene
from tests.stage.states import JOB, LEASE
from tests.stage.submitting import submitter

REFUSED = Answer(Decision.REFUSE, 400, -3001, "invalid_number", "Invalid fax number", None, None)
ACCEPTED = Answer(Decision.ACCEPTED, 200, None, "accepted", "", 77, None)


@pytest.fixture
def scene(redis_client: redis.Redis) -> Scene:
    return Scene(redis_client)


@pytest.fixture
def registry() -> CollectorRegistry:
    return new_registry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> WorkerMetrics:
    return WorkerMetrics(registry, ["default"], failure_labels())


@pytest.fixture
def turn(scene: Scene, metrics: WorkerMetrics) -> Callable[..., None]:
    """One turn of `submit` with a scripted call; `store` stands for a part of the state."""

    def go(call: Callable[[Callable[[], None]], Answer], store: Any = None) -> None:
        submitter(
            store or scene.store,
            Mock(timeout=5.0, rate=1e6, call=lambda _endpoint, _token, _body, mark, **_about: call(mark)),
            metrics=metrics,
            patience=60,
            applied=lambda found, at, name: count_receipt(metrics, name, found, at),
        ).turn("")

    return go


def answering(answer: Answer) -> Callable[[Callable[[], None]], Answer]:
    def call(mark: Callable[[], None]) -> Answer:
        mark()
        return answer

    return call


def counts(registry: CollectorRegistry) -> dict[tuple[str, ...], float]:
    """Every counter of ours that has moved, by its name and the values of its labels but the account."""
    return {
        (sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "account")): value
        for family in registry.collect()
        for sample in family.samples
        if sample.name.startswith("fax_") and sample.name.endswith("_total") and (value := sample.value)
    }


def pushed(scene: Scene) -> None:
    scene.push(JOB, request='{"faxNumber":"+12025550123","faxData":[]}')


def test_a_failure_that_is_told_before_the_answer_is_one_failed_job(
    scene: Scene, turn: Callable[..., None], registry: CollectorRegistry
) -> None:
    pushed(scene)

    def call(mark: Callable[[], None]) -> Answer:
        mark()
        assert scene.receipt("77", "failed", code=21, reason="rejected", transferred=1).result == "unmatched"
        return ACCEPTED

    turn(call)
    assert scene.state(JOB) == "failed"
    assert counts(registry) == {
        ("fax_submissions_total", "accepted"): 1,
        ("fax_outcomes_total", "failed"): 1,
        ("fax_failures_total", "21", "rejected", "delivery"): 1,
        ("fax_pages_total", "total"): 3,
        ("fax_pages_total", "transferred"): 1,
        ("fax_receipts_total", "applied"): 1,
    }


def test_a_refusal_that_comes_after_the_lease_ran_out_is_a_failed_job(
    scene: Scene, turn: Callable[..., None], registry: CollectorRegistry
) -> None:
    pushed(scene)

    def call(mark: Callable[[], None]) -> Answer:
        mark()
        scene.go(LEASE)
        scene.store.timers.run()
        assert scene.state(JOB) == "in_doubt"
        return REFUSED

    turn(call)
    assert scene.state(JOB) == "failed"
    assert counts(registry)["fax_outcomes_total", "failed"] == 1


def test_a_refusal_whose_settlement_lost_its_reply_is_counted_once(
    scene: Scene, turn: Callable[..., None], registry: CollectorRegistry
) -> None:
    pushed(scene)
    lost: list[str] = []

    def settle(*arguments: Any, **more: Any) -> Any:
        done = scene.store.submission.settle(*arguments, **more)
        lost.append(done.result)
        if len(lost) == 1:
            raise redis.ConnectionError
        return done

    submission = Mock(wraps=scene.store.submission, settle=settle)
    turn(answering(REFUSED), Mock(account="default", submission=submission))
    assert lost == ["settled", "repeated"]
    assert counts(registry) == {
        ("fax_submissions_total", "refused"): 1,
        ("fax_failures_total", "-3001", "invalid_number", "submission"): 1,
        ("fax_outcomes_total", "failed"): 1,
    }


def test_an_acceptance_that_its_receipt_told_before_counts_no_second_end(
    scene: Scene, turn: Callable[..., None], registry: CollectorRegistry
) -> None:
    pushed(scene)

    def call(mark: Callable[[], None]) -> Answer:
        mark()
        scene.go(LEASE)
        scene.store.timers.run()
        order = scene.ordered("resolve")
        assert scene.store.orders.resolve(order, JOB, "accepted", "77") == "done"
        assert scene.receipt("77", "failed", code=21, reason="rejected").result == "applied"
        return ACCEPTED

    turn(call)
    assert scene.state(JOB) == "failed"
    assert counts(registry) == {("fax_submissions_total", "accepted"): 1}


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_a_doubt_that_an_operator_settles_by_a_jobId_whose_receipt_had_come_is_counted_with_it(
    scene: Scene, outcome: str
) -> None:
    pushed(scene)
    scene.call()
    scene.go(LEASE)
    scene.store.timers.run()
    scene.receipt("77", outcome, code=21, reason="rejected", transferred=2)
    registry = new_registry()
    dispatcher = make_dispatcher(scene.client, {"default": scene.store}, metrics=dispatcher_metrics(registry))
    order: Any = {"order": "resolve", "job": JOB, "how": "accepted", "jobId": "77"}
    scene.client.xadd(scene.keys.orders, order)
    dispatcher.orders.carry_out("default")
    assert scene.state(JOB) == outcome
    found = counts(registry)
    assert found[("fax_outcomes_total", outcome)] == 1
    assert found[("fax_pages_total", "transferred")] == 2
    assert (("fax_failures_total", "21", "rejected", "delivery") in found) == (outcome == "failed")
    assert (("fax_partial_deliveries_total",) in found) == (outcome == "delivered")
