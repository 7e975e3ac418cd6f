"""docs/events.md: every event and its members, from the models of `faxline.contract.event_data`."""

import re
from collections.abc import Mapping
from typing import Any

from faxline.contract.event_data import DATA, CancelRefusedData, EventData
from faxline_docs.markdown import code, table


def sections() -> str:
    """A section for each event: what it means, and the members of its `data`."""
    return "\n\n".join(_section(name, model) for name, model in DATA.items())


def _section(name: str, model: type[EventData]) -> str:
    schema = model.model_json_schema(by_alias=True)
    required = set(schema.get("required", ()))
    rows = [
        (
            code(member),
            _kind(value),
            "always" if member in required else "if known",
            value.get("description", ""),
        )
        for member, value in schema["properties"].items()
    ]
    text = re.sub(rf"^`{re.escape(name)}`: ", "", (model.__doc__ or "").strip())
    text = " ".join(text.split())
    text = text if text.startswith("iFax") else text[:1].upper() + text[1:]
    if model is CancelRefusedData:
        text += " Every `reason` is in the list below the tables."
    return f"### `{name}`\n\n{text}\n\n" + table(("member", "type", "present", "meaning"), rows)


def _kind(value: Mapping[str, Any]) -> str:
    if "const" in value:
        return code(f'"{value["const"]}"')
    if "enum" in value:
        return ", ".join(code(str(each)) for each in value["enum"])
    if "anyOf" in value:
        return " or ".join(_kind(each) for each in value["anyOf"] if each.get("type") != "null")
    return str(value.get("type", "any"))
