"""The JSON Schema of the events. It is open: a newer daemon may add members and events."""

from typing import Any

from faxline.contract.event_data import DATA
from faxline.contract.events import EventName
from faxline.schema.generator import DEFINITIONS, DIALECT, AbsentGenerator, definitions, summary

FIELDS: dict[str, dict[str, Any]] = {
    "event": {
        "type": "string",
        "pattern": r"^fax\.[a-z_]+$",
        "examples": list(EventName),
        "description": "The event's name.",
    },
    "job": {
        "type": "string",
        "maxLength": 128,
        "description": "The job's id. For a rejected entry, the id that it names; empty if it names none.",
    },
    "at": {
        "type": "string",
        "pattern": "^[0-9]+$",
        "description": "When it happened, in milliseconds since 1970, by Redis' clock.",
    },
}
"""The fields of an event besides `data`. All are texts."""


def events_schema() -> dict[str, Any]:
    """Build the schema of an event, as an object of its fields with `data` already parsed."""
    names = {name: model.__name__ for name, model in DATA.items()}
    return {
        "$schema": DIALECT,
        "$id": "urn:faxline:events",
        "title": "An entry of fax:{account}:events",
        "description": "Its four fields are texts. `data`, the text of a JSON object, is that object here.",
        "type": "object",
        "properties": {**FIELDS, "data": {"type": "object"}},
        "required": [*FIELDS, "data"],
        "allOf": [
            {
                "if": {"properties": {"event": {"const": str(name)}}, "required": ["event"]},
                "then": {"properties": {"data": {"$ref": DEFINITIONS.format(model=model)}}},
            }
            for name, model in names.items()
        ],
        "$defs": event_definitions(),
    }


def event_definitions(template: str = DEFINITIONS) -> dict[str, Any]:
    """Build the schemas of the events' data, by the names of the models."""
    found = definitions(DATA.values(), AbsentGenerator, template)
    for model in DATA.values():
        found[model.__name__]["description"] = summary(model)
    return found
