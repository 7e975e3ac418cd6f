"""The transmission report of a fax: one page, in words for people.

It is built from dataclasses alone, so that it needs no database.
"""

from collections.abc import Iterable, Sequence

from fpdf import FPDF
from fpdf.fonts import TTFFont

from faxline_archive.report_fonts import Fonts, fonts_for
from faxline_archive.report_text import Report, digests, facts, moment, outcome_of

PAPERS = ("A4", "Letter")
_MARGIN, _LABEL, _LINE = 15.0, 36.0, 5.2
"""Millimetres."""
_INK, _GREY, _RULE = (28, 32, 36), (104, 112, 120), (214, 219, 224)
_COLOURS = {
    "delivered": (22, 122, 74),
    "failed": (180, 40, 40),
    "canceled": (96, 102, 110),
    "unconfirmed": (168, 108, 8),
    "in_doubt": (168, 108, 8),
}
_FIRST, _LEAST, _SECTION, _FOOT = 2, 5, 11.5, 9.0


def write_report(report: Report, paper: str = "A4") -> bytes:
    """Write a report as a PDF of one page.

    Args:
        report: what it says.
        paper: A4 or Letter.

    Example:
        >>> Path("report.pdf").write_bytes(write_report(report, "Letter"))

    Raises:
        ValueError: there is no such paper.
    """
    if paper not in PAPERS:
        raise ValueError(f"the paper is {' or '.join(PAPERS)}")
    return _Page(report, paper).write()


