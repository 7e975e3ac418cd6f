"""The verdict finds what must not be, and the plan of a run comes from its seed alone."""

from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest

from faxline import Event, Job, JobState
from faxline.reading.job_parts import Transition
from faxline_chaos import campaign, nodes, verdict
from faxline_chaos.doubts import ANSWER, FAIL, HELD, RECEIPT, RESEND, doubts_of
from faxline_chaos.evidence import Acceptance, Evidence, Lost, Recovery, by_job
from faxline_chaos.faults import (
    FIELD_ANSWERS,
    FIELD_ENDS,
    FORMS,
    LOST,
    UNKNOWN_REFUSAL,
    UNKNOWN_WORD,
    Fax,
    answer_faults,
    draw_faxes,
    outcome,
)
from faxline_chaos.schedule import SETTLE, draw_hits, push_times
from faxline_chaos.world import KILLS_FOR_ONE, LENGTHS, draw_world
from faxline_sandbox.control import read_outcomes
from faxline_sandbox.faults import Fault

FAX = Fax("f", "+12026000000", "normal", "hold", "delivered", (), None, document=False)
DELIVERED = ("fax.queued", "fax.submitted", "fax.delivered")
FAILED = ("fax.queued", "fax.in_doubt", "fax.failed")
RESENT = ("fax.queued", "fax.in_doubt", "fax.retrying", "fax.submitted", "fax.delivered")
NO_RECEIPT = ("fax.queued", "fax.submitted", "fax.unconfirmed")
DOUBTED = ("fax.queued", "fax.in_doubt")
END = 1000.0


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, tz=UTC)


def acceptance(job_id: int = 7, state: str = "delivered", receipt_at: float | None = END) -> Acceptance:
    return Acceptance(job_id, accepted_at=END - 1, state=state, receipt_at=receipt_at)


def event(name: str, seconds: float = END, **data: Any) -> Event:
    return Event("1-0", name, FAX.id, at(seconds), data)


def found(
    state: JobState,
    accepted: list[Acceptance],
    names: tuple[str, ...],
    *,
    policy: Any = "hold",
    reason: str | None = None,
    job_id: int | None = 7,
    written: tuple[str, ...] | None = None,
) -> list[str]:
    """The zeros that the verdict on one fax breaks."""
    steps = tuple(Transition(name, at(END), state, 1, {}) for name in written or names)
    job = Job(FAX.id, "default", state, job_id=job_id, reason=reason, history=steps)
    evidence = Evidence({FAX.id: job}, {FAX.id: [event(name) for name in names]}, {FAX.id: accepted}, {})
    return [finding.zero for finding in verdict.judge([replace(FAX, policy=policy)], evidence)]


def test_a_fax_accepted_and_delivered_once_is_right() -> None:
    assert found(JobState.DELIVERED, [acceptance()], DELIVERED) == []


def test_a_second_acceptance_is_allowed_to_resend_after_a_doubt_and_to_nobody_else() -> None:
    twice = [acceptance(6, receipt_at=None), acceptance(7)]
    assert found(JobState.DELIVERED, twice, RESENT, policy="resend") == []
    assert found(JobState.DELIVERED, twice, DELIVERED, policy="resend") == [verdict.DUPLICATE]
    assert found(JobState.DELIVERED, twice, RESENT, policy="hold") == [verdict.DUPLICATE]


def test_a_second_acceptance_is_allowed_after_a_delivery_that_failed() -> None:
    earlier, later = acceptance(6, "failed", receipt_at=END - 1 - 2 * verdict.STALE), acceptance(7)
    job = Job(FAX.id, "default", JobState.DELIVERED, job_id=7)
    events = [event("fax.retrying", stage="delivery", jobId=6)]
    evidence = Evidence({FAX.id: job}, {FAX.id: events}, {FAX.id: [earlier, later]}, {})
    assert verdict.DUPLICATE not in {finding.zero for finding in verdict.judge([FAX], evidence)}
    third = Evidence({FAX.id: job}, {FAX.id: events}, {FAX.id: [earlier, later, acceptance(8)]}, {})
    assert verdict.DUPLICATE in {finding.zero for finding in verdict.judge([FAX], third)}


STRETCH = Lost(begun=END - 5, ended=END + 5, noticed=True)


