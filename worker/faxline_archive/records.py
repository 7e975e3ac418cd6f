"""Reads what only a job's record in Redis tells: the numbers, the metadata, the documents, the receipts."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import redis

from faxline.contract.errors import SealBroken
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.seals import Seals

FIELDS = (
    "number",
    "sender",
    "kind",
    "of",
    "group",
    "priority",
    "metadata",
    "documents",
    "created_at",
    "send_at",
    "n",
)
"""The fields of a record that the archive keeps. The request is not among them."""
MOST_RECEIPTS = 100
"""The most receipts of one job that are read."""


@dataclass(frozen=True, slots=True)
class Record:
    """What a job's record tells.

    Attributes:
        to, sender: the numbers in E.164.
        kind: send or resend. of: the job that a resend sends again.
        group, priority: as they were pushed.
        metadata: the producer's own.
        documents: the SHA-256 of each stored document.
        created_at, send_at: milliseconds since 1970.
        receipts: the receipts as they were verified, by their SHA-256.
    """

    to: str | None = None
    sender: str | None = None
    kind: str | None = None
    of: str | None = None
    group: str | None = None
    priority: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    documents: tuple[str, ...] = ()
    created_at: int | None = None
    send_at: int | None = None
    receipts: Mapping[str, str] = field(default_factory=dict)

    def facts(self) -> dict[str, Any]:
        """What the row of the fax has from the record, as the leaf by which the fax begins commits to it."""
        told = {name: getattr(self, name) for name in _FACTS}
        return {name: list(value) if name == "documents" else value for name, value in told.items() if value}

    @classmethod
    def of_private(cls, private: Mapping[str, Any]) -> "Record":
        """What the private part of such a leaf tells."""
        facts = {name: value for name, value in private["fax"].items() if name in _FACTS}
        metadata = private.get("metadata", {})
        return cls(to=private.get("to"), sender=private.get("from"), metadata=metadata, **facts)


_FACTS = ("kind", "of", "group", "priority", "documents", "created_at", "send_at")


@dataclass(frozen=True, slots=True)
class Account:
    """An account whose records are read: its keys in Redis, and what opens its sealed values."""

    keys: RedisKeys
    seals: Seals


def read_records(
    client: redis.Redis, wanted: Mapping[tuple[Account, str], bool]
) -> dict[tuple[str, str], Record]:
    """Read records, in one or two round trips.

    Args:
        client: of the state's database.
        wanted: the account and the id of each job, and whether its receipts are needed.

    Returns:
        The records by account and job. Those that are gone are missing.

    Raises:
        redis.RedisError: Redis is away or refuses.
        KeyMissing: a receipt is sealed with a key that is not on the keyring.
    """
    asked = list(wanted)
    with client.pipeline(transaction=False) as pipe:
        for account, job in asked:
            pipe.hmget(account.keys.job(job), *FIELDS)
        found = dict(zip(asked, map(_texts, pipe.execute()), strict=True))
    receipts = _receipts(
        client,
        [
            (place, int(found[place]["n"]))
            for place, needed in wanted.items()
            if needed and "n" in found[place]
        ],
    )
    return {
        (place[0].keys.account, place[1]): _record(fields, receipts.get(place, {}))
        for place, fields in found.items()
        if "n" in fields
    }


def load_json(text: str) -> Any:
    """Parse JSON that others wrote. A number beyond what a float holds stays the text that it was.

    Raises:
        ValueError: it is no JSON, or nested too deeply.
    """
    try:
        return _DECODE(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def plain(text: str) -> str:
    """A text that any database takes: without NUL and halves of characters."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _number(text: str) -> float | str:
    value = float(text)
    return value if math.isfinite(value) else text


_DECODE = json.JSONDecoder(
    parse_float=_number, parse_constant=str
).decode  # json.loads would build one a call


def _texts(values: Iterable[bytes | None]) -> dict[str, str]:
    pairs = zip(FIELDS, values, strict=True)
    return {name: value.decode("utf-8", "replace") for name, value in pairs if value}


def _receipts(
    client: redis.Redis, places: list[tuple[tuple[Account, str], int]]
) -> dict[tuple[Account, str], dict[str, str]]:
    if not places:
        return {}
    with client.pipeline(transaction=False) as pipe:
        for (account, job), count in places:
            numbers = range(max(1, count - MOST_RECEIPTS + 1), count + 1)
            pipe.hmget(account.keys.job(job), *(f"{kind}:{number}" for kind in "hr" for number in numbers))
        replies = pipe.execute()
    found: dict[tuple[Account, str], dict[str, str]] = {}
    for (place, _), values in zip(places, replies, strict=True):
        half = len(values) // 2
        both = zip(values[:half], values[half:], strict=True)
        opened = [_opened(place[0].seals, step, kept) for step, kept in both if kept]
        found[place] = {hashlib.sha256(body).hexdigest(): _text(body) for body in opened if body is not None}
    return found


def _opened(seals: Seals, step: bytes | None, kept: bytes) -> bytes | None:
    """Open a receipt. Its jobId, to which it is sealed, is in the step of the history that it caused."""
    try:
        job_id = load_json((step or b"{}").decode("utf-8", "replace")).get("jobId", "")
        return seals.open_receipt(str(job_id), kept.decode("utf-8", "replace"))
    except (SealBroken, ValueError, AttributeError):  # it was moved or changed: there is no receipt to keep
        return None


def _text(body: bytes) -> str:
    """A receipt as text. One that is no UTF-8 is in base64, as the record has it."""
    return Seals(None, "").receipt("", body)


def _record(fields: Mapping[str, str], receipts: Mapping[str, str]) -> Record:
    try:
        metadata = load_json(fields.get("metadata", "{}"))
    except ValueError:
        metadata = {}
    return Record(
        to=fields.get("number"),
        sender=fields.get("sender"),
        kind=fields.get("kind"),
        of=fields.get("of"),
        group=fields.get("group"),
        priority=fields.get("priority"),
        metadata=metadata if isinstance(metadata, dict) else {},
        documents=tuple(fields["documents"].split(",")) if "documents" in fields else (),
        created_at=int(fields["created_at"]) if "created_at" in fields else None,
        send_at=int(fields["send_at"]) if "send_at" in fields else None,
        receipts=receipts,
    )
