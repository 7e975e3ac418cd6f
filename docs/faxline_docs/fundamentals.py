"""docs/fundamentals.md: the tests of tests/fundamentals, each as a section."""

import ast
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

FOLDER = Path(__file__).parents[2] / "tests" / "fundamentals"
FILES = sorted(FOLDER.glob("test_*.py"))


def part(file: Path) -> Callable[[str], str]:
    """Return the function that makes the part of a file."""
    return lambda _: chapter(file)


def chapter(file: Path) -> str:
    """Each test of a file as a section: the name as heading, the docstring as text, then the code."""
    source = file.read_text(encoding="utf-8")
    shown = []
    helpers: list[str] = []
    for node in ast.parse(source).body:
        if not isinstance(node, ast.FunctionDef) or node.decorator_list:
            continue  # imports, constants and fixtures
        if node.name.startswith("test_"):
            shown.append(_section(source, node, helpers))
            helpers = []
        else:
            helpers.append(f"{ast.get_source_segment(source, node)}\n\n\n")
    return "\n".join(shown)


def _section(source: str, test: ast.FunctionDef, helpers: list[str]) -> str:
    name = test.name.removeprefix("test_").replace("_", " ").capitalize()
    lines = source.splitlines()[test.body[1].lineno - 1 : test.end_lineno]
    code = "".join(helpers) + dedent("\n".join(lines))
    return f"### {name}\n\n{ast.get_docstring(test)}\n\n```python\n{code}\n```\n"