@pytest.mark.parametrize(
    ("stretch", "broken"),
    [
        (STRETCH, []),
        (replace(STRETCH, ended=END - 4), [verdict.DUPLICATE]),
        (replace(STRETCH, begun=END + 4), [verdict.DUPLICATE]),
    ],
    ids=["lost", "before", "after"],
)
def test_a_delivery_that_failed_and_was_followed_in_a_lost_stretch_needs_no_event(
    stretch: Lost, broken: list[str]
) -> None:
    earlier = acceptance(6, "failed", receipt_at=END - 2)
    job = Job(FAX.id, "default", JobState.DELIVERED, job_id=7)
    evidence = Evidence({FAX.id: job}, {}, {FAX.id: [earlier, acceptance(7)]}, {}, lost=[stretch])
    assert [finding.zero for finding in verdict.judge([FAX], evidence)] == broken
    unfailed = Evidence({FAX.id: job}, {}, {FAX.id: [acceptance(6), acceptance(7)]}, {}, lost=[stretch])
    assert [finding.zero for finding in verdict.judge([FAX], unfailed)] == [verdict.DUPLICATE]


def test_a_delivery_of_a_lost_stretch_that_redis_learned_of_last_is_the_jobs_end() -> None:
    """The answer of a later call came first, and the call before it was put in order then."""
    accepted = [acceptance(6, "failed", receipt_at=END - 2), acceptance(7, "failed")]
    events = [event("fax.retrying", stage="delivery", jobId=7)]
    job = Job(FAX.id, "default", JobState.FAILED, job_id=6, reason="no_answer")
    evidence = Evidence({FAX.id: job}, {FAX.id: events}, {FAX.id: accepted}, {}, lost=[STRETCH])
    assert verdict.WRONG not in {finding.zero for finding in verdict.judge([FAX], evidence)}
    other = replace(evidence, jobs={FAX.id: replace(job, job_id=7)})
    assert verdict.WRONG in {finding.zero for finding in verdict.judge([FAX], other)}


def test_of_which_only_the_id_is_known_is_held_and_not_sent_again_whatever_its_policy() -> None:
    resend, nameless = replace(FAX, policy="resend"), replace(STRETCH, nameless=frozenset({FAX.id}))
    history = (Transition("fax.in_doubt", at(END), JobState.IN_DOUBT, 1, {}),)
    job = Job(FAX.id, "default", JobState.IN_DOUBT, history=history)
    silent = acceptance(receipt_at=None)
    known = Evidence({FAX.id: job}, {FAX.id: [event("fax.in_doubt")]}, {FAX.id: [silent]}, {})
    assert [finding.zero for finding in verdict.judge([resend], known)] == [verdict.LOST]
    assert verdict.judge([resend], replace(known, lost=[nameless])) == []
    twice = replace(known, lost=[nameless], accepted={FAX.id: [silent, acceptance(8, receipt_at=None)]})
    assert [finding.zero for finding in verdict.judge([resend], twice)] == [verdict.DUPLICATE]


def test_a_redis_that_went_back_unnoticed_is_found() -> None:
    evidence = Evidence({}, {}, {}, {}, lost=[STRETCH, replace(STRETCH, noticed=False)])
    assert [(f.zero, f.subject) for f in verdict.judge([], evidence)] == [(verdict.LOST, "restore 2")]


def test_a_fax_accepted_again_long_after_a_receipt_of_the_first_arrived_is_a_duplicate() -> None:
    earlier = acceptance(6, receipt_at=END - 1 - 2 * verdict.STALE)
    twice = [earlier, acceptance(7)]
    assert found(JobState.DELIVERED, twice, RESENT, policy="resend") == [verdict.DUPLICATE]


def test_what_an_account_stood_still_after_a_receipt_does_not_count_as_time_to_use_it() -> None:
    evidence = Evidence({}, {}, {}, {}, recoveries=[Recovery("primary killed", 2.0, END + 5, END + 15)])
    assert evidence.stood_still(END, END + 20) == 10
    assert evidence.stood_still(END, END + 7) == 2
    assert evidence.stood_still(END + 14, END + 20) == 1
    assert evidence.stood_still(END - 9, END + 5) == evidence.stood_still(END + 15, END + 30) == 0


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.SUBMITTING, JobState.SUBMITTED])
def test_a_job_that_never_ends_is_lost(state: JobState) -> None:
    assert found(state, [], ("fax.queued",)) == [verdict.LOST]


def test_a_fax_without_a_record_is_lost() -> None:
    assert [f.zero for f in verdict.judge([FAX], Evidence({}, {}, {}, {}))] == [verdict.LOST]


