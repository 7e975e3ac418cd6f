"""Markdown, as the generated parts use it."""

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Format a table. A `|` in a cell is escaped, and line breaks become spaces."""
    lines = (head, ["---"] * len(head), *([_cell(text) for text in row] for row in rows))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def code(text: str) -> str:
    """Format text as code; "" stays empty."""
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.replace("\\|", "|").replace("|", "\\|").split())
