"""Cells of CSV files that no spreadsheet computes."""

import re

_INSIDE = re.compile(r"([;\t\r\n]\s*)([=+\-@|%])")
"""A formula behind what is the end of a cell where the separator is a semicolon or a tab."""
_FORMULA = (*"=+-@\t\r\n|%", *"\uff1d\uff0b\uff0d\uff20")
"""What makes a spreadsheet compute a cell. The last four are signs in full width."""


def plain_cell(value: object) -> str:
    """A cell that no spreadsheet computes, whatever it takes for the end of a cell.

    Example:
        >>> plain_cell("=1+1")
        "'=1+1"
    """
    text = "" if value is None else _INSIDE.sub(r"\1'\2", str(value))
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
