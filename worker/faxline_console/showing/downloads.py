"""Files that a browser keeps and does not show."""

import csv
import io
import re
from collections.abc import Iterable, Sequence

from starlette.responses import Response

from faxline.contract.spreadsheets import plain_cell


def csv_file(columns: Sequence[str], rows: Iterable[Sequence[object]], name: str) -> Response:
    """A table as CSV, of which a spreadsheet computes no cell. It begins with the mark that Excel needs."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    for row in (columns, *rows):
        writer.writerow([plain_cell(cell) for cell in row])
    return download(text.getvalue().encode("utf-8-sig"), name, "text/csv; charset=utf-8")


def download(content: bytes, name: str, kind: str) -> Response:
    """A file that the browser keeps and does not show."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    headers = {"Content-Disposition": f'attachment; filename="{plain}"'}
    return Response(content, media_type=kind, headers=headers)
