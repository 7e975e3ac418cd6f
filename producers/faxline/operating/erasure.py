"""Erase a job or a number, and count or rotate what is sealed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from faxline.contract.errors import (
    JobNotFound,
    NoKeys,
    NotForgotten,
)
from faxline.contract.orders import Order
from faxline.contract.phone_numbers import E164, is_possible, normalize_number
from faxline.contract.states import JobState
from faxline.operating.orders import issue_order
from faxline.steps.commands import Command, Context, RunInThread, Steps


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was erased.

    Attributes:
        jobs: how many jobs were erased.
        open: how many jobs to the number stay, because they have not ended. Cancel them and order it again.
        events: how many events were erased.
        set_aside: how many entries that were set aside were erased.
        unsent: how many faxes to the number stay, because they were set aside and never sent. `drop` or
            `redrive` them (`dead`) and order it again.
        archive: whether Redis has no such job, and an archive was told to erase what it has of it.
    """

    jobs: int
    open: int = 0
    events: int = 0
    set_aside: int = 0
    archive: bool = False
    unsent: int = 0

    def to_dict(self) -> dict[str, int]:
        """The JSON of `faxline forget --json`."""
        told = {"forgotten": self.jobs, "open": self.open, "events": self.events, "set_aside": self.set_aside}
        unsent = {"unsent": self.unsent} if self.unsent else {}
        return told | unsent | ({"archive": True} if self.archive else {})


@dataclass(frozen=True, slots=True)
class SealedValues:
    """How many values each key seals.

    Attributes:
        by_kind: for each kind, the number of values by the id of their key; unsealed ones under "". The
            kinds: documents, uploads (documents whose entries are not read yet), requests, entries (of
            intake) and set_aside.
        resealed: how many values of each kind were just sealed again; `failed` counts those that could not
            be opened.
    """

    by_kind: Mapping[str, Mapping[str, int]]
    resealed: Mapping[str, int] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `faxline keys --json`."""
        sealed = {kind: dict(count) for kind, count in self.by_kind.items()}
        return {"sealed": sealed, "resealed": dict(self.resealed)}


def forget(context: Context, job: str, by: str, timeout: float) -> Steps[Forgotten]:
    """Erase a job."""
    reply = yield from issue_order(context, Order.FORGET, by, timeout, job=job)
    data = json.loads(reply["told"])
    if reply["result"] == "refused" and not data["state"]:
        if (yield Command(lambda client: client.hget(context.keys.account_state, "archive"))) is not None:
            return Forgotten(0, archive=True)
        raise JobNotFound(f"no job {job!r} on account {context.account!r}")
    if reply["result"] == "refused":
        state = data["state"]
        why = "cancel it first" if state == JobState.QUEUED else "wait for its end"
        raise NotForgotten(f"job {job!r} is {state}, and only one at its end is forgotten: {why}", state)
    return _read_forgotten(data)


def forget_number(context: Context, number: str, by: str, timeout: float) -> Steps[Forgotten]:
    """Erase all jobs to a number that have ended."""
    named = yield RunInThread(partial(stored_number, number, context.region))
    reply = yield from issue_order(context, Order.FORGET, by, timeout, number=named)
    return _read_forgotten(json.loads(reply["told"]))


def stored_number(number: str, region: str | None) -> str:
    """The number as jobs have it. Older jobs may have one that intake now rejects, such as +44 0…."""
    as_it_is = isinstance(number, str) and E164.fullmatch(number) and is_possible(number)
    return number if as_it_is else normalize_number(number, region, "number")


def _read_forgotten(data: Mapping[str, Any]) -> Forgotten:
    return Forgotten(
        data.get("forgotten", 0),
        data.get("open", 0),
        data.get("events", 0),
        data.get("set_aside", 0),
        unsent=data.get("unsent", 0),
    )


def count_sealed_values(context: Context, order: Order, by: str, timeout: float) -> Steps[SealedValues]:
    """Count what each key seals, with `Order.ROTATE` after everything is sealed with the current key."""
    reply = yield from issue_order(context, order, by, timeout)
    data = json.loads(reply["told"])
    if reply["result"] == "refused":
        raise NoKeys(f"{data['why']}: set them there, and order it again")
    return SealedValues(data["sealed"], data.get("resealed", {}))
