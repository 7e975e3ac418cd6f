"""Explain in plain sentences why a job is not sent yet."""

import math
from datetime import UTC, datetime, tzinfo
from typing import Any

from faxline.cli.app import ACCOUNT
from faxline.cli.deliveries import delivery_facts, held_failure, retry, stopped
from faxline.cli.output import moment, span
from faxline.cli.seeking import others_at_ifax
from faxline.contract.states import JobState
from faxline.contract.wording import by_an_operator, plural
from faxline.reading import account_state as account
from faxline.reading.account_state import AccountState, LimitState, from_micros
from faxline.reading.forecast import Forecast, Hold
from faxline.reading.job import Job

_LIMITS = {Hold.CONCURRENCY, Hold.WINDOW, Hold.BURST}


def explanation(  # noqa: PLR0911 - one a state
    job: Job, state: AccountState, zone: tzinfo = UTC
) -> list[str]:
    """Say what a job waits for, or how it ended.

    Args:
        job: as `FaxLine.job` returns it.
        state: of its account, read just after the job.
        zone: whose times are told; UTC stands for the local zone.
    """
    now = from_micros(state.now).astimezone(zone)
    if job.forecast is not None:
        return _queued(job, job.forecast, state, now)
    since = f" since {moment(job.updated_at, now)}" if job.updated_at else ""
    match job.state:
        case JobState.INTAKE:
            pushed = f" at {moment(job.created_at, now)}" if job.created_at else ""
            return [f"{job.id} was pushed{pushed} and waits in intake: no dispatcher has taken it yet."]
        case JobState.QUEUED:  # it was taken while we looked, or has expired
            return [f"{job.id} is about to be submitted or, if its expires_at has passed, to fail."]
        case JobState.SUBMITTING:
            return [f"{job.id} is being submitted, attempt {job.attempt}{since}; it waits for iFax's answer."]
        case JobState.SUBMITTED:
            kept = job.send_at and job.send_at > now and f"iFax sends it at {moment(job.send_at, now)}."
            at = f" --account {job.account}" if job.account != ACCOUNT else ""
            return [
                f"{job.id} was taken by iFax (jobId {job.job_id}){since}.",
                *held_failure(job, now),
                *([f"{kept} Until then `faxline{at} cancel {job.id}` takes it back."] if kept else []),
                *_asked(job, now),
                "It waits for the receipt, which says whether it was delivered"
                + (
                    f"; without one it is unconfirmed at {moment(job.waits_until, now)}."
                    if job.waits_until
                    else "."
                ),
            ]
        case JobState.IN_DOUBT:
            return _in_doubt(job, since, now)
        case _:
            at = f", {moment(job.updated_at, now)}" if job.updated_at else ""
            return [
                f"{job.id} has ended: {ending(job)}{at}.",
                *stopped(job),
                *others_at_ifax(job),
                *_next(job),
            ]


def _asked(job: Job, now: datetime) -> list[str]:
    """Say when iFax is next asked for the state of the fax."""
    if job.asked_at is None:
        return []
    if job.asked_at <= now:
        return ["The next status check is due, and goes as soon as its share of the limits has room."]
    return [f"The next status check is at {moment(job.asked_at, now)}."]


def _next(job: Job) -> list[str]:
    """Say where to look for what the record does not have."""
    at = f" --account {job.account}" if job.account != ACCOUNT else ""
    if job.state is JobState.CANCELED or job.reason == "operator":
        return [f"`faxline{at} audit --job {job.id}` says who ordered it, if somebody did."]
    if job.state is JobState.UNCONFIRMED:
        return [f"Look it up at iFax: `faxline{at} show {job.id} --reveal` says by what."]
    return []


def ending(job: Job) -> str:
    """How a job ended, in a few words."""
    why = f": {job.reason or 'no reason known'}" + (f", code {job.code}" if job.code is not None else "")
    said = f" ({job.message})" if job.message else ""
    match job.state:
        case JobState.DELIVERED:
            return ", ".join(filter(None, (job.state_text, pages_of(job))))
        case JobState.UNCONFIRMED:
            return "unconfirmed: iFax took it and no receipt came in time; a late one still amends it"
        case _:
            return f"{job.state}{why}{said}"


