"""Texts of strangers, made fit to be shown."""

import re
import unicodedata

SHOWN = 200
"""Characters of a text that are shown."""

_NUMBER = re.compile(r"\+?\d(?:[\s().\-/]{0,3}\d){6,}")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def clean_message(text: str) -> str:
    """A stranger's text, fit to be shown: one line without control characters, at most 200 characters.

    Every run of 7 or more digits, also one written with spaces, brackets, dots, dashes or slashes, keeps its
    last four: `+1 (234) 567-8901` becomes `…8901`.
    """
    line = " ".join(text.split())
    plain = line.isascii() and line.isprintable()
    shown = line if plain else "".join(c for c in line if unicodedata.category(c) not in _HIDDEN)
    return _NUMBER.sub(lambda run: "…" + re.sub(r"\D", "", run[0])[-4:], shown).strip()[:SHOWN]
