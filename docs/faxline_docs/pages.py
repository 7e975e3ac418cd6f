"""The generated parts of each page, and how a part is replaced."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from faxline_docs import commands, events, fundamentals, library, licences, metrics, settings
from faxline_worker.ifax.causes import cause_table

DOCS = Path(__file__).parents[1]
Part = Callable[[str], str]
"""Makes the text of a part from its present text."""
PAGES: Mapping[str, Mapping[str, Part]] = {
    "causes.md": {"causes": lambda _: cause_table()},
    "cli.md": {
        "faxline": lambda _: commands.faxline(),
        "faxline-worker": lambda _: commands.faxline_worker(),
    },
    "events.md": {"events": lambda _: events.sections()},
    "fundamentals.md": {file.name: fundamentals.part(file) for file in fundamentals.FILES},
    "library.md": {"methods": lambda _: library.methods(), "errors": lambda _: library.errors()},
    "licences.md": {"packages": lambda _: licences.table()},
    "metrics.md": {"metrics": lambda _: metrics.tables()},
    "settings.md": {"settings": settings.table},
}
_MARKED = re.compile(r"(<!-- ([\w.-]+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def renewed(text: str, parts: Mapping[str, Part]) -> str:
    """Replace the parts of a page. The text outside of the markers stays.

    Raises:
        ValueError: the page does not have exactly these parts.
    """
    if sorted(name for _, name, _, _ in _MARKED.findall(text)) != sorted(parts):
        raise ValueError(f"the page must mark exactly these parts: {', '.join(parts)}")
    return _MARKED.sub(lambda found: f"{found[1]}\n{parts[found[2]](found[3]).strip()}\n\n{found[4]}", text)


def stale(write: bool = False) -> list[str]:
    """The names of the pages that differ from the code. With `write`, they are written."""
    found = []
    for name, parts in PAGES.items():
        page = DOCS / name
        text = page.read_text(encoding="utf-8")
        new = renewed(text, parts)
        if new != text:
            found.append(name)
            if write:
                page.write_text(new, encoding="utf-8")
    return found
