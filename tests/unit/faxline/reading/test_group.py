"""A group as a whole: its state, its counts, its JSON."""

import pytest

from faxline import Group, Job, JobRejected, JobState, Rejection
from faxline.reading.group import Tally

INTAKE, QUEUED, SUBMITTED, DOUBT = JobState.INTAKE, JobState.QUEUED, JobState.SUBMITTED, JobState.IN_DOUBT
DELIVERED, FAILED = JobState.DELIVERED, JobState.FAILED
UNCONFIRMED, CANCELED = JobState.UNCONFIRMED, JobState.CANCELED


def group(*states: JobState, rejected: dict[str, JobRejected] | None = None, forgotten: int = 0) -> Group:
    tally = Tally(rejected or {})
    for i, state in enumerate(states, start=1):
        tally.add(Job(id=f"g.{i}", account="default", state=state))
    return tally.group("default", "g", rejected=rejected or {}, forgotten=forgotten, pushed=None)


@pytest.mark.parametrize(
    ("states", "whole"),
    [
        ([DELIVERED, FAILED, QUEUED, SUBMITTED], QUEUED),
        ([DELIVERED, SUBMITTED, DOUBT], DOUBT),
        ([DELIVERED, SUBMITTED], SUBMITTED),
        ([FAILED, INTAKE, QUEUED], INTAKE),
        ([FAILED, JobState.UNKNOWN], JobState.UNKNOWN),
        ([DELIVERED, DELIVERED], DELIVERED),
        ([DELIVERED, CANCELED], CANCELED),
        ([DELIVERED, CANCELED, UNCONFIRMED], UNCONFIRMED),
        ([DELIVERED, CANCELED, UNCONFIRMED, FAILED], FAILED),
    ],
)
def test_the_state_is_that_of_the_job_furthest_behind_and_at_the_end_the_worst(
    states: list[JobState], whole: JobState
) -> None:
    found = group(*states)
    assert found.state is whole
    assert found.final == whole.final


def test_rejected_and_forgotten_jobs_have_ended_and_count() -> None:
    error = JobRejected("id", Rejection.ID_REUSED, "taken")
    found = group(DELIVERED, QUEUED, rejected={"g.3": error}, forgotten=2)
    assert (found.total, found.ended, found.final) == (5, 4, False)
    assert group(DELIVERED, rejected={"g.2": error}).state is FAILED


def test_the_json_has_the_counts_and_the_jobs_without_their_history() -> None:
    payload = group(DELIVERED, FAILED, FAILED).to_dict()
    assert (payload["group"], payload["total"], payload["ended"], payload["final"]) == ("g", 3, 3, True)
    assert payload["counts"] == {"delivered": 1, "failed": 2}
    assert [(job["id"], job["state"]) for job in payload["jobs"]] == [
        *(("g.1", "delivered"), ("g.2", "failed"), ("g.3", "failed")),
    ]
    assert "history" not in payload["jobs"][0]
