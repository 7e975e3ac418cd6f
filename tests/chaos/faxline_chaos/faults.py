"""The faxes of a run and what goes wrong with each, drawn from the seed alone."""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Policy = Literal["hold", "resend", "fail"]

BEYOND = 4.0
"""Seconds after which the client has given up (the run's HTTP timeout is below it)."""

ANSWERS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "cut before acceptance": (4, {"action": "reset_before"}),
    "cut after acceptance": (5, {"action": "reset_after"}),
    "hang before acceptance": (1, {"action": "hang_before", "seconds": BEYOND}),
    "hang after acceptance": (1, {"action": "hang_after", "seconds": BEYOND}),
    "500, not accepted": (3, {"action": "status", "status": 500}),
    "500, accepted": (3, {"action": "status", "status": 500, "accepted": True}),
    "502 as HTML, accepted": (2, {"action": "garbage", "status": 502}),
    "503": (5, {"action": "status", "status": 503, "retry_after": 1}),
    "429": (1, {"action": "status", "status": 429, "retry_after": 1}),
    "bad JSON": (3, {"action": "garbage", "body": '{"status": 1, "data": {"jobId":'}),
    "no jobId": (3, {"action": "no_job_id"}),
    "started, not queued": (1, {"action": "status_zero"}),
    "slow answer": (4, {"action": "slow", "seconds": 0.8}),
    "answer after the timeout": (2, {"action": "slow", "seconds": BEYOND}),
}
"""Faults of the answer to fax-send: how often in proportion, and the sandbox's words for it."""

WEBHOOKS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "webhook lost": (2, {"action": "lose"}),
    "webhook doubled": (4, {"action": "double"}),
    "webhook delayed": (4, {"action": "delay", "seconds": 2.0}),
    "webhook late": (3, {"action": "late"}),
    "webhook early": (5, {"action": "early"}),
    "webhooks shuffled": (5, {"action": "shuffle", "seconds": 2.0}),
}
"""Faults of the webhook, likewise."""

DELIVERED = "delivered"
ENDS: Mapping[str, tuple[int, str | None]] = {
    DELIVERED: (92, None),
    "busy": (3, "0017"),
    "no answer": (3, "0019"),
    "half of the pages": (2, "0041"),
}
"""What becomes of the call, with the magic number's digits for it."""

POLICIES: tuple[Policy, ...] = ("hold", "resend", "fail")
PRIORITIES = ("urgent", "normal", "bulk")


@dataclass(frozen=True)
class Fax:
    """One fax to push, with all that will go wrong with it.

    Attributes:
        id: also its subject, by which the sandbox's ledger knows it.
        number: its own, so that a receipt fits one doubt only.
        policy: of a doubt.
        end: what becomes of the call; a key of `ENDS`.
        answers: faults of its submissions, one each, in this order; keys of `ANSWERS`.
        webhook: the fault of its first webhook; a key of `WEBHOOKS`, or None.
        document: whether it carries a document instead of a URL.
    """

    id: str
    number: str
    priority: str
    policy: Policy
    end: str
    answers: tuple[str, ...]
    webhook: str | None
    document: bool


def draw_faxes(seed: int, count: int, most: int = 3) -> list[Fax]:
    """The faxes of a run. Fax number i is the same whatever the count.

    Args:
        seed: of everything random.
        count: how many.
        most: faults of answers that one fax has at most; up to 3.
    """
    return [_fax(random.Random(f"fax:{seed}:{i}"), i, most) for i in range(count)]  # noqa: S311 - no secret


def answer_faults(fax: Fax) -> list[dict[str, Any]]:
    """The fax's faults of answers, as the sandbox's control page takes them."""
    return [{**ANSWERS[name][1], "match": {"subject": fax.id}} for name in fax.answers]


def webhook_faults(fax: Fax) -> list[dict[str, Any]]:
    """The fax's fault of its webhook, likewise."""
    return [{**WEBHOOKS[fax.webhook][1], "match": {"subject": fax.id}}] if fax.webhook else []


def _fax(chance: random.Random, i: int, most: int) -> Fax:
    troubles = min(most, chance.choices((0, 1, 2, 3), (50, 35, 10, 5))[0])
    return Fax(
        id=f"chaos-{i}",
        number=f"+1202{6_000_000 + i}",
        priority=chance.choice(PRIORITIES),
        policy=chance.choice(POLICIES),
        end=_weighted(chance, ENDS),
        answers=tuple(_weighted(chance, ANSWERS) for _ in range(troubles)),
        webhook=_weighted(chance, WEBHOOKS) if chance.random() < 0.3 else None,
        document=chance.random() < 0.2,
    )


def _weighted(chance: random.Random, table: Mapping[str, tuple[int, Any]]) -> str:
    return chance.choices(list(table), [weight for weight, _ in table.values()])[0]
