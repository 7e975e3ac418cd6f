"""What Redis keeps of a fax as it was pushed: its documents by their names, and what its producer chose.

Names may be personal data, so pages show them as they show numbers: masked until somebody reveals them.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from faxline.contract.errors import KeyMissing, SealBroken
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.seals import Seals
from faxline.steps.commands import Command, Steps

LARGEST = 262_144
"""Bytes of a request that is looked at. A larger one has its documents in it."""
_FIELDS = ("documents", "expires_at", "in_doubt", "attempts")
_ENDING = re.compile(r"\.[A-Za-z0-9]{1,5}$")


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a fax.

    Attributes:
        name: of the file; empty if it is not known any more.
        digest: its SHA-256 as hexadecimal digits; empty if it is at an address or in the request itself.
    """

    name: str = field(repr=False)
    digest: str


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """What is kept of a request.

    Attributes:
        documents: in the order of the fax.
        expires: when it is not sent any more.
        policy: what becomes of a doubt: hold, resend or fail; empty: as the settings say.
        attempts: how many deliveries are tried at most; empty: as the settings say.
    """

    documents: Sequence[Document] = ()
    expires: datetime | None = None
    policy: str = ""
    attempts: str = ""


def read_request(keys: RedisKeys, seals: Seals, job: str) -> Steps[KeptRequest]:
    """Read what is kept of a job's request. It is there until the job has ended, as a rule.

    Raises:
        QueueUnavailable: Redis does not answer.
    """
    place = keys.job(job)
    values: list[bytes | None] = yield Command(lambda client: client.hmget(place, _FIELDS))
    digests, expires, policy, attempts = (value.decode() if value else "" for value in values)
    size: Any = yield Command(lambda client: client.hstrlen(place, "request"))
    kept: Any = b""
    if 0 < size <= LARGEST:
        kept = yield Command(lambda client: client.hget(place, "request"))
    named = documents_in(seals, job, (kept or b"").decode("utf-8", "replace"))
    return KeptRequest(
        named or [Document("", digest) for digest in digests.split(",") if digest],
        datetime.fromtimestamp(int(expires) / 1000, UTC) if expires else None,
        policy,
        attempts,
    )


def documents_in(seals: Seals, job: str, kept: str) -> list[Document]:
    """The documents that a request names; none if it cannot be opened.

    Example:
        >>> kept = '{"faxData": [{"fileName": "a.pdf", "document": "sha256:3f9a"}]}'
        >>> documents_in(seals, "a", kept)[0].digest
        '3f9a'
    """
    try:
        found = json.loads(seals.open_request(job, kept)) if kept else {}
    except (KeyMissing, SealBroken, ValueError, RecursionError):
        return []
    files = found.get("faxData") if isinstance(found, dict) else None
    return [
        Document(str(file.get("fileName", "")), str(file.get("document", "")).removeprefix("sha256:"))
        for file in (files if isinstance(files, list) else ())
        if isinstance(file, dict)
    ]


def mask_name(name: str) -> str:
    """The name of a file of which only the ending is shown.

    Example:
        >>> mask_name("referral of Ada.pdf")
        '•••.pdf'
    """
    ending = _ENDING.search(name)
    return f"•••{ending[0]}" if ending else "•••"
