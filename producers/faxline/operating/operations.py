"""Operators' words: about an account, a doubt, an entry that was set aside."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from faxline.contract.check import Check
from faxline.contract.errors import (
    ContentLost,
    EntryNotFound,
    JobIdTaken,
    JobNotFound,
    NoKeys,
    NotForgotten,
    NotInDoubt,
    StateRolledBack,
)
from faxline.contract.orders import MOST_DIGITS, Order
from faxline.contract.phone_numbers import E164, is_possible, normalize_number
from faxline.contract.redis_keys import ACCOUNTS, AccountKeys
from faxline.operating.orders import given
from faxline.reading.account_state import AccountState, account_state
from faxline.reading.job import Job, JobState
from faxline.reading.lookup import job_of
from faxline.reading.open_jobs import OPEN
from faxline.steps.commands import Ask, Batch, Steps, Terms, Work
from faxline.steps.redis_errors import is_refusal

_PAGE = 10
"""Entries in one read: their content comes along, and one may have megabytes."""
_ABOUT = 3
"""Fields that tell about the entry (stream, entry, why); its own follow."""


_KINDS = frozenset({b"send", b"cancel", b"resend"})
_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_WORD = re.compile(r"[A-Za-z][A-Za-z _-]{0,31}")
"""What a faxStatus may be to be shown: no number, nothing that commands a terminal."""
_REVEALED = 500
"""Jobs that one order reveals."""
GIVE_ORDERS = "give orders"
READ_QUEUE = "read the queue, its limits and what waits in it"
READ_ACCOUNTS = "read the names of the accounts"
READ_AUDIT = "read the audit"
READ_DEAD = "read what was set aside"
READ_PROCESSES = "read the heartbeats of the daemon's processes"
"""The rights that an operator's Redis user has and a producer's has not, as an error names them."""


@dataclass(frozen=True, slots=True)
class DeadEntry:
    """An entry that was set aside: what is known about it, never what it says.

    Attributes:
        id: its id among those set aside; `redrive` takes it.
        stream: where it came from, intake or status (a receipt).
        entry: its id there.
        why: malformed, unknown_status, or the name of what our code raised.
        at: when it was set aside.
        size: bytes of its content.
        kind: send, cancel or resend; of status receipt or malformed; other, where it is none of these.
        job: the job's id that an entry of intake names.
        job_id: iFax's jobId that a receipt names.
        word: the faxStatus of a receipt, where it is a word.
    """

    id: str
    stream: str
    entry: str
    why: str
    at: datetime
    size: int
    kind: str = "other"
    job: str | None = None
    job_id: int | None = None
    word: str | None = None

    @classmethod
    def from_entry(cls, entry: bytes, fields: dict[bytes, bytes]) -> "DeadEntry":
        """Read what the daemon keeps."""
        stream, origin, why = (value.decode("utf-8", "replace") for value in list(fields.values())[:_ABOUT])
        own = dict(list(fields.items())[_ABOUT:])
        return cls(
            id=entry.decode(),
            stream=stream,
            entry=origin,
            why=why,
            at=datetime.fromtimestamp(int(entry.partition(b"-")[0]) / 1000, tz=UTC),
            size=sum(len(name) + len(value) for name, value in own.items()),
            **(_receipt_told(own) if stream == "status" else _entry_told(own)),
        )

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline dead --json`."""
        return {
            "id": self.id,
            "stream": self.stream,
            "entry": self.entry,
            "why": self.why,
            "at": self.at.isoformat(),
            "size": self.size,
            "kind": self.kind,
            "job": self.job,
            "jobId": self.job_id,
            "word": self.word,
        }


def _entry_told(own: Mapping[bytes, bytes]) -> dict[str, Any]:
    """What an entry of intake may be known by."""
    kind, raw = next(iter(own.items()), (b"", b""))
    job = _json(raw).get("id")
    return {
        "kind": kind.decode() if kind in _KINDS else "other",
        "job": job if isinstance(job, str) and _ID.fullmatch(job) else None,
    }


def _receipt_told(own: Mapping[bytes, bytes]) -> dict[str, Any]:
    """The same of a webhook."""
    body = _json(own.get(b"body", b""))
    fax = body["data"] if isinstance(body.get("data"), dict) else body
    job_id, word = str(fax.get("jobId")), fax.get("faxStatus")
    is_one = job_id.isascii() and job_id.isdigit() and len(job_id) <= MOST_DIGITS
    kind = own.get(b"kind", b"")
    return {
        "kind": kind.decode() if kind in {b"receipt", b"malformed"} else "other",
        "job_id": int(job_id) if is_one else None,
        "word": word if isinstance(word, str) and _WORD.fullmatch(word) else None,
    }


