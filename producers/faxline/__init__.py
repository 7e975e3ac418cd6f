"""Faxline for producers: check a fax, push it, follow it.

from faxline import FaxLine
line = FaxLine("redis://localhost:6379/0")
job = line.send(to="+12345678901", files=["letter.pdf"])
line.wait(job, timeout=600)

`AsyncFaxLine` is its asyncio twin. `faxline.testing` has a line for tests that needs no Redis.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from faxline.contract.errors import (
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
    NotAsked,
    NotForgotten,
    NotInDoubt,
    NotReplicated,
    NotRolledBack,
    NotSettled,
    NotShared,
    OrderTimeout,
    OrderUnknown,
    PauseChanged,
    PdfReaderUnavailable,
    PushInterrupted,
    QueueUnavailable,
    RejectedFax,
    Rejection,
    SealBroken,
    StateRolledBack,
    WaitTimeout,
)
from faxline.contract.events import Event, EventName
from faxline.contract.phone_numbers import normalize_number
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.states import JobState

if TYPE_CHECKING:
    from faxline.client.aio import AsyncFaxLine
    from faxline.client.sync import FaxLine
    from faxline.contract.choices import InDoubtPolicy, Priority
    from faxline.operating.audit import AuditEntry
    from faxline.operating.dead_entries import DeadEntry
    from faxline.operating.erasure import Forgotten, SealedValues
    from faxline.operating.rollback import LostCall, Recovered, Rollback
    from faxline.reading.account_state import AccountState, LimitState
    from faxline.reading.event_iterators import AsyncEvents, Events
    from faxline.reading.forecast import Forecast, Hold
    from faxline.reading.group import Group
    from faxline.reading.job import Job
    from faxline.reading.job_parts import OtherFax, Transition
    from faxline.reading.processes import Process, ProcessState
    from faxline.sending.fax import Fax
    from faxline.sending.files import File, Selection
    from faxline.sending.mailing import Mailing

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
    "NotAsked",
    "NotForgotten",
    "NotInDoubt",
    "NotReplicated",
    "NotRolledBack",
    "NotSettled",
    "NotShared",
    "OrderTimeout",
    "OrderUnknown",
    "OtherFax",
    "PauseChanged",
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

# Imported at the first use: with redis-py and pydantic, `import faxline` takes 0.3 s instead of 0.05 s.
_LATER = {
    name: module
    for module, names in {
        "faxline.client.aio": ("AsyncFaxLine",),
        "faxline.client.sync": ("FaxLine",),
        "faxline.contract.choices": ("InDoubtPolicy", "Priority"),
        "faxline.operating.audit": ("AuditEntry",),
        "faxline.operating.dead_entries": ("DeadEntry",),
        "faxline.operating.erasure": ("Forgotten", "SealedValues"),
        "faxline.operating.rollback": ("LostCall", "Recovered", "Rollback"),
        "faxline.reading.account_state": ("AccountState", "LimitState"),
        "faxline.reading.event_iterators": ("AsyncEvents", "Events"),
        "faxline.reading.forecast": ("Forecast", "Hold"),
        "faxline.reading.group": ("Group",),
        "faxline.reading.job": ("Job",),
        "faxline.reading.job_parts": ("OtherFax", "Transition"),
        "faxline.reading.processes": ("Process", "ProcessState"),
        "faxline.sending.fax": ("Fax",),
        "faxline.sending.files": ("File", "Selection"),
        "faxline.sending.mailing": ("Mailing",),
    }.items()
    for name in names
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - the package's metadata is the one source

        return version("faxline")
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_LATER[name]), name)