def test_a_doubt_may_be_held_by_policy_only_and_only_without_a_receipt() -> None:
    silent = [acceptance(receipt_at=None)]
    assert found(JobState.IN_DOUBT, silent, DOUBTED) == []
    assert found(JobState.IN_DOUBT, silent, DOUBTED, policy="fail") == [verdict.LOST]
    assert found(JobState.IN_DOUBT, [acceptance()], DOUBTED) == [verdict.WRONG]


@pytest.mark.parametrize(
    "accepted", [[], [acceptance(state="failed")], [acceptance(job_id=8)]], ids=["never", "failed", "other"]
)
def test_a_delivery_that_the_ledger_does_not_know_is_wrong(accepted: list[Acceptance]) -> None:
    assert found(JobState.DELIVERED, accepted, DELIVERED) == [verdict.WRONG]


def test_unconfirmed_is_right_without_a_receipt_only() -> None:
    assert found(JobState.UNCONFIRMED, [acceptance(receipt_at=None)], NO_RECEIPT) == []
    assert found(JobState.UNCONFIRMED, [acceptance()], NO_RECEIPT) == [verdict.WRONG]


def test_a_receipt_counts_from_the_webhooks_answer_and_not_from_its_try() -> None:
    """A webhook that stands still answers seconds later: a policy that applied in between had no receipt."""
    tries = [
        {"at": END - 20, "answer": None, "seconds": 0.0},
        {"at": END - 15, "answer": 204, "seconds": 8.0},
    ]
    entry = {"jobId": 7, "accepted_at": END - 30, "state": "delivered", "webhooks": tries}
    assert Acceptance.read(entry).receipt_at == END - 7


def test_a_receipt_is_that_of_ifaxs_last_word_and_of_a_word_that_is_known() -> None:
    tries = [
        {"at": END - 20, "answer": 204, "seconds": 1.0, "retryAttempt": 0},
        {"at": END - 15, "answer": 204, "seconds": 1.0, "retryAttempt": 1},
    ]
    entry: dict[str, Any] = {"jobId": 7, "accepted_at": END - 30, "state": "delivered", "webhooks": tries}
    assert Acceptance.read(entry | {"retryAttempt": 1}).receipt_at == END - 14
    assert Acceptance.read(entry | {"retryAttempt": 2}).receipt_at is None
    assert Acceptance.read(entry | {"retryAttempt": 1, "word": "on_hold"}).receipt_at is None


def test_a_fax_that_was_delivered_and_is_taken_for_failed_is_a_duplicate() -> None:
    twice = [acceptance(6, receipt_at=END - 3), acceptance(7)]
    job = Job(FAX.id, "default", JobState.DELIVERED, job_id=7)
    events = [event("fax.retrying", stage="delivery", jobId=6)]
    evidence = Evidence({FAX.id: job}, {FAX.id: events}, {FAX.id: twice}, {})
    assert verdict.DUPLICATE in {finding.zero for finding in verdict.judge([FAX], evidence)}
    unheard = replace(evidence, accepted={FAX.id: [acceptance(6, receipt_at=None), acceptance(7)]})
    assert verdict.DUPLICATE not in {finding.zero for finding in verdict.judge([FAX], unheard)}


def test_a_fax_whose_last_word_never_came_may_end_by_the_failure_before() -> None:
    events = ("fax.queued", "fax.submitted", "fax.failed")
    unheard = acceptance(receipt_at=None)
    assert found(JobState.FAILED, [replace(unheard, failed_before=True)], events, reason="busy") == []
    assert found(JobState.FAILED, [unheard], events, reason="busy") == [verdict.WRONG]


def test_a_delivery_that_is_told_after_it_was_to_be_sent_again_is_the_end() -> None:
    job = Job(FAX.id, "default", JobState.DELIVERED, job_id=6)
    events = [event("fax.retrying", stage="delivery", jobId=6)]
    evidence = Evidence({FAX.id: job}, {FAX.id: events}, {FAX.id: [acceptance(6)]}, {})
    assert not {verdict.WRONG, verdict.DUPLICATE} & {one.zero for one in verdict.judge([FAX], evidence)}


def test_a_canceled_fax_is_right_where_ifax_said_so() -> None:
    events = ("fax.queued", "fax.submitted", "fax.canceled")
    word = replace(acceptance(state="failed"), word="cancelled")
    assert found(JobState.CANCELED, [word], events) == []
    assert found(JobState.CANCELED, [acceptance(state="failed")], events) == [verdict.WRONG]


