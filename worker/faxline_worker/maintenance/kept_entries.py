"""Reads what entries hold that are kept: in intake, or set aside."""

import json
from collections.abc import Mapping
from typing import Any


def own_field(fields: Mapping[bytes, bytes]) -> tuple[str, bytes]:
    """The original field of an entry. In a set-aside entry it follows the notes about the failure."""
    kind, raw = list(fields.items())[-1]
    return kind.decode("utf-8", "replace"), raw


def content_of(raw: bytes | str) -> dict[str, Any]:
    """The JSON object of a payload; empty if it is none."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def key_of_entry(raw: bytes) -> str | None:
    """The id of the key that sealed a payload; None if it is in clear."""
    sealed = content_of(raw).get("sealed")
    return sealed.partition(":")[0] if isinstance(sealed, str) else None
