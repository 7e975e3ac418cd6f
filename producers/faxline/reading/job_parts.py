"""The parts of a job's record that have members of their own."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from faxline.contract.states import JobState

_ALSO = "also:"


@dataclass(frozen=True, slots=True)
class HeldFailure:
    """A failure that iFax reported and that is not final yet, because iFax may call again by itself.

    Attributes:
        reason: its name in docs/causes.md.
        code: iFax's number, if it gave one.
        until: when it becomes final unless another receipt comes; None if that was not read.
    """

    reason: str
    code: int | None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """One step of a job's history.

    Attributes:
        event: the event that it wrote, such as `fax.submitted`.
        at: when, in UTC.
        state: the state after it.
        attempt: the attempt that it was about.
        data: what else the event said.
    """

    event: str
    at: datetime
    state: str
    attempt: int
    data: Mapping[str, Any]


def read_history(record: Mapping[str, str]) -> tuple[Transition, ...]:
    """Read the steps of a job out of its record, the oldest first."""
    texts = (record.get(f"h:{i}") for i in range(1, int(record.get("n") or 0) + 1))
    told = {"event", "at", "state", "attempt"}
    return tuple(
        Transition(
            event=step["event"],
            at=datetime.fromtimestamp(step["at"] / 1000, tz=UTC),
            state=step["state"],
            attempt=step["attempt"],
            data={name: value for name, value in step.items() if name not in told},
        )
        for step in (json.loads(text) for text in texts if text)
    )


@dataclass(frozen=True, slots=True)
class OtherFax:
    """Another fax of a job, which iFax has: an older attempt's, or one that did not end as the job did.

    Example:
        >>> [other.job_id for other in line.job("invoice-77").others if other.outcome == "delivered"]
        [12345]

    Attributes:
        job_id: iFax's jobId.
        outcome: delivered, failed or canceled, by its receipt; None if that is not known.
        pages: how many pages it has, by its receipt.
        transferred: how many of them arrived, by its receipt.
        unclear: whether only an unclear answer named it, so that iFax may not have it.
    """

    job_id: int
    outcome: str | None = None
    pages: int | None = None
    transferred: int | None = None
    unclear: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `show --json` (docs/cli.md)."""
        return {
            "jobId": self.job_id,
            "outcome": self.outcome,
            "pages": self.pages,
            "transferred": self.transferred,
            "unclear": self.unclear,
        }


def read_other_faxes(record: Mapping[str, str]) -> tuple[OtherFax, ...]:
    """Read the other faxes out of a job's record, by their jobIds. Part of a record may do."""
    found: dict[int, OtherFax] = {}
    if record.get("state") == JobState.IN_DOUBT:
        named = record.get("named", "").rpartition(" ")[2]
        found |= {int(named): OtherFax(int(named), unclear=True)} if named else {}
    if also := record.get("also"):
        found[int(also)] = OtherFax(int(also))
    for name, value in record.items():
        if name.startswith(_ALSO):
            job_id = int(name.removeprefix(_ALSO))
            known = json.loads(value) if value.startswith("{") else {}
            found[job_id] = OtherFax(
                job_id, known.get("outcome"), known.get("pages"), known.get("transferred")
            )
    counts = record.get("job_id")
    return tuple(other for _, other in sorted(found.items()) if other.outcome or str(other.job_id) != counts)


def read_held_failure(record: Mapping[str, str]) -> HeldFailure | None:
    """The held failure of the iFax job that the record waits for. One of an older iFax job is ignored."""
    if record.get("state") != JobState.SUBMITTED or not record.get("held"):
        return None
    data = json.loads(record["held"])
    if data.get("job_id") != record.get("job_id"):
        return None
    return HeldFailure(data.get("reason") or "other", data.get("code"))