@pytest.mark.parametrize(
    ("answers", "accepted", "broken"),
    [
        ((UNKNOWN_REFUSAL,), [], []),
        ((UNKNOWN_REFUSAL,), [acceptance()], [verdict.WRONG]),
        ((), [], [verdict.WRONG]),
    ],
)
def test_a_refusal_that_nobody_knows_may_end_the_fax_that_met_it(
    answers: tuple[str, ...], accepted: list[Acceptance], broken: list[str]
) -> None:
    events = ("fax.queued", "fax.failed")
    steps = tuple(Transition(name, at(END), JobState.FAILED, 1, {}) for name in events)
    job = Job(FAX.id, "default", JobState.FAILED, job_id=None, reason="unknown_refusal", history=steps)
    evidence = Evidence({FAX.id: job}, {FAX.id: [event(name) for name in events]}, {FAX.id: accepted}, {})
    findings = verdict.judge([replace(FAX, answers=answers)], evidence)
    assert [finding.zero for finding in findings] == broken


def test_a_fax_that_came_in_and_whose_webhook_nobody_took_need_not_be_told() -> None:
    assert verdict.judge([], Evidence({}, {}, {}, {}, inbound={9: False})) == []


@pytest.mark.parametrize(("times", "broken"), [(0, [verdict.LOST]), (1, []), (2, [verdict.DUPLICATE])])
def test_a_fax_that_came_in_must_be_told_once(times: int, broken: list[str]) -> None:
    events = by_job([Event("1-0", "fax.received", "", at(END), {"jobId": 9})] * times)
    evidence = Evidence({}, events, {}, {}, inbound={9: True})
    assert [finding.zero for finding in verdict.judge([], evidence)] == broken


def test_what_the_field_adds_is_what_the_sandbox_takes_and_leaves_the_documented_faxes_as_they_are() -> None:
    drawn = draw_faxes(5, 300, profile="field")
    assert {fax.end for fax in drawn} > set(FIELD_ENDS)
    assert {name for fax in drawn for name in fax.answers} > set(FIELD_ANSWERS)
    assert {fax.forms for fax in drawn} == set(FORMS)
    for fax in drawn:
        outcomes = outcome(fax)
        assert outcomes is None or read_outcomes(outcomes)
        assert all(Fault.read(fault) for fault in answer_faults(fax))
        assert not (fax.redials and (fax.webhook == LOST or fax.end == UNKNOWN_WORD))
    plain = draw_faxes(5, 300)
    assert [(fax.id, fax.webhook, fax.policy) for fax in drawn] == [
        (fax.id, fax.webhook, fax.policy) for fax in plain
    ]
    assert not any(fax.forms or fax.redials for fax in plain)


def test_failed_by_policy_is_right_for_fail_unless_a_receipt_was_there_long_before() -> None:
    silent, old = [acceptance(receipt_at=None)], [acceptance(receipt_at=END - 2 * verdict.STALE)]
    fields = {"names": FAILED, "reason": "in_doubt", "job_id": None}
    assert found(JobState.FAILED, silent, policy="fail", **fields) == []  # type: ignore[arg-type]
    assert found(JobState.FAILED, old, policy="fail", **fields) == [verdict.WRONG]  # type: ignore[arg-type]
    assert found(JobState.FAILED, silent, policy="hold", **fields) == [verdict.WRONG]  # type: ignore[arg-type]


def test_an_event_too_many_or_too_few_is_found() -> None:
    assert found(JobState.DELIVERED, [acceptance()], DELIVERED[:2], written=DELIVERED) == [verdict.EVENTS]


def test_a_limit_that_the_sandbox_saw_broken_and_a_process_that_ended_are_found() -> None:
    evidence = Evidence({}, {}, {}, {"rate_limited": {"burst": 2, "window": 0}}, ["worker-3"])
    assert [f.zero for f in verdict.judge([], evidence)] == [verdict.LIMITS] * 2 + [verdict.EXITS]


def test_a_fax_that_ifax_did_not_refuse_must_not_fail_because_somebody_else_did() -> None:
    events = ("fax.queued", "fax.failed")
    assert found(JobState.FAILED, [], events, reason="client_error", job_id=None) == [verdict.WRONG]