def _json(raw: bytes) -> dict[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def ordered(terms: Terms, order: Order, by: str, timeout: float) -> Steps[AccountState]:
    """Pause or resume the account; its state after that."""
    reply = yield from given(terms, order, by, timeout)
    if reply["result"] == "rolled_back":
        raise StateRolledBack(
            f"Redis went back, and does not know what was sent: look with `faxline accounts rollback "
            f"{terms.account}`, then resume with its --resume"
        )
    return (yield from account_state(terms.keys))


def resolved(  # noqa: PLR0917 - the line's own, and what its method is given
    terms: Terms, job: str, accepted: int | None, how: str, by: str, timeout: float
) -> Steps[Job]:
    """Settle a doubt; the job after that."""
    more = {"job": job, "how": how} | ({"jobId": str(accepted)} if accepted is not None else {})
    reply = yield from given(terms, Order.RESOLVE, by, timeout, **more)
    match reply["result"]:
        case "taken":
            raise JobIdTaken(f"jobId {accepted} belongs to job {reply['job']!r}", reply["job"])
        case "lost":
            raise ContentLost(
                f"Redis lost the content of job {job!r}, so it cannot be sent again: push it under another id"
            )
        case "refused" if not reply["state"]:
            raise JobNotFound(f"no job {job!r} on account {terms.account!r}")
        case "refused":
            raise NotInDoubt(f"job {job!r} is not in doubt: it is {reply['state']}", reply["state"])
    return (yield from job_of(terms, job))


def settling(accepted: int | None, *, resend: bool, fail: bool) -> str:
    """Which of the three settles a doubt.

    Raises:
        ValueError: none or several of them, or the jobId is none.
    """
    if (accepted is not None) + resend + fail != 1:
        raise ValueError("one of accepted, resend and fail settles a doubt")
    if accepted is not None:
        if not 0 <= accepted < 10**MOST_DIGITS:
            raise ValueError("a jobId is a whole number that is not negative")
        return "accepted"
    return "resend" if resend else "fail"


def set_aside(terms: Terms, limit: int) -> Steps[list[DeadEntry]]:
    """The entries that were set aside, the newest first."""
    if limit < 1:
        raise ValueError("the limit is 1 or more")
    found: list[DeadEntry] = []
    before = "+"
    while len(found) < limit:
        count = min(_PAGE, limit - len(found))
        entries = yield Ask(partial(_dead_page, key=terms.keys.dead, before=before, count=count))
        if not entries:
            break
        found += [DeadEntry.from_entry(entry, fields) for entry, fields in entries]
        before = "(" + found[-1].id
    return found


def _dead_page(client: Any, *, key: str, before: str, count: int) -> Any:
    return client.xrevrange(key, before, "-", count=count)


def dropped(terms: Terms, entry: str, by: str, timeout: float) -> Steps[None]:
    """Throw an entry away."""
    if (yield from given(terms, Order.DROP, by, timeout, entry=entry))["result"] == "refused":
        raise EntryNotFound(f"no entry {entry!r} is set aside on account {terms.account!r}")


def revealed(terms: Terms, jobs: Iterable[str], by: str, timeout: float) -> Steps[dict[str, str]]:
    """The numbers of jobs, once the audit has it that they are shown."""
    names, found = list(dict.fromkeys(jobs)), dict[str, str]()
    for start in range(0, len(names), _REVEALED):
        some = names[start : start + _REVEALED]
        numbers: list[bytes | None] = yield Batch(partial(_numbers, terms.keys, some))
        known = {name: number.decode() for name, number in zip(some, numbers, strict=True) if number}
        if known:
            yield from given(terms, Order.REVEAL, by, timeout, jobs=" ".join(known))
        found |= known
    return found


def _numbers(keys: AccountKeys, jobs: Sequence[str], pipe: Any) -> None:
    for job in jobs:
        pipe.hget(keys.job(job), "number")


def redriven(terms: Terms, entry: str, by: str, timeout: float) -> Steps[None]:
    """Put an entry back on its stream."""
    if (yield from given(terms, Order.REDRIVE, by, timeout, entry=entry))["result"] == "refused":
        raise EntryNotFound(f"no entry {entry!r} is set aside on account {terms.account!r}")


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased.

    Attributes:
        jobs: how many jobs.
        open: how many jobs to the number stay, as they have not come to their end: cancel them, and order it
            again.
        events: how many entries of the events stream.
        set_aside: how many entries that were set aside.
    """

    jobs: int
    open: int = 0
    events: int = 0
    set_aside: int = 0

    def to_dict(self) -> dict[str, int]:
        """The JSON of `faxline forget --json`."""
        return {"forgotten": self.jobs, "open": self.open, "events": self.events, "set_aside": self.set_aside}


@dataclass(frozen=True, slots=True)
class SealedValues:
    """What is sealed by which key.

    Attributes:
        by_kind: how many values of each kind each key seals, by its id; those in clear stand under "".
            The kinds: documents, uploads (documents whose entries are not read yet), requests, entries
            (of intake) and set_aside.
        resealed: how many of each kind were just sealed anew; `failed` are those that did not open.
    """

    by_kind: Mapping[str, Mapping[str, int]]
    resealed: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline keys --json`."""
        sealed = {kind: dict(count) for kind, count in self.by_kind.items()}
        return {"sealed": sealed, "resealed": dict(self.resealed)}


def forgotten(terms: Terms, job: str, by: str, timeout: float) -> Steps[Forgotten]:
    """Erase a job."""
    reply = yield from given(terms, Order.FORGET, by, timeout, job=job)
    told = json.loads(reply["told"])
    if reply["result"] == "refused" and not told["state"]:
        raise JobNotFound(f"no job {job!r} on account {terms.account!r}")
    if reply["result"] == "refused":
        state = told["state"]
        why = "cancel it first" if state == JobState.QUEUED else "wait for its end"
        raise NotForgotten(f"job {job!r} is {state}, and only one at its end is forgotten: {why}", state)
    return _forgotten(told)


def number_forgotten(terms: Terms, number: str, by: str, timeout: float) -> Steps[Forgotten]:
    """Erase all jobs to a number that have come to their end."""
    named = yield Work(partial(stored_number, number, terms.region))
    reply = yield from given(terms, Order.FORGET, by, timeout, number=named)
    return _forgotten(json.loads(reply["told"]))


def stored_number(number: str, region: str | None) -> str:
    """The number as jobs have it; one that intake takes no more (+44 0…) may stand in older ones."""
    as_it_is = isinstance(number, str) and E164.fullmatch(number) and is_possible(number)
    return number if as_it_is else normalize_number(number, region, "number")


def _forgotten(told: Mapping[str, Any]) -> Forgotten:
    return Forgotten(
        told.get("forgotten", 0), told.get("open", 0), told.get("events", 0), told.get("set_aside", 0)
    )


def keys_of(terms: Terms, order: Order, by: str, timeout: float) -> Steps[SealedValues]:
    """What is sealed by which key, after all is sealed anew by the current one where that is ordered."""
    reply = yield from given(terms, order, by, timeout)
    told = json.loads(reply["told"])
    if reply["result"] == "refused":
        raise NoKeys(f"{told['why']}: set them there, and order it again")
    return SealedValues(told["sealed"], told.get("resealed", {}))


def known_accounts() -> Steps[list[str]]:
    """The names of all accounts, in order."""
    return sorted(name.decode() for name in (yield Ask(lambda client: client.smembers(ACCOUNTS))))


def checked(terms: Terms) -> Steps[list[Check]]:
    """What may be wrong with the line."""
    from faxline.doctor.examination import examination  # noqa: PLC0415 - `import faxline` is to be quick

    try:
        names = yield from known_accounts()
    except Exception as error:
        if not is_refusal(error):
            raise
        names = []
    accounts = [terms.account, *sorted({*names} - {terms.account})]
    return (yield from examination(terms.seals, accounts, terms.confirmation))


def states_of(state: str | None, limit: int) -> tuple[JobState, ...]:
    """The states that are to be listed.

    Raises:
        ValueError: there is no list of that state, or the limit is below 1.
    """
    if state is not None and state not in OPEN:
        raise ValueError(f"no list of {state!r}; there is one of {', '.join(OPEN)}")
    if limit < 1:
        raise ValueError("the limit is 1 or more")
    return OPEN if state is None else (JobState(state),)