class _Page:
    """The one page, written from top to bottom."""

    def __init__(self, report: Report, paper: str) -> None:
        self._report = report
        self._pdf = FPDF(format=paper)
        self._pdf.set_auto_page_break(auto=False)
        self._pdf.set_margin(_MARGIN)
        self._pdf.c_margin = 0
        self._pdf.add_page()
        fax = report.fax
        self._pdf.set_title(f"Transmission report {fax.id}")
        self._pdf.set_creator("Faxline")
        self._pdf.set_creation_date(report.made_at)
        self._fonts = self._load(self._texts())
        self._width = self._pdf.epw

    def write(self) -> bytes:
        self._head()
        self._pairs(facts(self._report))
        self._section("Deliveries")
        self._deliveries()
        self._section("Fingerprints")
        self._pairs(digests(self._report), mono=True)
        self._foot()
        content = bytes(self._pdf.output())
        for font in self._pdf.fonts.values():
            if isinstance(font, TTFFont):
                font.close()
        return content

    def _load(self, text: str) -> Fonts:
        report = self._report
        fonts = fonts_for(text, report.bases, report.fallbacks)
        if fonts.base is None:
            return fonts
        regular, bold = fonts.base
        self._pdf.add_font("base", "", regular)
        self._pdf.add_font("base", "B", bold)
        for number, path in enumerate(fonts.fallbacks):
            self._pdf.add_font(f"more{number}", "", path, collection_font_number=0)
        self._pdf.set_font("base")
        self._pdf.set_fallback_fonts([f"more{n}" for n in range(len(fonts.fallbacks))], exact_match=False)
        self._pdf.set_text_shaping(use_shaping_engine=True)
        return fonts

    def _texts(self) -> str:
        report = self._report
        rows: Iterable[tuple[str, str]] = [*facts(self._report), *digests(self._report)]
        cells = [value for row in rows for value in row] + [item.outcome for item in report.deliveries]
        return "".join(cells) + " 0123456789…·—Transmission report"

    def _font(self, size: float, style: str = "", colour: tuple[int, int, int] = _INK) -> None:
        self._pdf.set_font("base" if self._fonts.base else "helvetica", style, size)
        self._pdf.set_text_color(*colour)

    def _text(self, x: float, y: float, text: str, width: float) -> None:
        """Write a text on one line; what does not fit becomes an ellipsis."""
        shown = self._fonts.shown(text)
        end = self._fonts.shown("…")
        if self._pdf.get_string_width(shown) > width:
            while shown and self._pdf.get_string_width(shown + end) > width:
                shown = shown[: -1 - len(shown) // 20]
            shown += end
        self._pdf.set_xy(x, y)
        self._pdf.cell(width, _LINE, shown)

    def _head(self) -> None:
        pdf, fax = self._pdf, self._report.fax
        self._font(9, colour=_GREY)
        self._text(_MARGIN, _MARGIN, f"Account {fax.account}", self._width)
        self._font(21, "B")
        self._text(_MARGIN, _MARGIN + 7, "Transmission report", self._width)
        word, sentence = outcome_of(fax)
        top = _MARGIN + 19
        pdf.set_fill_color(*_COLOURS.get(fax.state, _GREY))
        pdf.rect(_MARGIN, top, self._width, 17, style="F", round_corners=True, corner_radius=2)
        self._font(14, "B", (255, 255, 255))
        self._text(_MARGIN + 5, top + 2.4, word, self._width - 10)
        self._font(10, colour=(255, 255, 255))
        self._text(_MARGIN + 5, top + 9, sentence, self._width - 10)
        pdf.set_y(top + 22)

    def _pairs(self, rows: Iterable[tuple[str, str]], *, mono: bool = False) -> None:
        for label, value in rows:
            if not value:
                continue
            y = self._pdf.get_y()
            self._font(9, colour=_GREY)
            self._text(_MARGIN, y, label, _LABEL - 2)
            self._font(8.5 if mono else 10)
            self._text(_MARGIN + _LABEL, y, value, self._width - _LABEL)
            self._pdf.set_y(y + _LINE)

    def _section(self, title: str) -> None:
        y = self._pdf.get_y() + 3.5
        self._pdf.set_draw_color(*_RULE)
        self._pdf.line(_MARGIN, y, _MARGIN + self._width, y)
        self._font(11, "B")
        self._text(_MARGIN, y + 2, title, self._width)
        self._pdf.set_y(y + _SECTION - 3.5)

    def _deliveries(self) -> None:
        """List them; of very many, the first and the last ones."""
        tries = self._report.deliveries
        columns = (
            (0.0, 9.0),
            (9.0, 70.0),  # a time with its zone, such as 2026-07-01 14:03:12 CEST (UTC+02:00)
            (79.0, self._width - 131),
            (self._width - 52, 24.0),
            (self._width - 28, 28.0),
        )
        self._row(columns, ("", "time", "outcome", "pages", "iFax jobId"), _GREY)
        rows = [
            (
                str(number),
                moment(item.at, self._report.zone),
                item.outcome,
                item.pages,
                str(item.job_id or ""),
            )
            for number, item in enumerate(tries, start=1)
        ]
        below = sum(bool(value) for _, value in digests(self._report)) * _LINE + _SECTION
        room = self._pdf.h - _MARGIN - _FOOT - self._pdf.get_y() - below
        most = max(_LEAST, int(room / _LINE) - 1)
        if len(rows) > most:
            left = len(rows) - most
            rows[_FIRST : _FIRST + left] = [("", "", f"{left} more", "", "")]
        for row in rows or [("", "", "none yet", "", "")]:
            self._row(columns, row, _INK)

    def _row(
        self, columns: Sequence[tuple[float, float]], cells: Sequence[str], colour: tuple[int, int, int]
    ) -> None:
        y = self._pdf.get_y()
        self._font(9, colour=colour)
        for (x, width), cell in zip(columns, cells, strict=True):
            if cell:
                self._text(_MARGIN + x, y, cell, width - 2)
        self._pdf.set_y(y + _LINE)

    def _foot(self) -> None:
        y = self._pdf.h - _MARGIN - _FOOT
        self._font(8, colour=_GREY)
        made = moment(self._report.made_at, self._report.zone)
        self._text(_MARGIN, y, f"Made by Faxline on {made}. Fingerprints are SHA-256.", self._width)
        self._text(
            _MARGIN,
            y + 4.5,
            "`faxline proof` writes the proof of this fax, which anybody can check.",
            self._width,
        )
