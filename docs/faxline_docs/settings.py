"""docs/settings.md: every variable with its default from the code, and the page's description.

The names and defaults come from the code. The description of a setting is written in the page, and is kept.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from faxline_docs.markdown import code
from faxline_docs.markdown import table as markdown_table
from faxline_worker.config.settings import Settings
from faxline_worker.config.source import setting_variables

HEAD = ("variable", "default", "meaning")
UNDESCRIBED = "(not described)"
_ROW = re.compile(r"^\| `(\w[\w<>]*)` \| .*? \| (.+) \|$", re.MULTILINE)


def table(written: str) -> str:
    """The table of all settings.

    Args:
        written: the table in the page. Its last column is kept, by the variable.
    """
    meanings = {name: meaning.replace("\\|", "|") for name, meaning in _ROW.findall(written)}
    rows = [
        (code(name), code(_shown(default)) + _unit(default) or "none", meanings.get(name, UNDESCRIBED))
        for name, default in variables()
    ]
    return markdown_table(HEAD, rows)


def variables() -> Iterator[tuple[str, Any]]:
    """Every variable of the environment with its default."""
    for name, field in setting_variables(Settings).items():
        default = field.get_default(call_default_factory=True, validated_data={})
        yield name, None if default is PydanticUndefined else default


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    if value is None or value in ("", (), {}):
        return ""
    match value:
        case bool():
            return str(value).lower()
        case timedelta():
            return f"{value.total_seconds():.10g}"
        case float():
            return f"{value:.10g}"
        case tuple() | list():
            return f"[{','.join(map(_shown, value))}]"
    return str(value)


def _unit(value: Any) -> str:
    """The unit of a duration or a list of durations: seconds."""
    first = value[0] if isinstance(value, tuple | list) and value else value
    return " s" if isinstance(first, timedelta) else ""
