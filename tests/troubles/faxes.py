"""The faxes of the troubles: what each is sent with, and how it ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

URL = "https://example.com/a.pdf"


@dataclass(frozen=True, slots=True)
class Trouble:
    """One fax: its number (the sandbox's magic), how it is pushed, what is done to its answer or webhook.

    Attributes:
        digits: the last four of the number behind 555.
        end: the state in which it comes to rest.
        more: further members of the entry.
        fax: further members of its request.
        fault: of its first answer, as docs/sandbox.md has it.
        webhook: the same of its webhook.
        outcome: of its number, where the digits do not say it.
        lost: whether the sandbox took it and our call did not learn so.
    """

    digits: str
    end: str
    more: Mapping[str, Any] = field(default_factory=dict)
    fax: Mapping[str, Any] = field(default_factory=dict)
    fault: Mapping[str, Any] | None = None
    webhook: Mapping[str, Any] | None = None
    outcome: Any = None
    lost: int = 0


def _pages(count: int) -> dict[str, Any]:
    return {"faxData": [{"fileName": "a.pdf", "fileUrl": URL, "pages": [f"1-{count}"]}]}


SCRIPTED_429 = {"action": "status", "status": 429, "retry_after": 1}

TROUBLES: Mapping[str, Trouble] = {
    # No trouble at all.
    "urgent": Trouble("0101", "delivered", {"priority": "urgent"}, _pages(2)),
    "normal": Trouble("0102", "delivered", {}, _pages(5)),
    "bulk": Trouble("0103", "delivered", {"priority": "bulk"}, _pages(1)),
    # The callee's end of the line.
    "busy": Trouble("0017", "failed"),
    "busy-once": Trouble("0917", "delivered"),
    "no-answer": Trouble("0019", "failed", {"attempts": 2}),
    "turned-down": Trouble("0021", "failed"),
    "no-such-number": Trouble("0001", "failed"),
    # The way there.
    "line-trouble": Trouble("0041", "failed", fax=_pages(4)),
    "congestion": Trouble("0042", "failed", {"attempts": 1}),
    "bad-file": Trouble("4006", "failed"),
    "partial": Trouble("0206", "delivered", fax=_pages(6)),
    # Refused by iFax.
    "refused-number": Trouble("3001", "failed"),
    "refused-empty": Trouble("3004", "failed"),
    "refused-size": Trouble("3005", "failed"),
    # Tried again at once.
    "limited": Trouble("0104", "delivered", fault=SCRIPTED_429),
    "overloaded": Trouble("0105", "delivered", fault={"action": "status", "status": 503, "retry_after": 1}),
    # In doubt.
    "server-error-taken": Trouble("0501", "delivered", lost=1),
    "reset-taken": Trouble("0445", "delivered", lost=1),
    "no-job-id": Trouble("0204", "delivered", lost=1),
    "html": Trouble("0106", "delivered", fault={"action": "garbage"}, lost=1),
    "hangs-not-taken": Trouble("0408", "failed", {"in_doubt": "fail"}),
    "held": Trouble("0500", "in_doubt"),
    "given-up": Trouble("0500", "failed"),  # by an operator
    "sent-twice": Trouble(
        "0107",
        "delivered",
        {"in_doubt": "resend"},
        fault={"action": "reset_after"},
        webhook={"action": "delay", "seconds": 4},
        lost=1,
    ),
    # Webhooks that come early, twice, late, never.
    "early": Trouble("0604", "delivered"),
    "early-failure": Trouble(
        "0108", "failed", outcome={"status": "failed", "code": 21, "webhook": {"action": "early"}}
    ),
    "told-twice": Trouble("0602", "delivered"),
    "told-late": Trouble("0603", "delivered"),
    "never-told": Trouble("0601", "unconfirmed"),
    "told-after-the-deadline": Trouble("0109", "delivered", webhook={"action": "delay", "seconds": 9}),
}
"""By the job's id, which is its subject too."""

REJECTED = {
    "not_json": "{",
    "missing_member": '{"id":"none"}',
    "bad_number": {"id": "rejected-number", "fax": {"faxNumber": "12345"} | _pages(1)},
    "unknown_member": {
        "id": "rejected-member",
        "fax": {"faxNumber": "+12025550110", "colour": 1} | _pages(1),
    },
    "id_reused": {"id": "normal", "fax": {"faxNumber": "+12025550110"} | _pages(1)},
}
"""Entries of intake by the reason for which they are rejected."""


def number_of(place: int, trouble: Trouble) -> str:
    """A number of its own for each, for a number takes one fax at a time."""
    return f"+1{201 + place}555{trouble.digits}"
