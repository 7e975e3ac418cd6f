"""docs/library.md: the methods of `FaxLine` and the errors of the library, from signatures and docstrings."""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

import faxline
from faxline.client.sync import FaxLine
from faxline.client.sync_inspection import Inspection
from faxline.client.sync_operator import DataProtection, Operator
from faxline.client.sync_pauses import Pauses
from faxline.client.sync_reading import Reading
from faxline.client.sync_sending import Sending
from faxline_docs.markdown import code, table


def methods() -> str:
    """The methods: those for producers first, then those for operators."""
    own = _methods_of(Sending, Reading, FaxLine)
    others = _methods_of(Inspection, Pauses, Operator, DataProtection)
    return f"### For producers\n\n{_table(own)}\n\n### For operators\n\n{_table(others)}"


def errors() -> str:
    """The exceptions, each with its base classes and when it is raised."""
    found = [getattr(faxline, name) for name in faxline.__all__]
    rows = [
        (code(each.__name__), ", ".join(code(base.__name__) for base in each.__bases__), _summary(each))
        for each in found
        if isinstance(each, type) and issubclass(each, Exception)
    ]
    return table(("error", "is a", "raised when"), sorted(rows))


def _methods_of(*classes: type) -> list[tuple[str, Callable[..., Any]]]:
    return [(name, each) for one in classes for name, each in vars(one).items() if inspect.isfunction(each)]


def _table(found: Sequence[tuple[str, Callable[..., Any]]]) -> str:
    rows = [(_call(name, value), _summary(value)) for name, value in found if not name.startswith("_")]
    return table(("method", "what it does"), rows)


def _call(name: str, method: Callable[..., Any]) -> str:
    names = []
    for parameter in list(inspect.signature(method).parameters.values())[1:]:
        if parameter.kind is parameter.KEYWORD_ONLY and "*" not in names:
            names.append("*")
        names.append(parameter.name if parameter.default is parameter.empty else f"{parameter.name}=…")
    return code(f"{name}({', '.join(names)})")


def _summary(thing: Any) -> str:
    first = re.split(r"\n\s*\n", inspect.getdoc(thing) or "")[0]
    return " ".join(first.split())
