"""The fonts of the report: those that the machine has, by their places.

Debian has them as `fonts-noto-core`, `fonts-noto-cjk` and `fonts-noto-color-emoji`; many machines have
DejaVu. A font is opened only if the text needs it, because the CJK collection takes seconds. A character that
no font has is shown by its number, such as [U+1F9B7], so that a report can always be written and read.
"""

import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fontTools.ttLib import TTFont

_NOTO = "/usr/share/fonts/truetype/noto/"
_DEJAVU = "/usr/share/fonts/truetype/dejavu/"
_MAC = "/System/Library/Fonts/"
BASES: tuple[tuple[str, str], ...] = (
    (f"{_NOTO}NotoSans-Regular.ttf", f"{_NOTO}NotoSans-Bold.ttf"),
    ("/usr/share/fonts/noto/NotoSans-Regular.ttf", "/usr/share/fonts/noto/NotoSans-Bold.ttf"),
    (f"{_DEJAVU}DejaVuSans.ttf", f"{_DEJAVU}DejaVuSans-Bold.ttf"),
    (f"{_MAC}Supplemental/Arial.ttf", f"{_MAC}Supplemental/Arial Bold.ttf"),
)
"""Regular and bold; the first pair that is there is taken. Without any, the PDF's own Helvetica is."""
FALLBACKS: tuple[str, ...] = (
    f"{_NOTO}NotoSansArabic-Regular.ttf",
    f"{_NOTO}NotoSansHebrew-Regular.ttf",
    f"{_NOTO}NotoSansDevanagari-Regular.ttf",
    f"{_NOTO}NotoSansBengali-Regular.ttf",
    f"{_NOTO}NotoSansTamil-Regular.ttf",
    f"{_NOTO}NotoSansThai-Regular.ttf",
    f"{_NOTO}NotoSansGeorgian-Regular.ttf",
    f"{_NOTO}NotoSansArmenian-Regular.ttf",
    f"{_NOTO}NotoSansSymbols2-Regular.ttf",
    f"{_NOTO}NotoColorEmoji.ttf",
    f"{_DEJAVU}DejaVuSans.ttf",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    f"{_MAC}Supplemental/Arial Unicode.ttf",
)
"""Further fonts, in the order in which they are asked for a character."""
_INVISIBLE = {"Cf", "Mn"}
"""Joiners and variation selectors need no glyph of their own."""
_LATIN = 0x100
_PLAIN = {"…": "...", "·": "-", "—": "-"}


@dataclass(frozen=True, slots=True)
class Fonts:
    """The fonts for some texts.

    Attributes:
        base: the files of regular and bold; None for the PDF's own Helvetica.
        fallbacks: the files of the further fonts that the texts need.
        missing: the characters that no font has.
    """

    base: tuple[str, str] | None
    fallbacks: tuple[str, ...]
    missing: frozenset[str]

    def shown(self, text: str) -> str:
        """The text with the numbers of the characters that no font has, and without control characters."""
        if self.base is None:  # Helvetica has Latin-1 alone
            text = "".join(_PLAIN.get(c, c) for c in text if not _joins(c))
        return "".join(
            f"[U+{ord(c):04X}]" if c in self.missing else c for c in text if c.isprintable() or _joins(c)
        )


def fonts_for(
    text: str, bases: tuple[tuple[str, str], ...] = BASES, fallbacks: tuple[str, ...] = FALLBACKS
) -> Fonts:
    """Choose fonts for a text.

    Args:
        text: all texts of the report.
        bases: pairs of files that may be there, for regular and bold.
        fallbacks: further files that may be there.
    """
    base = next((pair for pair in bases if all(map(_covered, pair))), None)
    wanted = {c for c in text if c.isprintable() and not _joins(c)}
    left = {
        c for c in wanted if not (ord(c) in _covered(base[0]) if base else ord(c) < _LATIN or c in _PLAIN)
    }
    taken: list[str] = []
    for path in fallbacks if base else ():
        if left and (found := {c for c in left if ord(c) in _covered(path)}):
            taken.append(path)
            left -= found
    return Fonts(base, tuple(taken), frozenset(left))


@cache
def _covered(path: str) -> frozenset[int]:
    """The characters that a font has; none if it is not there or cannot be read."""
    try:
        with Path(path).open("rb") as file, TTFont(file, fontNumber=0, lazy=True) as font:
            return frozenset(font.getBestCmap() or {})
    except Exception:  # noqa: BLE001 - fontTools raises many kinds for a broken font
        return frozenset()


def _joins(c: str) -> bool:
    return unicodedata.category(c) in _INVISIBLE
