"""Files that a browser keeps and does not show."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from starlette.responses import Response

_INSIDE = re.compile(r"([;\t\r\n]\s*)([=+\-@|%])")
"""A formula behind what is the end of a cell where the separator is a semicolon or a tab."""
_FORMULA = (*"=+-@\t\r\n|%", *"\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet compute a cell. The last four are signs in full width."""


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> Response:
    """A table as CSV, of which a spreadsheet computes no cell. It begins with the mark that Excel needs."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in (columns, *rows):
        writer.writerow([plain_cell(cell) for cell in row])
    return download(text.getvalue().encode("utf-8-sig"), name, "text/csv; charset=utf-8")


def plain_cell(value: object) -> str:
    """A cell that no spreadsheet computes, whatever it takes for the end of a cell.

    Example:
        >>> plain_cell("=1+1")
        "'=1+1"
    """
    text = "" if value is None else _INSIDE.sub(r"\1'\2", str(value))
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text


def download(content: bytes, name: str, kind: str) -> Response:
    """A file that the browser keeps and does not show."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    headers = {"Content-Disposition": f'attachment; filename="{plain}"'}
    return Response(content, media_type=kind, headers=headers)
