"""Faxline for producers: check a fax, push it, follow it.

from faxline import FaxLine
line = FaxLine("redis://localhost:6379/0")
job = line.send(to="+12345678901", files=["letter.pdf"])
line.wait(job, timeout=600)
"""

from faxline.account import AccountState, LimitState
from faxline.entries import Priority
from faxline.errors import (
    EntryNotFound,
    EntryRejected,
    FaxlineError,
    JobIdTaken,
    JobNotFound,
    JobRejected,
    NotInDoubt,
    OrderTimeout,
    QueueUnavailable,
    Rejection,
    WaitTimeout,
)
from faxline.events import Event, EventName
from faxline.forecast import Forecast, Hold
from faxline.jobs import Job, JobState, Transition
from faxline.line import FaxLine
from faxline.operators import DeadEntry

__all__ = [
    "AccountState",
    "DeadEntry",
    "EntryNotFound",
    "EntryRejected",
    "Event",
    "EventName",
    "FaxLine",
    "FaxlineError",
    "Forecast",
    "Hold",
    "Job",
    "JobIdTaken",
    "JobNotFound",
    "JobRejected",
    "JobState",
    "LimitState",
    "NotInDoubt",
    "OrderTimeout",
    "Priority",
    "QueueUnavailable",
    "Rejection",
    "Transition",
    "WaitTimeout",
]
