"""Faxline for producers: check a fax, push it, follow it.

from faxline import FaxLine
line = FaxLine("redis://localhost:6379/0")
job = line.send(to="+12345678901", files=["letter.pdf"])
line.wait(job, timeout=600)
"""

from faxline.account import AccountState, LimitState
from faxline.entries import Priority
from faxline.errors import (
    EntryRejected,
    FaxlineError,
    JobNotFound,
    JobRejected,
    OrderTimeout,
    QueueUnavailable,
    Rejection,
    WaitTimeout,
)
from faxline.events import Event, EventName
from faxline.forecast import Forecast, Hold
from faxline.jobs import Job, JobState, Transition
from faxline.line import FaxLine

__all__ = [
    "AccountState",
    "EntryRejected",
    "Event",
    "EventName",
    "FaxLine",
    "FaxlineError",
    "Forecast",
    "Hold",
    "Job",
    "JobNotFound",
    "JobRejected",
    "JobState",
    "LimitState",
    "OrderTimeout",
    "Priority",
    "QueueUnavailable",
    "Rejection",
    "Transition",
    "WaitTimeout",
]
