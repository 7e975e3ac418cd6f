"""Scripted faults: what goes wrong with an answer or a webhook, and when."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Generic, Literal, Self, TypeVar, get_args

Endpoint = Literal[
    "fax-send",
    "fax-cancel",
    "fax-resend",
    "fax-status",
    "fax-lists",
    "inbound/number-list",
    "fax-list-all",
    "fax-download",
]
ENDPOINTS: tuple[Endpoint, ...] = get_args(Endpoint)

Action = Literal[
    "reset_before",
    "reset_after",
    "hang_before",
    "hang_after",
    "status",
    "garbage",
    "no_job_id",
    "slow",
    "status_zero",
]
WebhookAction = Literal["lose", "double", "late", "delay", "early", "shuffle"]

MARKS = ("subject", "toNumber", "jobId", "account")
"""The members by which a fault can be matched with a request."""

BODILESS = {204, 304}
"""HTTP statuses of answers without a body."""

Marks = Mapping[str, Any]


class FaultError(ValueError):
    """A fault is not valid. The message names the member and what it must be."""


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong with a request's answer.

    Args:
        action: `reset_before`, `reset_after`: the connection is cut; `hang_before`, `hang_after`: no answer
            until the client goes or `seconds` are over, then the connection is cut; `status`: an answer with
            `status`, `body` and `retry_after`; `garbage`: an answer that is not JSON; `no_job_id`: a success
            without its data; `slow`: the right answer, `seconds` later; `status_zero`: response code 0
            instead of 1. After `…_before` nothing has been done; after the others (`status`: if
            `accepted`) the request has been carried out.
        endpoint: the endpoint; None means any.
        match: members of `MARKS` that must be equal; None means any request.
        times: how often; None means always.
        status: the HTTP status of `status` (500) and `garbage` (200).
        body: of `status`: a JSON value, or "" for none at all; of `garbage`: a string; None is a default.
        retry_after: seconds, the header Retry-After of `status`.
        accepted: of `status`: whether the request was carried out nevertheless.
        seconds: of `slow` (required) and of hanging (None: as long as the client stays connected).

    Raises:
        FaultError: a member is wrong.
    """

    action: Action
    endpoint: Endpoint | None = None
    match: Marks | None = None
    times: int | None = 1
    status: int | None = None
    body: Any = None
    retry_after: int | None = None
    accepted: bool = False
    seconds: float | None = None

    def __post_init__(self) -> None:
        _check(self, get_args(Action))
        if self.endpoint not in (None, *ENDPOINTS):
            raise FaultError(f"endpoint: must be one of {', '.join(ENDPOINTS)}, or null")
        if self.status is not None and not _is_status(self.status):
            raise FaultError("status: must be an HTTP status with a body, 200 to 599")
        if self.retry_after is not None and not (isinstance(self.retry_after, int) and self.retry_after >= 0):
            raise FaultError("retry_after: must be whole seconds")
        if not isinstance(self.accepted, bool):
            raise FaultError("accepted: must be true or false")
        if self.action == "slow" and self.seconds is None:
            raise FaultError("seconds: slow needs them")
        if self.action == "garbage" and not isinstance(self.body, str | None):
            raise FaultError("body: of garbage must be a string")

    @property
    def before(self) -> bool:
        """Whether it happens before the request is carried out."""
        return self.action in {"reset_before", "hang_before"} or (
            self.action == "status" and not self.accepted
        )

    @classmethod
    def read(cls, value: Any) -> Self:
        """The fault of a JSON object.

        Raises:
            FaultError: a member is wrong or unknown.
        """
        return cls(**_members(value, cls))


@dataclass(frozen=True)
class WebhookFault:
    """Something that goes wrong with the webhook of a fax.

    Args:
        action: `lose`: it is never sent, and not tried again; `double`: it is sent twice; `late`: the first
            try is lost on its way, and a retry brings it; `delay`: it is sent `seconds` later; `early`: the
            fax ends at once, and its webhook is sent before the answer to the request; `shuffle`: it waits
            for another webhook of the account to overtake it, at most `seconds`.
        match: as in `Fault`.
        times: how often; None means always.
        seconds: of `delay` (required) and `shuffle` (10).

    Raises:
        FaultError: a member is wrong.
    """

    action: WebhookAction
    match: Marks | None = None
    times: int | None = 1
    seconds: float | None = None

    def __post_init__(self) -> None:
        _check(self, get_args(WebhookAction))
        if self.action == "delay" and self.seconds is None:
            raise FaultError("seconds: delay needs them")

    @classmethod
    def read(cls, value: Any) -> Self:
        """The fault of a JSON object.

        Raises:
            FaultError: a member is wrong or unknown.
        """
        return cls(**_members(value, cls))


F = TypeVar("F", Fault, WebhookFault)


class FaultPlan(Generic[F]):
    """The faults of one kind that are still to come, the oldest first."""

    def __init__(self) -> None:
        self._faults: list[tuple[F, int | None]] = []  # with the times left, None for always

    def add(self, fault: F) -> None:
        """Add a fault after the existing ones."""
        self._faults.append((fault, fault.times))

    def clear(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def take(self, marks: Marks, fits: Callable[[F], bool]) -> F | None:
        """Take the first fault that matches the marks and `fits`, once; None if there is none."""
        for place, (fault, left) in enumerate(self._faults):
            if fits(fault) and all(marks.get(name) == value for name, value in (fault.match or {}).items()):
                if left == 1:
                    del self._faults[place]
                elif left is not None:
                    self._faults[place] = (fault, left - 1)
                return fault
        return None

    def as_json(self) -> list[dict[str, Any]]:
        """The faults. `times` is what is left of each."""
        return [
            {member.name: getattr(fault, member.name) for member in fields(fault)} | {"times": left}
            for fault, left in self._faults
        ]


def _members(value: Any, kind: type[Any]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FaultError("a fault must be a JSON object")
    known = {member.name for member in fields(kind)}
    for name in value:
        if name not in known:
            raise FaultError(f"{name}: is unknown; a fault has {', '.join(sorted(known))}")
    if "action" not in value:
        raise FaultError("action: is required")
    return value


def _check(fault: Fault | WebhookFault, actions: tuple[str, ...]) -> None:
    if fault.action not in actions:
        raise FaultError(f"action: must be one of {', '.join(actions)}")
    if fault.times is not None and not (isinstance(fault.times, int) and fault.times >= 1):
        raise FaultError("times: must be 1 or more, or null for always")
    if fault.seconds is not None and not (_is_number(fault.seconds) and fault.seconds >= 0):
        raise FaultError("seconds: must be 0 or more")
    if fault.match is not None and not (isinstance(fault.match, Mapping) and set(fault.match) <= set(MARKS)):
        raise FaultError(f"match: must be an object with some of {', '.join(MARKS)}, or null")


def _is_status(value: Any) -> bool:
    return isinstance(value, int) and value in range(200, 600) and value not in BODILESS


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
