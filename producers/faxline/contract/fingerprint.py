"""Serialises the content of an entry: the request for iFax, and the digest that recognises a repeat.

A job's record holds the digest, and the same entry may come again after an upgrade. So the digest of an entry
must never change. It covers the entry with its defaults and without members that are not given, as JSON with
sorted members, no spaces and unescaped characters.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from faxline.contract.entries import FaxRequest, ResendEntry, SendEntry

_FILES: Any = {"faxData": {"__all__": {"upload"}}}
"""Not part of the content: a repeated push has another upload key."""


def members_of(fax: FaxRequest) -> dict[str, Any]:
    """The members of a request that are given, as a copy that the caller may change."""
    return fax.model_dump(mode="json", exclude=_FILES, exclude_none=True)


def text_of(members: Mapping[str, Any]) -> str:
    """Serialise members as JSON, sorted and without spaces."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def digest_of(entry: SendEntry | ResendEntry) -> str:
    """The digest that tells a repeat from a reused id. It is the same for a sealed and a clear entry."""
    if isinstance(entry, ResendEntry):
        members = entry.model_dump(mode="json", exclude={"by", "user"})
    else:
        members = entry.model_dump(
            mode="json", exclude={"group_size": True, "fax": _FILES}, exclude_none=True
        )
        members["metadata"] = entry.metadata  # unchanged, with its nulls
    return hashlib.sha256(text_of(members).encode()).hexdigest()
