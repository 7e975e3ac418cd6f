"""CSV files for people who open them in a spreadsheet."""

import csv
import io
from collections.abc import Iterable, Sequence

from starlette.responses import Response

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What makes a spreadsheet take a cell for a formula."""


def as_csv(name: str, text: str) -> Response:
    """A CSV file as an answer, in UTF-8 with the mark that Excel needs."""
    safe = "".join(
        letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in name
    )
    return Response(
        text.encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{safe}.csv"'},
    )


def write_csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    r"""A CSV file in which no cell is a formula.

    Example:
        >>> write_csv(["a"], [["=1+1"]])
        "a\r\n'=1+1\r\n"
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue()


def _cell(value: object) -> str:
    cell = "" if value is None else str(value)
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULAS) else cell