def pages_of(job: Job) -> str:
    """Format `2 of 3 pages`, as far as the receipt says."""
    if job.pages is None:
        return ""
    of = f"{job.transferred} of " if job.transferred is not None else ""
    return of + plural(job.pages, "page")


def facts(job: Job, state: AccountState) -> dict[str, Any]:
    """The same as data."""
    forecast = job.forecast
    limit = _limit(forecast.hold, state) if forecast and forecast.hold in _LIMITS else None
    return {
        "id": job.id,
        "account": job.account,
        "state": str(job.state),
        "priority": job.priority,
        "attempt": job.attempt,
        "jobId": job.job_id,
        "code": job.code,
        "reason": job.reason,
        "partial": job.partial,
        "hold": str(forecast.hold) if forecast else None,
        "place": forecast.place if forecast else None,
        "limit": {"used": limit.used, "effective": limit.effective, "configured": limit.configured}
        if limit
        else None,
        "paused": (forecast.paused if forecast else "") or None,
        "free_at": forecast.free_at.isoformat() if forecast and forecast.free_at else None,
        "behind": forecast.behind if forecast else None,
        "send_at": job.send_at.isoformat() if job.send_at else None,
        "deliveries": job.deliveries,
        **delivery_facts(job),
        "expected_start": job.expected_start.isoformat() if job.expected_start else None,
        "waits_until": job.waits_until.isoformat() if job.waits_until else None,
        "asked_at": job.asked_at.isoformat() if job.asked_at else None,
        "policy": job.policy,
        "others": [other.to_dict() for other in job.others],
        "delivered_after_end": job.delivered_after_end,
    }


def used_of(limit: LimitState) -> str:
    """`12 of 20`; `off` for a limit of 0."""
    return f"{whole(limit.used)} of {limit.effective}" if limit.effective else "off"


def whole(used: float) -> int:
    """How much of a limit is used. The burst drains steadily, so a fraction counts as one."""
    return math.ceil(used - 1e-6)


def _queued(job: Job, forecast: Forecast, state: AccountState, now: datetime) -> list[str]:
    before = plural(forecast.place, "job is", "jobs are") if forecast.place else "No job is"
    text = [
        f"{job.id} is queued on account {job.account} with priority {job.priority}. {before} before it.",
        _held(job, forecast, state, now),
    ]
    if job.send_at and job.send_at > now and forecast.hold is not Hold.DATE:
        date = moment(job.send_at, now)
        text.append(f"It is scheduled for {date}, and goes to iFax before that when nothing else is due.")
    if forecast.hold is Hold.LINE or _next_slot(forecast):
        return text
    if forecast.expected_start is None:
        text.append("Its start time is unknown.")
    elif forecast.hold is not Hold.NOTHING:
        text.append(f"It is expected to start at {moment(forecast.expected_start, now)}.")
    return text


def _held(  # noqa: PLR0911 - one sentence a hold
    job: Job, forecast: Forecast, state: AccountState, now: datetime
) -> str:
    then = moment(forecast.free_at, now) if forecast.free_at else "an unknown time"
    match forecast.hold:
        case Hold.NOTHING:
            return "Nothing holds it. The next free worker takes it. If it stays, check that a worker runs."
        case Hold.PLACE:
            return "No limit holds it. The jobs before it go first."
        case Hold.COOLDOWN:
            return f"iFax answered 429, so the whole account waits until {then}."
        case Hold.VERIFYING:
            return f"Redis was restarted or replaced. All processes check it first, until {then}."
        case Hold.DATE:
            return f"Faxline holds it until its date, {then}."
        case Hold.LINE:
            other = f" ({forecast.behind})" if forecast.behind else ""
            return (
                f"Waiting for its number: another fax to it is under way{other}. "
                f"This one follows when that one has ended, at the latest at {then}."
            )
        case Hold.RETRY:
            return retry(job, then)
        case Hold.PAUSED:
            return _paused(job, forecast, state, then, now)
        case _:
            return _full(forecast, state, now)


def _paused(job: Job, forecast: Forecast, state: AccountState, then: str, now: datetime) -> str:
    match forecast.paused:
        case account.OPERATOR:
            opens = f"`faxline accounts resume {job.account}` opens it."
            return f"The account is paused {by_an_operator(state.paused_by)}; {opens}"
        case account.ROLLED_BACK:
            return (
                "The account is paused: Redis went back to an older state and does not know what was sent "
                f"since then. `faxline accounts rollback {job.account}` shows what was lost."
            )
        case reason:
            return (
                f"{_pause_of(reason, state, now)} The next probe goes at {then}; "
                f"`faxline accounts resume {job.account}` opens it at once."
            )


