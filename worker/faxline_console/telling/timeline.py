"""What happened to a fax: its transitions, and the calls and orders about it, in one line of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus

from faxline.contract.states import JobState
from faxline.operating.audit import AuditEntry
from faxline.reading.account_state import OPERATOR
from faxline.reading.job import Job
from faxline.reading.job_parts import Transition
from faxline_console.showing.words import EVENTS, STATES, reason_words


@dataclass(frozen=True, slots=True)
class Happening:
    """An entry of the timeline.

    Attributes:
        at: when.
        icon, colour: how it is drawn.
        what, more: the title, and the line below.
    """

    at: datetime
    icon: str
    colour: str
    what: str
    more: str = ""


def timeline(history: Sequence[Transition], orders: Sequence[AuditEntry]) -> list[Happening]:
    """What happened to a fax, the oldest first.

    Args:
        history: its transitions.
        orders: the calls and orders about it, as far as the viewer may know them.
    """
    happened = [_order(entry) for entry in orders]  # of the same moment a call is first, and what came of it
    happened += [_transition(step, orders) for step in history]
    return sorted(happened, key=lambda one: one.at)


def not_known(job: Job, orders: Sequence[AuditEntry]) -> datetime | None:
    """When iFax said that it does not know the jobId of a fax, if that is its latest answer."""
    if job.state not in {JobState.SUBMITTED, JobState.UNCONFIRMED} or job.job_id is None:
        return None
    asked = [one for one in orders if one.what == "fax-status" and one.job_id in {None, job.job_id}]
    last = max(asked, key=lambda one: one.at, default=None)
    return last.at if last is not None and last.status == HTTPStatus.NOT_FOUND else None


def is_ordered(step: Transition) -> bool:
    """Whether a person settled a doubt by this step."""
    return step.data.get("reason") == OPERATOR


def ordered_by(step: Transition, orders: Sequence[AuditEntry]) -> str:
    """Whose order led to a step, and why, as far as the viewer may know: the audit has it of that moment."""
    by = (entry.who for entry in orders if not entry.is_call and entry.at == step.at)
    return next(by, "a person")


def _transition(step: Transition, orders: Sequence[AuditEntry]) -> Happening:
    icon, colour, what = EVENTS.get(step.event, ("skip", "queued", step.event))
    data = step.data
    if step.event == "fax.delivered" and data.get("partial"):
        icon, colour, what = "partial", "partial", STATES["partial"][1]
    if outcome := data.get("outcome"):
        after = step.state in {JobState.FAILED, JobState.CANCELED}
        what = f"iFax {outcome} it all the same" if after else f"{what}: {outcome}"
    why = reason_words(data.get("reason"), data.get("code"))
    more = [f"by {ordered_by(step, orders)}" if is_ordered(step) else why]
    if "delivery" in data:
        more.append(
            f"delivery {data['delivery']}" + (f" of {data['attempts']}" if "attempts" in data else "")
        )
    if data.get("jobId") is not None:
        more.append(f"jobId {data['jobId']}")
    began, ended = (_moment(data.get(f"call_{word}_at")) for word in ("started", "ended"))
    if began and ended:
        more.append(f"the call took {(ended - began).total_seconds():.0f} s")
    if data.get("receipt"):
        more.append(f"receipt sha256:{str(data['receipt'])[:12]}…")
    return Happening(step.at, icon, colour, what, ", ".join(filter(None, more)))


def _moment(ms: object) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if isinstance(ms, int) else None


def _order(entry: AuditEntry) -> Happening:
    if not entry.is_call:
        taken = entry.outcome == "taken" or entry.about == "other_fax"  # the first is of an older dispatcher
        outcome = "refused, the jobId is of another fax" if taken else entry.outcome
        named = f", jobId {entry.job_id}" if entry.job_id is not None else ""
        return Happening(
            entry.at,
            "person",
            "queued",
            f"{entry.what.replace('_', ' ').capitalize()}: {outcome}",
            f"By {entry.who}{named}",
        )
    more = [
        entry.outcome.replace("_", " "),
        f"HTTP {entry.status}" if entry.status else "",
        f"code {entry.code}" if entry.code is not None else "",
        f"{entry.seconds:.2f} s" if entry.seconds is not None else "",
        f"worker {entry.who}",
    ]
    return Happening(entry.at, "call", "sending", f"Call: {entry.what}", ", ".join(filter(None, more)))
