"""Faxline for producers: check a fax, push it, follow it.

from faxline import FaxLine
line = FaxLine("redis://localhost:6379/0")
job = line.send(to="+12345678901", files=["letter.pdf"])
line.wait(job, timeout=600)

`AsyncFaxLine` is its asyncio twin, `faxline.testing` has one for tests that needs no Redis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from faxline.account import AccountState, LimitState
from faxline.audit import AuditEntry
from faxline.errors import (
    ContentLost,
    EntryNotFound,
    EntryRejected,
    EventsMissed,
    FaxesRejected,
    FaxlineError,
    GroupNotFound,
    JobIdTaken,
    JobNotFound,
    JobRejected,
    KeyMissing,
    NoKeys,
    NotAllowed,
    NotForgotten,
    NotInDoubt,
    NotReplicated,
    NotRolledBack,
    NotShared,
    OrderTimeout,
    PdfReaderUnavailable,
    PushInterrupted,
    QueueUnavailable,
    RejectedFax,
    Rejection,
    SealBroken,
    StateRolledBack,
    WaitTimeout,
)
from faxline.events import Event, EventName
from faxline.faxes import Fax
from faxline.files import File, Selection
from faxline.forecast import Forecast, Hold
from faxline.groups import Group
from faxline.iterators import AsyncEvents, Events
from faxline.jobs import Job, JobState, Transition
from faxline.keyring import Keyring
from faxline.line import FaxLine
from faxline.mailings import Mailing
from faxline.numbers import normalize_number
from faxline.operations import DeadEntry, Forgotten, SealedValues
from faxline.processes import Process, ProcessState
from faxline.rollbacks import LostCall, Recovered, Rollback

if TYPE_CHECKING:
    from faxline.asynchronous import AsyncFaxLine
    from faxline.entries import InDoubtPolicy, Priority

    __version__: str

__all__ = [
    "AccountState",
    "AsyncEvents",
    "AsyncFaxLine",
    "AuditEntry",
    "ContentLost",
    "DeadEntry",
    "EntryNotFound",
    "EntryRejected",
    "Event",
    "EventName",
    "Events",
    "EventsMissed",
    "Fax",
    "FaxLine",
    "FaxesRejected",
    "FaxlineError",
    "File",
    "Forecast",
    "Forgotten",
    "Group",
    "GroupNotFound",
    "Hold",
    "InDoubtPolicy",
    "Job",
    "JobIdTaken",
    "JobNotFound",
    "JobRejected",
    "JobState",
    "KeyMissing",
    "Keyring",
    "LimitState",
    "LostCall",
    "Mailing",
    "NoKeys",
    "NotAllowed",
    "NotForgotten",
    "NotInDoubt",
    "NotReplicated",
    "NotRolledBack",
    "NotShared",
    "OrderTimeout",
    "PdfReaderUnavailable",
    "Priority",
    "Process",
    "ProcessState",
    "PushInterrupted",
    "QueueUnavailable",
    "Recovered",
    "RejectedFax",
    "Rejection",
    "Rollback",
    "SealBroken",
    "SealedValues",
    "Selection",
    "StateRolledBack",
    "Transition",
    "WaitTimeout",
    "__version__",
    "normalize_number",
]

_LATER = {
    "AsyncFaxLine": "faxline.asynchronous",
    "InDoubtPolicy": "faxline.entries",
    "Priority": "faxline.entries",
}
"""What loads asyncio or pydantic, and is imported when it is asked for."""


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - the package's metadata is the one source

        return version("faxline")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
