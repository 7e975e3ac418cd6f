"""PromQL taken apart, as far as a check needs it: the selectors of an expression, its comparisons."""

import re
from collections.abc import Iterator

TOKEN = re.compile(
    r"""
    (?P<space>\s+|\#[^\n]*)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`[^`]*`)
  | (?P<number>\d[\w.]*)
  | (?P<name>[A-Za-z_:][\w:]*)
  | (?P<sign>==|!=|>=|<=|=~|!~|[-+*/%^(){}\[\],=<>@])
    """,
    re.VERBOSE,
)
COMPARISONS = {"==", "!=", ">", "<", ">=", "<="}
LISTS = {"by", "without", "on", "ignoring", "group_left", "group_right"}
"""What has a list of labels behind it."""
AGGREGATED = {"(", "by", "without"}
"""What stands behind the name of a function or an aggregation."""
WORDS = {"and", "or", "unless", "bool", "offset", "inf", "nan", "start", "end", "atan2"} | LISTS


class PromQLError(ValueError):
    """The expression has something that this module does not know."""


def tokens(expression: str) -> Iterator[tuple[str, str]]:
    """The kind and text of every token but space.

    Raises:
        PromQLError: a character belongs to none.
    """
    place = 0
    while place < len(expression):
        found = TOKEN.match(expression, place)
        if found is None:
            raise PromQLError(f"{expression[place : place + 20]!r} in {expression!r}")
        place = found.end()
        if found.lastgroup != "space":
            yield str(found.lastgroup), found[0]


def selectors(expression: str) -> set[str]:
    """Every vector selector of an expression, such as `up{job="x"}`, without its range."""
    parts, found, i = list(tokens(expression)), set[str](), 0
    while i < len(parts):
        kind, text = parts[i]
        after = parts[i + 1][1] if i + 1 < len(parts) else ""
        if kind == "name" and text.lower() in LISTS and after == "(":
            i = _behind(parts, i + 1, ")")
        elif text == "[":
            i = _behind(parts, i, "]")
        elif text == "{":
            raise PromQLError(f"a selector without a name in {expression!r}")
        elif kind == "name" and text.lower() not in WORDS and after not in AGGREGATED:
            end = _behind(parts, i + 1, "}") if after == "{" else i + 1
            found.add("".join(part for _, part in parts[i:end]))
            i = end
        else:
            i += 1
    return found


def _behind(parts: list[tuple[str, str]], start: int, closing: str) -> int:
    return next(i for i in range(start, len(parts)) if parts[i][1] == closing) + 1


def without_filters(expression: str) -> str:
    """The expression with every comparison `bool`: what it compares is there, whatever comes out.

    So an alert that does not fire has data too, unless a name, a label or the matching of its sides is wrong.
    """
    made, inside = list[str](), False
    for _, text in tokens(expression):
        inside = {"{": True, "}": False}.get(text, inside)
        made.append(f"{text} bool" if text in COMPARISONS and not inside else text)
    return re.sub(r"\bbool bool\b", "bool", " ".join(made))
