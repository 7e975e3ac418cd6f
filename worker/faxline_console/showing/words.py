"""The words of the pages: the name of a state, a reason for people, and `explain` without its commands."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

from faxline.cli.explaining import explanation, pages_of
from faxline.contract.states import JobState
from faxline.reading.account_state import OPERATOR, AccountState
from faxline.reading.job import Job

STATES: Mapping[str, tuple[str, str]] = {
    "intake": ("queued", "Pushed"),
    "queued": ("queued", "Queued"),
    "submitting": ("sending", "Sending"),
    "submitted": ("sending", "Sending"),
    "in_doubt": ("in-doubt", "In doubt"),
    "delivered": ("delivered", "Delivered"),
    "partial": ("partial", "Partly delivered"),
    "failed": ("failed", "Failed"),
    "rejected": ("failed", "Rejected"),
    "canceled": ("canceled", "Canceled"),
    "unconfirmed": ("unconfirmed", "Unconfirmed"),
}
"""The icon (which names the colour, too) and the word of each state."""
EVENTS: Mapping[str, tuple[str, str, str]] = {
    "fax.queued": ("queued", "queued", "Queued"),
    "fax.submitted": ("sending", "sending", "Taken by iFax"),
    "fax.retrying": ("failed", "failed", "To be tried again"),
    "fax.in_doubt": ("in-doubt", "in-doubt", "In doubt"),
    "fax.delivered": ("delivered", "delivered", "Delivered"),
    "fax.failed": ("failed", "failed", "Failed"),
    "fax.canceled": ("canceled", "canceled", "Canceled"),
    "fax.unconfirmed": ("unconfirmed", "unconfirmed", "Unconfirmed"),
    "fax.duplicate": ("warn", "failed", "iFax took another attempt as well"),
    "fax.cancel_refused": ("skip", "queued", "A cancellation was refused"),
}
"""The icon, the colour and the words of each event in a timeline."""
GIVEN_UP = "given up by a person"
WAITS = {
    "window": "Waits for the limit of requests",
    "calls at once": "Waits for a call to end",
    "burst": "Waits for the limit of a burst",
}
"""What a list says of a queued fax whose account is at this limit."""
_COMMAND = re.compile(r"[;:,]? ?`[^`]*`[^.;]*")
_OF_OTHERS = re.compile(
    r" (?:No job is|[\d,]+ jobs? (?:is|are)) before it\.| [\d,]+ jobs? waits?(?=, and none)"
    r"| \([\d,]+ of [\d,]+ used\)|(?<=is under way) \([^)]*\)"
)
"""What an explanation says of other faxes."""
_MOMENT = re.compile(r"((?:\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d)(?= \()")
"""A time of an explanation: how far it is from now follows in brackets."""
_OF_PROCESSES = re.compile(r" \S+ found it\.| If it stays, check that a worker runs\.")
"""What an explanation says of machines, for those who run them."""
_TAKES_BACK = re.compile(r"`[^`]*` takes it back")
_OF_ITS_DATE = ("It is scheduled for", "Faxline holds it until its date", "iFax sends it at")
_FOR_A_SHELL = ("`", "Look it up at iFax")


def is_dated(job: Job) -> bool:
    """Whether a fax still waits for its date, here or at iFax."""
    return not job.state.final and job.send_at is not None and job.send_at > datetime.now(UTC)


def state_of(job: Job) -> tuple[str, str]:
    """The icon and the word of a job's state."""
    if job.state is JobState.SUBMITTED and is_dated(job):
        return "queued", "Scheduled"
    if job.delivered_after_end:
        icon, word = STATES[str(job.state)]
        return icon, f"{word}, but delivered"
    return STATES.get("partial" if job.partial else str(job.state), ("queued", str(job.state)))


def word_of_state(state: str) -> str:
    """The word within a sentence for a state of the search line."""
    return STATES["submitted" if state == "sending" else state][1].lower()


