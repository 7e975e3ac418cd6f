"""How the text of a variable becomes a value: seconds, waits, and lists of texts."""

import json
import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr


class Part(BaseModel):
    """Settings that belong together: their variables begin alike, as in `FAXLINE_LIMITS__…`."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_seconds(value: object) -> object:
    """Turn the text of a variable into a number of seconds.

    pydantic would read ISO 8601 and `01:30` as well. One spelling is enough, and nobody mistakes its unit.

    Raises:
        ValueError: it is not a number.
    """
    if not isinstance(value, str):
        return value
    try:
        return timedelta(seconds=float(value))
    except (ValueError, OverflowError):  # also for nan and inf
        raise ValueError("must be a number of seconds") from None


_MOST = timedelta(days=36_500)
"""The longest duration: Python cannot represent much later dates."""
HALF = re.compile("[\\ud800-\\udfff]")
"""Half a character, which JSON can hold and nothing can encode."""
Count = Annotated[int, Field(ge=0, le=10**13)]
"""A number of things that Lua can count, and write without an exponent."""
Seconds = Annotated[timedelta, BeforeValidator(read_seconds), Field(ge=timedelta(), le=_MOST)]
"""A duration, given in seconds; 0 is allowed."""
PositiveSeconds = Annotated[
    timedelta, BeforeValidator(read_seconds), Field(ge=timedelta(milliseconds=1), le=_MOST)
]
"""A duration of at least one millisecond (the scripts' unit), given in seconds."""


def _read_json_list(text: str, kinds: tuple[type, ...]) -> list[Any] | None:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(values, list) and all(type(value) in kinds for value in values)
    return values if whole else None


def read_texts(text: str) -> list[str]:
    """The texts of a JSON list.

    Raises:
        ValueError: it is not a list of texts, or one of them is empty or has half a character. The message
            quotes nothing.
    """
    values = _read_json_list(text, (str,))
    if values is None or not all(values) or HALF.search("".join(values)):
        raise ValueError('must be a JSON list of texts, such as ["first","second"]')
    return values


def read_names(text: str) -> list[str]:
    """The names of a JSON list or of a list with commas. No text means no names.

    Raises:
        ValueError: it begins like a JSON list and is not one.
    """
    if text.lstrip().startswith("["):
        return read_texts(text)
    return [name.strip() for name in text.split(",") if name.strip()]


def _times(value: object) -> object:
    if not isinstance(value, str):
        return value
    times = _read_json_list(value, (int, float))
    if times is None:
        raise ValueError("must be a JSON list of numbers, such as [120,300,600]")
    return [read_seconds(str(time)) for time in times]


def _waits(value: object) -> object:
    if isinstance(value, str) and not value.lstrip().startswith("["):
        return [read_seconds(value)]
    return _times(value)


def _texts(value: object) -> object:
    return read_texts(value) if isinstance(value, str) else value


def _names(value: object) -> object:
    return read_names(value) if isinstance(value, str) else value


Times = Annotated[tuple[PositiveSeconds, ...], BeforeValidator(_times), Field(min_length=1)]
"""Moments after an event, given as a JSON list of seconds."""
Waits = Annotated[tuple[PositiveSeconds, ...], BeforeValidator(_waits), Field(min_length=1, max_length=100)]
"""Waits before the second try, the third and so on. The last one repeats, so a single number is a list."""
SecretList = Annotated[tuple[SecretStr, ...], BeforeValidator(_texts)]
"""Secrets, given as a JSON list."""
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Names, given as a JSON list or with commas."""


def secret_bytes(values: Sequence[SecretStr]) -> tuple[bytes, ...]:
    """The secrets as bytes."""
    return tuple(value.get_secret_value().encode() for value in values)
