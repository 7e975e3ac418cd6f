"""The table of causes why a delivery failed, with the reason in the metrics and whether to send again.

A receipt names the cause by its `message` and its `code`. The text decides before the number, because nobody
documents what a failed fax's number means: in practice it may be from Q.850, spandsp or iFax itself
(docs/ifax.md, Codes). docs/causes.md shows this table.
"""

import re
from collections.abc import Iterator, Mapping

from faxline_worker.ifax.call_causes import CAUSES
from faxline_worker.ifax.cause import Again, Cause
from faxline_worker.ifax.codes import CODES, Decision
from faxline_worker.ifax.fax_texts import ASTERISK, SIP, SPANDSP, WORDS
from faxline_worker.ifax.hylafax import HYLAFAX

__all__ = [
    "CAUSES",
    "OTHER",
    "TEXTS",
    "Again",
    "Cause",
    "cause_of",
    "cause_table",
    "counted_code",
    "delivery_reasons",
]

OTHER = Cause(None, "other", Again.OTHER)
"""An unknown cause is treated as line trouble. The attempts limit how often it is tried again."""


def _of_code(code: int) -> Cause:
    row = CODES[code]
    worth = row.decision in {Decision.RETRY, Decision.DEFER}
    return Cause(None, row.reason, Again.OTHER if worth else None, source="iFax")


_IFAX: Mapping[int, Cause] = {code: _of_code(code) for code in CODES if code < 0}
TEXTS: Mapping[str, Cause] = {
    **{CODES[code].message: cause for code, cause in _IFAX.items()},
    **HYLAFAX,
    **WORDS,
    **ASTERISK,
    **SIP,
    **SPANDSP,
    **CAUSES,
}
"""The causes by every known text."""

_NUMBERS: Mapping[int, Cause] = {row.number: row for row in CAUSES.values() if row.number is not None}
_SILENT = frozenset({"", "none", "unspecified"})
"""Q.850's texts that name no cause. Only with these does the number count."""
_BY_ITSELF = frozenset({"busy"})
"""The one word that means the same in any text. Otherwise phrases of two words or more are searched for."""
_PREFIX = re.compile(r"SIP(?:/2\.0)?[\s:;]+", re.IGNORECASE)
_NUMBERED = re.compile(r"\s*[(\[]\s*\d{1,3}\s*[)\]]\.?$")
_CODED = re.compile(r"(.*?)\s*\{(E\d{3})\}\.?", re.IGNORECASE | re.DOTALL)


def _words(text: str) -> str:
    return " ".join(re.findall(r"[^\W_]+", text.casefold()))


def _fold(text: str) -> str:
    return _words(text).replace(" ", "")


def _spellings(text: str, cause: Cause) -> Iterator[str]:
    yield text
    if cause.source == "HylaFAX":
        code, _, words = text.partition(" ")
        yield code
        yield words


_SPELT = [(spelt, cause) for text, cause in TEXTS.items() for spelt in _spellings(text, cause) if spelt]
_EXACT: Mapping[str, Cause] = {_fold(spelt): cause for spelt, cause in _SPELT}
_PHRASES: Mapping[str, Cause] = {
    words: cause for spelt, cause in _SPELT if " " in (words := _words(spelt)) or words in _BY_ITSELF
}
_LONGEST = max(phrase.count(" ") + 1 for phrase in _PHRASES)
_CODES: Mapping[str, tuple[str, Cause]] = {
    text[:4]: (_fold(text[4:]), cause) for text, cause in HYLAFAX.items()
}


def cause_of(message: str, code: int | None) -> Cause:
    """Find the cause of a failed delivery by a receipt's message and code.

    Case, blanks, dashes and other punctuation of a text do not matter. A text that equals no row is never
    final, whatever its number; if it contains a row's text, it has that row's reason. The number counts only
    if the text is empty or names no cause.

    Args:
        message: iFax's text.
        code: iFax's number, or None.

    Example:
        >>> cause_of("user busy", 1).again
        <Again.BUSY: 'busy'>
        >>> cause_of("Call failed: unallocated number", 1).again
        <Again.OTHER: 'other'>
    """
    if _fold(message) not in _SILENT:
        return _known(message) or _mentioned(message) or OTHER
    if code is not None and code in _IFAX:
        return _IFAX[code]
    return _NUMBERS.get(code or 0, OTHER)


def _known(message: str) -> Cause | None:
    """The row of a text, also in forms such as `USER_BUSY (17)` or `Busy signal detected {E001}`."""
    plain = _NUMBERED.sub("", _PREFIX.sub("", message.strip(), count=1))
    for text in (message, plain):
        if (found := _EXACT.get(_fold(text))) is not None:
            return found
    if (coded := _CODED.fullmatch(message.strip())) is None:
        return None
    words, code = _fold(coded[1]), coded[2].upper()
    stem, cause = _CODES.get(code, ("", None))
    if cause is not None:  # HylaFAX puts values into some texts
        return cause if not words or (stem and words.startswith(stem)) else cause.doubted()
    return _EXACT.get(words)


def _mentioned(message: str) -> Cause | None:
    """The row with the longest text that the message contains."""
    words = _words(message).split()
    for size in range(min(_LONGEST, len(words)), 0, -1):
        for start in range(len(words) - size + 1):
            found = _PHRASES.get(" ".join(words[start : start + size]))
            if found is not None:
                return found.doubted()
    return None


def delivery_reasons() -> list[tuple[int | None, str]]:
    """Every (code, reason) of a failed delivery that is exported at 0 from the start."""
    causes = [(number, row.reason) for row in CAUSES.values() for number in {None, row.number}]
    texts = {(None, row.reason) for row in TEXTS.values()}
    return [
        *causes,
        *sorted(texts, key=str),
        *((code, row.reason) for code, row in _IFAX.items()),
        (None, OTHER.reason),
    ]


_REASONS = frozenset(delivery_reasons())


def counted_code(code: int | None, reason: str) -> int | None:
    """A failed delivery's number as a metric's label; None if the table does not have it for this reason.

    A fax engine may write any number beside its text, and each would be a label set of its own.
    """
    return code if (code, reason) in _REASONS else None


def cause_table() -> str:
    """The table as Markdown, for docs/causes.md."""
    lines = ["| text | source | Q.850 | reason | what follows |", "| --- | --- | --- | --- | --- |"]
    calls = sorted(CAUSES.items(), key=lambda item: (item[1].number is None, item[1].number or 0, item[0]))
    others = [(text, row) for part in (SPANDSP, SIP, ASTERISK, WORDS) for text, row in part.items()]
    codes = [(f"{CODES[code].message} ({code})", row) for code, row in _IFAX.items()]
    for text, row in [*calls, *codes, *others, *HYLAFAX.items(), ("anything else", OTHER)]:
        source = "" if row is OTHER else row.source
        number = "" if row.number is None else row.number
        lines.append(f"| {text} | {source} | {number} | {row.reason} | {_follows(row)} |")
    return "\n".join(lines) + "\n"


def _follows(row: Cause) -> str:
    if row.again is None:
        return "final"
    return f"again after `{row.again.upper()}`" + (", in a lower quality" if row.lower else "")