@pytest.mark.parametrize(
    ("after", "settled"),
    [
        ([event("fax.delivered", END + 2)], RECEIPT),
        ([event("fax.failed", END + 2, reason="busy")], RECEIPT),
        ([event("fax.submitted", END + 2), event("fax.delivered", END + 3)], ANSWER),
        ([event("fax.retrying", END + 2, reason="in_doubt")], RESEND),
        ([event("fax.failed", END + 2, reason="in_doubt")], FAIL),
        ([], HELD),
    ],
)
def test_a_doubt_tells_what_settled_it_and_after_how_long(after: list[Event], settled: str) -> None:
    (doubt,) = doubts_of([event("fax.queued"), event("fax.in_doubt", reason="worker_lost"), *after])
    assert (doubt.reason, doubt.settled, doubt.seconds) == ("worker_lost", settled, 2.0 if after else None)


def test_the_same_seed_makes_the_same_plan_and_another_seed_another() -> None:
    def plan(seed: int) -> tuple[Any, ...]:
        hits = draw_hits(seed, 50, campaign.crew())
        return draw_faxes(seed, 200), hits, push_times(seed, 200, hits)

    assert plan(1) == plan(1)
    assert plan(1) != plan(2)


def test_nodes_have_all_troubles_in_turn_and_the_kills_and_pushes_last_as_long() -> None:
    kinds = tuple(nodes.LENGTHS)
    hits = campaign.plan(3, 2 * nodes.KILLS_FOR_ALL, troubles_of_nodes=kinds)
    assert hits == campaign.plan(3, 2 * nodes.KILLS_FOR_ALL, troubles_of_nodes=kinds)
    troubles = [hit for hit in hits if hit.name in kinds]
    assert {hit.name for hit in troubles[: len(kinds)]} == {hit.name for hit in troubles[len(kinds) :]}
    assert len(troubles) == 2 * len(kinds)
    assert {hit.role for hit in hits if hit.name not in kinds} >= {"dispatcher", "worker", "webhook", "redis"}
    end = troubles[-1].at
    assert max(push_times(3, 400, hits)) > 0.9 * end
    assert max(hit.at for hit in hits if hit not in troubles) > 0.9 * end


def test_an_account_that_stands_still_after_a_trouble_of_nodes_is_found_and_the_fax_that_showed_it() -> None:
    probe = replace(FAX, id="probe-0")
    recoveries = [Recovery("slots moved", 2.0), Recovery("primary killed", None)]
    evidence = Evidence({}, {}, {}, {}, probes=[probe], recoveries=recoveries)
    findings = [(finding.zero, finding.subject) for finding in verdict.judge([], evidence)]
    assert findings == [(verdict.LOST, "probe-0"), (verdict.STUCK, "primary killed")]


def test_a_process_that_was_hit_is_spared_until_it_has_worked_again_for_a_while() -> None:
    hits = draw_hits(3, 200, campaign.crew())
    assert sum(not hit.stall for hit in hits) == 200
    assert {hit.role for hit in hits} == {"dispatcher", "worker", "webhook", "redis"}
    for name in campaign.crew():
        mine = [hit for hit in hits if hit.name == name]
        assert all(b.at >= a.at + a.down + SETTLE for a, b in pairwise(mine))


def test_troubles_of_the_world_come_from_the_seed_and_two_of_a_kind_do_not_overlap() -> None:
    hits = draw_hits(3, 100, campaign.crew())
    drawn = draw_world(3, hits, tuple(LENGTHS))
    assert drawn == draw_world(3, hits, tuple(LENGTHS)) != draw_world(4, hits, tuple(LENGTHS))
    for kind in LENGTHS:
        mine = [hit for hit in drawn if hit.name == kind]
        assert len(mine) == 100 // KILLS_FOR_ONE[kind]
        assert all(b.at >= a.at + a.down for a, b in pairwise(mine))


@pytest.mark.parametrize(
    ("names", "accepted", "broken"),
    [
        (["fax.rejected"], [], []),
        ([], [], [verdict.LOST]),
        (["fax.queued"], [acceptance()], [verdict.LOST, verdict.WRONG]),
    ],
)
def test_a_hostile_document_must_be_rejected_and_never_sent(
    names: list[str], accepted: list[Acceptance], broken: list[str]
) -> None:
    events = {"bomb-0": [event(name) for name in names]}
    evidence = Evidence({}, events, {"bomb-0": accepted}, {}, bombs=("bomb-0",))
    assert [finding.zero for finding in verdict.judge([], evidence)] == broken
