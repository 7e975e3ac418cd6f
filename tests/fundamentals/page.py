"""`make fundamentals`: docs/fundamentals.md with the tests of this folder between its markers."""

import ast
import re
import sys
from pathlib import Path
from textwrap import dedent

FOLDER = Path(__file__).parent
PAGE = FOLDER.parents[1] / "docs" / "fundamentals.md"
MARKED = re.compile(r"(<!-- (test_\w+\.py) -->\n).*?(<!-- end -->)", re.DOTALL)


def quoted(page: str) -> str:
    """The page with each file's tests between its markers, `<!-- test_library.py -->` and `<!-- end -->`."""
    return MARKED.sub(lambda found: found[1] + chapter(FOLDER / found[2]) + found[3], page)


def chapter(file: Path) -> str:
    """Every test of a file as a section: its name is the heading, its docstring the text, then its code."""
    source = file.read_text(encoding="utf-8")
    module = ast.parse(source)
    shown = []
    helpers: list[str] = []
    for node in module.body:
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            continue  # imports, constants and fixtures
        if node.name.startswith("test_"):
            shown.append(section(source, node, helpers))
            helpers = []
        else:
            helpers.append(f"{ast.get_source_segment(source, node)}\n\n\n")
    return "".join(shown) + "\n"


def section(source: str, test: ast.FunctionDef, helpers: list[str]) -> str:
    """One test, behind the functions that stand before it and are no tests."""
    name = test.name.removeprefix("test_").replace("_", " ").capitalize()
    lines = source.splitlines()[test.body[1].lineno - 1 : test.end_lineno]
    code = "".join(helpers) + dedent("\n".join(lines))
    return f"\n### {name}\n\n{ast.get_docstring(test)}\n\n```python\n{code}\n```\n"


if __name__ == "__main__":
    text = quoted(PAGE.read_text(encoding="utf-8"))
    PAGE.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{PAGE.name}: {len(text.splitlines())} lines\n")
