"""What an entry asks for, as text: the request for iFax, and the digest that tells a repeat of its id.

A digest stands in a job's record and meets the same entry again after an upgrade: it stays the same for ever.
It is that of the entry with its defaults and without what is not given, as JSON with sorted members, no
spaces and all characters as they are.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from faxline.contract.entries import FaxRequest, ResendEntry, SendEntry

_FILES: Any = {"faxData": {"__all__": {"upload"}}}
"""Not of the content: the same push again has another one."""


def members_of(fax: FaxRequest) -> dict[str, Any]:
    """What is given of a request, for the caller to change."""
    return fax.model_dump(mode="json", exclude=_FILES, exclude_none=True)


def text_of(members: Mapping[str, Any]) -> str:
    """Members as JSON, sorted, with no spaces."""
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def digest_of(entry: SendEntry | ResendEntry) -> str:
    """What tells a repeat from an id that is used again: the same for a sealed entry and one in clear."""
    if isinstance(entry, ResendEntry):
        members = entry.model_dump(mode="json", exclude={"by", "user"})
    else:
        members = entry.model_dump(
            mode="json", exclude={"group_size": True, "fax": _FILES}, exclude_none=True
        )
        members["metadata"] = entry.metadata  # with its nulls
    return hashlib.sha256(text_of(members).encode()).hexdigest()
