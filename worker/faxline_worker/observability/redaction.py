"""What keeps secrets, documents and phone numbers out of the logs (ARCHITECTURE.md, rule 7)."""

import re
from collections.abc import Iterable, Mapping
from datetime import date
from json import dumps
from typing import Any
from urllib.parse import quote
from uuid import UUID

from structlog.typing import EventDict

from faxline.contract.texts import mask_number
from faxline_worker.observability.log_keys import ALLOWED_KEYS, ID_KEYS, MEASURE_KEYS

LONGEST_TEXT = 4000
"""Characters of one text that are logged. The middle of a longer text is cut out."""
NOT_WRITTEN = "a log line could not be written"
"""The event in place of one that raised an exception."""

_SECRET = "***"  # noqa: S105 - what stands in a secret's place
_WITH_PLUS = r"\+\d(?:[ ().\-/]{0,3}\d){6,}"  # also as people write it: +1 (234) 567-8901
_NUMBER_IN_ID = re.compile(_WITH_PLUS)
_NUMBER = re.compile(rf"{_WITH_PLUS}|\d{{7,}}|\(?\b\d{{3}}\)?[ .-]\d{{3}}[ .-]\d{{4}}\b")
_DOCUMENT = re.compile(r"[A-Za-z0-9+/_-]{200,}={0,2}")
_SHORTEST_DOCUMENT = 200
_HEAD = 8
"""Characters by which a secret is found in a text."""
_FEW = 100
"""Up to so many spellings of secrets are looked for one by one."""
_SHORTEST_NUMBER = 7
_DEEPEST = 30
_FIRST = ("timestamp", "level", "event", "role", "logger")
_UNMASKED = MEASURE_KEYS | ID_KEYS
"""Keys whose numbers stay as they are."""


class Redactor:
    """The last processor before rendering. Anyone who reads logs may read what it lets through.

    It keeps the allowed keys. In every text, at any depth, exception and event included, it replaces

    - the given secrets, also as a repr, JSON or a URL writes them, by `***`,
    - a run of 7 or more digits, and a spelt-out `+1 (234) 567-8901` or `234-567-8901`, by `…` and its last
      four,
    - 200 or more characters of what may be base64 (a document) by their count, and bytes by theirs,
    - a text longer than LONGEST_TEXT by its two ends.

    A whole number of 7 or more digits is treated like a text, except under MEASURE_KEYS and ID_KEYS.

    Args:
        secrets: API keys, webhook secrets, passwords. Empty ones are ignored.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: tuple[str, ...] = ()
        self._by_head: dict[str, list[str]] = {}
        self._sizes: set[int] = set()
        self.learn(secrets)

    def learn(self, secrets: Iterable[str]) -> None:
        """Hide these secrets too, from the next line on. The others stay hidden. Call it from one thread."""
        new = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
        for spelling in new.difference(self._spellings):
            self._by_head.setdefault(spelling[:_HEAD], []).append(spelling)
        self._sizes = {len(head) for head in self._by_head}
        # The longest first: one may be part of another.
        self._spellings = tuple(sorted(new.union(self._spellings), key=len, reverse=True))

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """Return a redacted copy with the main keys in front.

        If a value raises an exception, the line says so and has nothing of its own.
        """
        try:
            return self._redacted(event)
        except Exception as error:  # noqa: BLE001 - a line must not cost what is done beside it
            line = {key: event[key] for key in _FIRST if key in event}
            return {**line, "event": NOT_WRITTEN, "error": type(error).__name__}

    def _redacted(self, event: EventDict) -> EventDict:
        kept = [key for key in dict.fromkeys((*_FIRST, *event)) if key in event and key in ALLOWED_KEYS]
        line: EventDict = {key: self._value(event[key], key) for key in kept}
        if isinstance(event.get("to"), str):
            line["to"] = mask_number(event["to"])
        if len(kept) < len(event):
            line["dropped"] = sorted(self.text(str(key)) for key in event if key not in ALLOWED_KEYS)
        return line

    def text(self, text: str, number: re.Pattern[str] = _NUMBER) -> str:
        """One text without secrets, documents and phone numbers, and not too long.

        Args:
            text: any.
            number: what a phone number looks like in it.
        """
        if self._spellings and len(text) >= len(
            self._spellings[-1]
        ):  # most texts are shorter than any secret
            for spelling in self._spellings if len(self._spellings) <= _FEW else self._spellings_in(text):
                text = text.replace(spelling, _SECRET)
        if len(text) >= _SHORTEST_DOCUMENT:
            text = _DOCUMENT.sub(lambda run: f"…({len(run[0])} characters)", text)
        if len(text) >= _SHORTEST_NUMBER:
            text = number.sub(lambda run: mask_number(run[0]), text)
        half = LONGEST_TEXT // 2
        return text if len(text) <= LONGEST_TEXT else f"{text[:half]} … {text[-half:]}"

    def _spellings_in(self, text: str) -> list[str]:
        """The secrets that the text holds. Of thousands, each is not looked for in every text."""
        heads = {text[at : at + size] for size in self._sizes for at in range(len(text) - size + 1)}
        found = [spelling for head in heads for spelling in self._by_head.get(head, ())]
        return sorted(found, key=len, reverse=True)

    def _value(self, value: Any, key: str, depth: int = 0) -> Any:  # noqa: PLR0911 - one for each kind of value
        number = _NUMBER_IN_ID if key in ID_KEYS else _NUMBER
        match value:
            case str():
                return self.text(value, number)
            case None | bool():
                return value
            case int() | float():
                text = str(value)
                return value if key in _UNMASKED or _NUMBER.search(text) is None else self.text(text, number)
            case bytes() | bytearray() | memoryview():
                return f"({len(value)} bytes)"
            case date() | UUID():  # a datetime is a date
                return str(value)
            case Mapping() | list() | tuple() | set() | frozenset() if depth > _DEEPEST:
                return "…"  # or a value that holds itself
            case Mapping():
                return {self.text(str(name)): self._value(own, key, depth + 1) for name, own in value.items()}
            case list() | tuple() | set() | frozenset():
                return [self._value(own, key, depth + 1) for own in value]
        return self.text(_text_of(value), number)


def _spellings(secret: str) -> set[str]:
    """The secret as it stands, and as repr (within either quotes), JSON and a URL write it."""
    within_both = repr(secret + "'\"")[1:-4]  # a text with both quotes has its single ones escaped
    return {
        secret,
        repr(secret)[1:-1],
        within_both,
        dumps(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
    }


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - a value that has no text must not cost the line
        return f"({type(value).__name__} without a text: {type(error).__name__})"
