"""Faxline for producers: check a fax, push it, follow it.

from faxline import FaxLine
line = FaxLine("redis://localhost:6379/0")
job = line.send(to="+12345678901", files=["letter.pdf"])
line.wait(job, timeout=600)
"""

from faxline.entries import Priority
from faxline.errors import (
    EntryRejected,
    FaxlineError,
    JobNotFound,
    JobRejected,
    QueueUnavailable,
    Rejection,
    WaitTimeout,
)
from faxline.events import Event, EventName
from faxline.jobs import Job, JobState, Transition
from faxline.line import FaxLine

__all__ = [
    "EntryRejected",
    "Event",
    "EventName",
    "FaxLine",
    "FaxlineError",
    "Job",
    "JobNotFound",
    "JobRejected",
    "JobState",
    "Priority",
    "QueueUnavailable",
    "Rejection",
    "Transition",
    "WaitTimeout",
]