def _pause_of(reason: str, state: AccountState, now: datetime) -> str:
    """Say why the account is paused, since when, and who found it."""
    since = f" since {moment(from_micros(state.paused_since), now)}" if state.paused_since else ""
    why = f" ({state.paused_why})" if state.paused_why else ""
    found = f" {state.paused_by} found it." if state.paused_by else ""
    if reason == account.UNREACHABLE:
        waiting = state.jobs.get("queued", 0)
        jobs = f"{plural(waiting, 'job')} {'waits' if waiting == 1 else 'wait'}"
        return f"iFax has been unreachable{since}{why}. {jobs}, and none is lost.{found}"
    if reason == account.BREAKER:
        what = f"iFax repeated an answer of unknown meaning{why}"
        return f"The account is paused{since}: {what}.{found}"
    return f"The account is paused{since}: {reason}{why}.{found}"


def _next_slot(forecast: Forecast) -> datetime | None:
    """When a slot of a used-up limit opens for the job; None if other jobs get the next slots."""
    limited = forecast.hold in {Hold.CONCURRENCY, Hold.WINDOW, Hold.BURST}
    return forecast.expected_start if limited and forecast.place == 0 else None


def _full(forecast: Forecast, state: AccountState, now: datetime) -> str:
    """Say which limit is used up and, if the job is next, when a slot opens."""
    hold = forecast.hold
    limit = _limit(hold, state)
    window = state.window_us / 1e6
    about = {
        Hold.CONCURRENCY: "the concurrency limit",
        Hold.WINDOW: _WINDOWS.get(window, f"the limit of requests per {span(window)}"),
        Hold.BURST: "the burst limit",
    }[hold]
    lowered = ""
    if limit.effective < limit.configured:
        cause = (
            "calls hang" if hold is Hold.CONCURRENCY and state.concurrency_backoff else "iFax answered 429"
        )
        lowered = f" The limit of {limit.configured} is lowered because {cause}."
    slot = _next_slot(forecast)
    opens = f" The next slot opens at {moment(slot, now)}." if slot else ""
    return f"Waiting for {about} ({whole(limit.used)} of {limit.effective} used).{lowered}{opens}"


_WINDOWS = {60.0: "the limit per minute", 3600.0: "the hourly limit", 86_400.0: "the daily limit"}
"""The usual names of the window's limit, by the length of the window in seconds."""
_POLICIES = {
    "hold": "it is held for an operator",
    "resend": "it is sent again, or held if no attempt is left",
    "fail": "it is given up",
}
"""What happens to a job in doubt at the end of the wait."""


def _in_doubt(job: Job, since: str, now: datetime) -> list[str]:
    why = " ".join(part for part in (job.reason, f"({job.message})" if job.message else None) if part)
    text = [
        f"{job.id} is in doubt{since}: iFax may have received attempt {job.attempt}; its answer is unknown.",
        *([f"Why: {why}."] if why else []),
    ]
    text += others_at_ifax(job)
    text += _asked(job, now)
    if job.waits_until:
        policy = f" ({job.policy}: {_POLICIES[job.policy]})" if job.policy in _POLICIES else ""
        text.append(
            "A late answer or a receipt settles it. Otherwise its policy applies at "
            f"{moment(job.waits_until, now)}{policy}."
        )
    else:
        text.append("The wait is over, and an operator decides. A receipt still settles it.")
    at = f" --account {job.account}" if job.account != ACCOUNT else ""
    text.append(
        f"Look it up at iFax by number and time: `faxline{at} show {job.id} --reveal`. "
        f"Then `faxline{at} resolve {job.id} --accepted JOBID` if iFax shows it, "
        "`--resend` if iFax does not have it, or `--fail` to give it up."
    )
    return text


def _limit(hold: Hold, state: AccountState) -> LimitState:
    return {Hold.CONCURRENCY: state.concurrency, Hold.WINDOW: state.window, Hold.BURST: state.burst}[hold]
