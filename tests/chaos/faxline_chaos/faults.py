"""The faxes of a run and what goes wrong with each, drawn from the seed alone."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from typing import Any, Literal

Policy = Literal["hold", "resend", "fail"]

BEYOND = 4.0
"""Seconds after which the client has given up (the run's HTTP timeout is below it)."""

UNKNOWN_REFUSAL = "refused, a code that nobody knows"


def refused(code: int, message: str) -> Mapping[str, Any]:
    """A refusal by HTTP 200."""
    body = {"status": 0, "code": code, "message": message}
    return {"action": "status", "status": 200, "body": body}


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

LOST = "webhook lost"
"""What was said before it would then be iFax's last word, so it meets no redials."""

WEBHOOKS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    LOST: (2, {"action": "lose"}),
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

MAGIC: Mapping[str | None, Mapping[str, Any]] = {
    None: {},
    "0017": {"status": "failed", "code": 17},
    "0019": {"status": "failed", "code": 19},
    "0041": {"status": "failed", "code": 41, "transferred": 0.5},
}
"""What the digits stand for, to be told with more."""

Profile = Literal["documented", "field"]
"""How the sandbox behaves; `field` adds the tables below to those above."""

FIELD_ANSWERS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "refused, bad key": (1, refused(12001, "accessToken invalid")),
    "refused, plan inactive": (1, refused(12004, "Professional plan isn't activated")),
    "refused, named in the text": (2, refused(40009, "Rate limit exceeded")),
    UNKNOWN_REFUSAL: (4, refused(12099, "Destination not served")),
    "status 0 alone": (2, {"action": "status", "status": 200, "body": {"status": 0, "message": "started"}}),
    "429 without a body": (1, {"action": "status", "status": 429, "body": ""}),
}
"""What iFax answers beyond its documentation."""

UNKNOWN_WORD = "a word that nobody knows"

FIELD_ENDS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "charged": (2, {"status": "failed", "code": 31, "word": "failed_chargeable"}),
    "blocked": (2, {"status": "failed", "code": 31, "word": " Blocked "}),
    "rejected": (1, {"status": "failed", "code": 31, "word": "rejected_by_carrier"}),
    "cancelled": (2, {"status": "failed", "code": 31, "word": "cancelled"}),
    "partially cancelled": (1, {"status": "failed", "code": 31, "word": "partially_cancelled"}),
    UNKNOWN_WORD: (1, {"word": "on_hold"}),
    "delivered, in odd letters": (4, {"word": " DELIVERED "}),
    "failed with a code of calls": (2, {"status": "failed", "code": -3009}),
    "a resolution that is too fine": (
        3,
        {
            "status": "failed",
            "code": 11,
            "message": "Far end cannot receive at the resolution of the image",
            "receives": "Low",
        },
    ),
    "no paper at first": (
        2,
        {"status": "failed", "code": 9, "message": "Far end is not able to receive", "times": 1},
    ),
    "failed with an odd number": (2, {"status": "failed", "code": 21, "message": "something new"}),
}
"""How a call ends beyond the documentation, as the control page takes it."""

FORMS: Mapping[tuple[str, ...], int] = {
    (): 6,
    ("text_job_id",): 1,
    ("no_country",): 1,
    ("multipart",): 1,
    ("text_job_id", "no_country", "multipart"): 1,
}
"""How a webhook is written, and how often in proportion. All of them are flat."""

REDIALS: Mapping[int, int] = {0: 8, 1: 1, 2: 1}
"""Calls of iFax's own that fail before the last one, likewise."""

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
        forms: how its webhooks are written; one of `FORMS`.
        redials: calls of iFax's own that fail before the last one.
        account: whose it is.
    """

    id: str
    number: str
    priority: str
    policy: Policy
    end: str
    answers: tuple[str, ...]
    webhook: str | None
    document: bool
    forms: tuple[str, ...] = ()
    redials: int = 0
    account: str = "default"


def draw_faxes(
    seed: int,
    count: int,
    most: int = 3,
    profile: Profile = "documented",
    accounts: Sequence[str] = ("default",),
) -> list[Fax]:
    """The faxes of a run. Fax number i is the same whatever the count.

    Args:
        seed: of everything random.
        count: how many.
        most: faults of answers that one fax has at most; up to 3.
        profile: what may go wrong.
        accounts: whose they are, in turn.
    """
    faxes = [
        replace(_fax(random.Random(f"fax:{seed}:{i}"), i, most), account=account)
        for i, account in zip(range(count), cycle(accounts), strict=False)
    ]
    if profile == "documented":
        return faxes
    return [_in_field(random.Random(f"field:{seed}:{fax.id}"), fax) for fax in faxes]


def answer_faults(fax: Fax) -> list[dict[str, Any]]:
    """The fax's faults of answers, as the sandbox's control page takes them."""
    answers = {**ANSWERS, **FIELD_ANSWERS}
    return [{**answers[name][1], "match": {"subject": fax.id}} for name in fax.answers]


def webhook_faults(fax: Fax) -> list[dict[str, Any]]:
    """The fax's fault of its webhook, likewise."""
    return [{**WEBHOOKS[fax.webhook][1], "match": {"subject": fax.id}}] if fax.webhook else []


def outcome(fax: Fax) -> dict[str, Any] | str | None:
    """What becomes of calls to its number, likewise; None: what becomes of any."""
    if fax.end in ENDS and not fax.forms and not fax.redials:
        return ENDS[fax.end][1]
    end = FIELD_ENDS[fax.end][1] if fax.end in FIELD_ENDS else MAGIC[ENDS[fax.end][1]]
    return {**end, "forms": list(fax.forms), "redials": fax.redials}


def _in_field(chance: random.Random, fax: Fax) -> Fax:
    """The same fax with what the field adds: to two faults in five, one end in six, and its webhooks."""
    end = _weighted(chance, FIELD_ENDS) if chance.random() < 0.17 else fax.end
    redials = chance.choices(list(REDIALS), list(REDIALS.values()))[0]
    answers = tuple(_weighted(chance, FIELD_ANSWERS) if chance.random() < 0.4 else a for a in fax.answers)
    return replace(
        fax,
        answers=answers,
        end=end,
        forms=chance.choices(list(FORMS), list(FORMS.values()))[0],
        redials=0 if fax.webhook == LOST or end == UNKNOWN_WORD else redials,
    )


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
