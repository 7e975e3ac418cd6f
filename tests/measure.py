"""`python tests/measure.py [FOLDER]`: the size and the shape of the code, as CONTRIBUTING.md says.

FOLDER is a checkout, by default this one, so that two of them can be compared.
"""

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

PACKAGES = {"faxline": "producers", "faxline_worker": "worker", "faxline_archive": "worker"}
WINDOW = 6
"""Lines of code that must be alike to count as a duplicate."""


def modules(root: Path) -> Iterator[tuple[Path, ast.Module]]:
    """Every module of the packages."""
    for package, folder in PACKAGES.items():
        for path in sorted((root / folder / package).rglob("*.py")):
            yield path, ast.parse(path.read_text(encoding="utf-8"))


def length(node: ast.stmt) -> int:
    """Lines of a statement."""
    return (node.end_lineno or node.lineno) - node.lineno + 1


def lazy(tree: ast.Module) -> int:
    """Imports inside of functions."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    found = {
        node for each in functions for node in ast.walk(each) if isinstance(node, ast.Import | ast.ImportFrom)
    }
    return len(found)


def floors(graph: grimp.ImportGraph) -> str:
    """The length of the longest chain of imports; of a circle one arrow is left out, and that is said."""
    below = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    circles = 0
    while True:
        try:
            order = list(TopologicalSorter(below).static_order())
        except CycleError as found:
            imported, importer = found.args[1][:2]
            below[importer].discard(imported)
            circles += 1
        else:
            break
    height: dict[str, int] = {}
    for module in order:
        height[module] = 1 + max((height[each] for each in below[module]), default=0)
    return f"{max(height.values())}, and circles: {circles}"


def duplicates(sources: list[list[str]]) -> int:
    """Lines in runs of WINDOW or more that stand elsewhere too; blank lines and imports do not count."""
    runs: Counter[str] = Counter()
    kept = [
        [text for line in source if (text := line.strip()) and not text.startswith(("import ", "from ", "#"))]
        for source in sources
    ]
    for lines in kept:
        runs.update("\n".join(lines[at : at + WINDOW]) for at in range(len(lines) - WINDOW + 1))
    found = 0
    for lines in kept:
        again = [runs["\n".join(lines[at : at + WINDOW])] > 1 for at in range(len(lines))]
        found += sum(any(again[max(0, at - WINDOW + 1) : at + 1]) for at in range(len(lines)))
    return found


def main(root: Path) -> None:
    """Print a figure a line."""
    found = list(modules(root))
    sources = [path.read_text(encoding="utf-8").splitlines() for path, _ in found]
    largest = max(found, key=lambda each: len(each[0].read_text(encoding="utf-8").splitlines()))[0]
    classes = [
        (length(node), node.name)
        for _, tree in found
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    ]
    names = [
        node
        for _, tree in found
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == "Any"
    ]
    sys.path[:0] = [str(root / folder) for folder in PACKAGES.values()]
    graph = grimp.build_graph(*PACKAGES, cache_dir=None, exclude_type_checking_imports=True)
    arrows = sum(len(graph.find_modules_directly_imported_by(module)) for module in graph.modules)
    lines = {
        "modules": len(found),
        "folders": len({path.parent for path, _ in found}),
        "lines": sum(map(len, sources)),
        "largest module": f"{largest.relative_to(root)}, {max(map(len, sources))} lines",
        "largest class": "{1}, {0} lines".format(*max(classes)),
        "modules over 300 lines": sum(len(source) > 300 for source in sources),
        "classes over 200 lines": sum(size > 200 for size, _ in classes),
        "arrows": arrows,
        "floors": floors(graph),
        "Any in annotations": len(names),
        "lazy imports": sum(lazy(tree) for _, tree in found),
        "duplicate lines": duplicates(sources),
    }
    for name, figure in lines.items():
        sys.stdout.write(f"{name:<24} {figure}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve())
