"""No module and no class is longer than one can read in one go."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDERS = ("producers", "worker", "ops", "grafana", "docs")
MODULES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in FOLDERS
    for path in (ROOT / folder).rglob("*.py")
    if "node_modules" not in path.parts
}
LINES, CLASS_LINES, TEST_LINES = 300, 200, 500


def class_sizes(text: str) -> dict[str, int]:
    """The lines of each class of a module."""
    classes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ClassDef)]
    return {node.name: (node.end_lineno or 0) - node.lineno + 1 for node in classes}


def test_no_module_has_more_than_300_lines() -> None:
    assert len(MODULES) > 100
    assert {name for name, text in MODULES.items() if len(text.splitlines()) > LINES} == set()


def test_no_module_of_tests_has_more_than_500_lines() -> None:
    sizes = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(sizes) > 200
    assert {name for name, lines in sizes.items() if lines > TEST_LINES} == set()


def test_no_class_has_more_than_200_lines() -> None:
    sizes = {(name, one): size for name, text in MODULES.items() for one, size in class_sizes(text).items()}
    assert ("producers/faxline/reading/job.py", "Job") in sizes
    assert {one for one, size in sizes.items() if size > CLASS_LINES} == set()
