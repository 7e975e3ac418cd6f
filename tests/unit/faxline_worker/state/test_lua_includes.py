"""Each script includes the pieces that it needs, and no others.

In Lua a name that is nowhere defined raises only when the line is reached. So the texts are searched: from a
script's own lines on, every function of a piece that may be called must be included, and ahead of its caller.
"""

import re
from dataclasses import dataclass, field
from importlib.resources import files

import pytest

from faxline_worker.state import archive_marks, scripts
from faxline_worker.state.scripts import CLOCK, FIRST, STEADY
from faxline_worker.state.store import SCRIPTS

LUA = files("faxline_worker") / "state" / "lua"
PIECES = [piece.name.removesuffix(".lua") for piece in (LUA / "lib").iterdir()]
UNREAD = re.compile(r"""'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"|--[^\n]*""")
"""Strings and comments."""
NAME = re.compile(r"(?<![\w.:])[A-Za-z_]\w*")
CALL = re.compile(r"(?<![\w.:])([A-Za-z_]\w*) ?\(")
LUAS_OWN = {
    "error",
    "ipairs",
    "next",
    "pairs",
    "pcall",
    "select",
    "setmetatable",
    "tonumber",
    "tostring",
    "type",
    "unpack",
}
LUAS_OWN |= {"and", "elseif", "function", "if", "in", "not", "or", "return"}
"""Lua's own functions, and the words that stand ahead of a bracket."""
AHEAD = {"meet_job"}
"""Declared ahead of its definition, because it and `accept` call each other."""


@dataclass
class Block:
    """A line at the left margin, with all that belongs to it. A `do` defines what was declared before."""

    piece: str
    defines: list[str]
    text: str
    needs: set[str] = field(default_factory=set)


def blocks_of(piece: str, text: str) -> list[Block]:
    """A text cut before each `local`, `function` and `do` at the left margin."""
    text = UNREAD.sub("", text)
    found = []
    for part in re.split(r"^(?=local |function |do$)", text, flags=re.MULTILINE):
        head = re.match(r"(?:local )?function (\w+)|local ([\w, ]+)", part)
        names = (head[1] or head[2]).replace(" ", "").split(",") if head else []
        if part.startswith("do"):
            names = re.findall(r"^  (?:function )?(\w+)(?:\(| = )", part, re.MULTILINE)
        found.append(Block(piece, names, part))
    return found


def locals_of(text: str) -> set[str]:
    """Variables and parameters that a text has of its own."""
    patterns = (
        r"local ([\w, ]+)",
        r"function[ \w]*\(([^)]*)\)",
        r"for ([\w, ]+?)(?: in\b| ?=)",
        r"local function (\w+)",
    )
    found = [names for pattern in patterns for names in re.findall(pattern, text)]
    return {name.strip() for names in found for name in names.split(",")}


def needs_of(text: str, known: set[str]) -> set[str]:
    """Names of pieces that a text uses: not its own variables, and not the members of its tables."""
    members = {
        name for name in re.findall(r"(\w+)\s*=[^=]", text) if not re.search(rf"\b{name}\s*[(\[]", text)
    }
    return set(NAME.findall(text)) & known - locals_of(text) - members


LIBRARY = {name: blocks_of(name, (LUA / "lib" / f"{name}.lua").read_text()) for name in PIECES}
KNOWN = {name for blocks in LIBRARY.values() for block in blocks for name in block.defines}
FILES = [file.name for file in LUA.iterdir() if file.name.endswith(".lua")] + [
    f"lib/{piece}.lua" for piece in PIECES
]
TEXTS = {file: UNREAD.sub("", (LUA / file).read_text()) for file in FILES}
USED = {file: needs_of(text, KNOWN) for file, text in TEXTS.items()}


@pytest.mark.parametrize("script", [*SCRIPTS, *archive_marks.SCRIPTS, "tick"])
def test_a_script_includes_what_it_needs_and_nothing_else(script: str) -> None:
    text = (LUA / f"{script}.lua").read_text()
    named = " ".join(re.findall(r"^-- include: (.+)$", text, re.MULTILINE)).split()
    pieces = [*FIRST, *(other for name in named for other in ([CLOCK, STEADY] if name == CLOCK else [name]))]
    blocks = [block for piece in pieces for block in LIBRARY[piece]]
    places = {name: place for place, block in enumerate(blocks) for name in block.defines}
    own = UNREAD.sub("", text)
    todo, seen, used = [(name, len(blocks)) for name in needs_of(own, KNOWN)], set[str](), set[str]()
    while todo:
        name, caller = todo.pop()
        assert name in places, f"{name} is not included"
        assert places[name] <= caller or name in AHEAD, f"{name} is defined after its caller"
        if name not in seen:
            seen.add(name)
            block = blocks[places[name]]
            used.add(block.piece)
            todo += [(other, places[name]) for other in needs_of(block.text, KNOWN) - set(block.defines)]
    assert set(pieces) - used - {*FIRST, CLOCK, STEADY} == set()


@pytest.mark.parametrize("file", TEXTS)
def test_every_function_that_is_called_is_defined(file: str) -> None:
    assert set(CALL.findall(TEXTS[file])) <= locals_of(TEXTS[file]) | KNOWN | LUAS_OWN


@pytest.mark.parametrize("piece", PIECES)
def test_a_piece_shows_only_what_others_use(piece: str) -> None:
    used = set[str]().union(*(names for file, names in USED.items() if file != f"lib/{piece}.lua"))
    assert {name for block in LIBRARY[piece] for name in block.defines} <= used


MOST_LOCALS = 155
"""Lua 5.1 allows 200 local variables in a function, and a script with its pieces is one function.

Redis does not load a script that has more. What only one piece uses stands in a `do … end` block and counts
only inside it.
"""


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_well_below_the_local_variables_that_lua_allows(script: str) -> None:
    text = UNREAD.sub("", scripts.source(script))
    functions = re.findall(r"^local function \w+", text, re.MULTILINE)
    others = re.findall(r"^local (?!function )([\w, ]+)", text, re.MULTILINE)
    assert len(functions) + sum(len(names.split(",")) for names in others) <= MOST_LOCALS
