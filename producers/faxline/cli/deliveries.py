"""Describe failed deliveries: the next try and its wait, a failure that is not final, the last one."""

from datetime import datetime
from typing import Any

from faxline.cli.output import moment, span
from faxline.contract.states import JobState
from faxline.reading.job import Job

_STOPPED = {
    "cause": "another one would fail alike.",
    "attempts": "it has no delivery left.",
    "expires_at": "the next one would have begun after its expires_at.",
}


def retry(job: Job, then: str) -> str:
    """What went wrong before, and when the next try is due."""
    if job.deliveries:
        return _next_delivery(job, then)
    if job.attempt:
        return f"Attempt {job.attempt} was not taken{_why(job)}; the next one is due at {then}."
    return f"iFax did not take it{_why(job)}. This spends no attempt. The next try is due at {then}."


def _next_delivery(job: Job, then: str) -> str:
    tried = job.last_try
    of = f" of {tried['attempts']}" if "attempts" in tried else ""
    text = f"Delivery {job.deliveries}{of} failed{_why(job)}; the next one is due at {then}"
    if "wait" in tried:
        text += f", {span(tried['wait'] / 1000)} after it ({tried.get('again', 'other')})"
    if "quality" in tried:
        text += f", in quality {tried['quality']}: the far end cannot receive more"
    return text + "."


def held_failure(job: Job, now: datetime) -> list[str]:
    """A failure that is not final yet, if there is one."""
    if job.held is None:
        return []
    code = f", code {job.held.code}" if job.held.code is not None else ""
    text = f"iFax reported a failure ({job.held.reason}{code}), and may call again by itself."
    if job.held.until is not None:
        text += f" It becomes final at {moment(job.held.until, now)} unless another receipt comes."
    return [text]


def stopped(job: Job) -> list[str]:
    """Why the last failed delivery was the last try, if it was."""
    tried = job.last_try
    why = _STOPPED.get(tried.get("stopped_by", "")) if job.state is JobState.FAILED else None
    return [f"Delivery {tried['delivery']} of {tried['attempts']} was the last: {why}"] if why else []


def delivery_facts(job: Job) -> dict[str, Any]:
    """The same as data. The wait is in seconds."""
    tried, held = job.last_try, job.held
    return {
        "attempts": tried.get("attempts"),
        "wait": tried["wait"] / 1000 if "wait" in tried else None,
        "wait_by": tried.get("again"),
        "quality": tried.get("quality"),
        "stopped_by": tried.get("stopped_by"),
        "held": held.reason if held else None,
        "held_until": held.until.isoformat() if held and held.until else None,
    }


def _why(job: Job) -> str:
    """The reason and code of the last failure, in brackets; empty if unknown."""
    return f" ({job.reason}{f', code {job.code}' if job.code is not None else ''})" if job.reason else ""
