"""The text of a member of the metadata: by it a fax is found, counted and shown, here and in the console."""

import math
from typing import Any

from faxline_archive.leaves import canonical_json


def member_text(value: Any) -> str | None:
    """The text of a member's value; None if it is no text, number or truth value, by which no fax is found.

    Example:
        >>> [member_text(value) for value in ("true", True, 7, 1.0, None, [1])]
        ['true', 'true', '7', '1.0', None, None]
    """
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return canonical_json(value) if isinstance(value, (int, float)) else None