def reason_words(reason: str | None, code: int | None = None) -> str:
    """A reason for people, such as `busy (code 17)`; empty if there is none."""
    if not reason:
        return ""
    return reason.replace("_", " ") + (f" (code {code})" if code is not None else "")


def ended_by(reason: str | None, code: int | None = None) -> str:
    """Why a fax failed; as `reason_words`, but of one that a person gave up it says that."""
    return GIVEN_UP if reason == OPERATOR else reason_words(reason, code)


def paused_for(state: AccountState) -> str:
    """Why an account is paused, as it follows "is paused": ` by ada`, or `: insufficient balance`."""
    if state.paused != OPERATOR:
        return f": {reason_words(state.paused)}"
    return f" by {state.paused_by.partition(':')[0] or 'a person'}"


def limit_reached(state: AccountState) -> str:
    """Which limit of an account is used up: window, calls at once or burst; empty if none is."""
    limits = {"window": state.window, "calls at once": state.concurrency, "burst": state.burst}
    return next(
        (name for name, limit in limits.items() if limit.effective and limit.used >= limit.effective), ""
    )


def held_by(job: Job, state: AccountState | None) -> str:
    """What of its account holds a queued fax, for a list; empty if nothing of it does.

    Example:
        >>> held_by(job, state)
        'The account is paused: insufficient balance'
    """
    if job.state is not JobState.QUEUED or is_dated(job) or state is None:
        return ""
    if state.paused:
        return f"The account is paused{paused_for(state)}"
    return WAITS.get(limit_reached(state), "")


def line_below(job: Job) -> str:
    """What stands below the state in a list."""
    match job.state:
        case JobState.SUBMITTING:
            return "Being submitted"
        case JobState.SUBMITTED:
            return "iFax keeps it until its date" if is_dated(job) else "Taken by iFax; waits for the receipt"
        case JobState.DELIVERED:
            return pages_of(job) if job.partial else ""
        case JobState.UNCONFIRMED:
            return "No receipt in time"
        case JobState.CANCELED:
            return ""
        case _:
            return ended_by(job.reason, job.code).capitalize()


def explain(
    job: Job, state: AccountState, zone: tzinfo, *, alone: bool = False, plain: bool = False
) -> list[str]:
    """What `faxline explain` says, in the viewer's zone. The page has buttons instead of the commands.

    With `alone` it says nothing of other faxes, neither which nor how many there are; with `plain` nothing of
    processes.

    Example:
        >>> explain(job, state, ZoneInfo("America/New_York"))[1]
        'Waiting for the hourly limit (1000 of 1000 used). The next slot opens at 14:03:12 EST (in 12 s).'
    """
    said = explanation(job, state, zone)
    if job.forecast is not None:
        said = [*said[1:], said[0]]  # why and when first, then how many are before it
    if is_dated(job):
        said = [_TAKES_BACK.sub("it can be canceled", text) for text in said]
        said.sort(key=lambda text: not text.startswith(_OF_ITS_DATE))
    here = datetime.now(zone)
    said = [_MOMENT.sub(lambda found: f"{found[1]} {_zone_at(found[1], here)}", text) for text in said]
    kept = [_COMMAND.sub("", text) for text in said if not text.startswith(_FOR_A_SHELL)]
    kept = [_OF_PROCESSES.sub("", text) for text in kept] if plain else kept
    kept = [text.replace("has ended: failed: operator", f"has ended: failed: {GIVEN_UP}") for text in kept]
    return [text for text in (_OF_OTHERS.sub("", text) if alone else text for text in kept) if text]


def _zone_at(clock: str, here: datetime) -> str:
    """The short name of the zone at a time of an explanation, which has its day unless that is today."""
    day, _, time = clock.rpartition(" ")
    at = datetime.fromisoformat(f"{day or here.date()} {time}").replace(tzinfo=here.tzinfo)
    return at.tzname() or ""
