"""The JSON Schema of the entries: the models' rules, and the checks that a schema can express."""

from typing import Any

from faxline.contract.entries import KINDS, SealedEntry
from faxline.contract.entry_members import FILES, RECIPIENTS
from faxline.contract.sealing.seals import SEALED_KINDS
from faxline.schema.descriptions import DESCRIPTIONS
from faxline.schema.generator import DEFINITIONS, DIALECT, Generator, definitions, summary

ID_LENGTH = 128
SOURCES = ("fileUrl", "fileData", "document")
ENTRY_NAMES = {kind: model.__name__ for kind, model in KINDS.items()}
"""The name of each kind's schema."""


def entries_schema() -> dict[str, Any]:
    """Build the schema of an intake entry, as an object with its only field: `{"send": {…}}`.

    Each kind is also a schema of its own under `$defs`, such as `#/$defs/SendEntry`.
    """
    return {
        "$schema": DIALECT,
        "$id": "urn:faxline:entries",
        "title": "An entry of fax:{account}:intake",
        "description": "One field: its name is the kind, its value the JSON text of this object.",
        "type": "object",
        "properties": {kind: payload_of(kind) for kind in KINDS},
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
        "$defs": entry_definitions(),
    }


def payload_of(kind: str, template: str = DEFINITIONS) -> dict[str, Any]:
    """The schema of a kind's value: in clear or, for some kinds, sealed."""
    plain = {"$ref": template.format(model=ENTRY_NAMES[kind])}
    if kind not in SEALED_KINDS:
        return plain
    return {"oneOf": [plain, {"$ref": template.format(model=SealedEntry.__name__)}]}


def entry_definitions(template: str = DEFINITIONS) -> dict[str, Any]:
    """Build the schemas of the kinds and of their parts, by the names of the models."""
    found = definitions([*KINDS.values(), SealedEntry], Generator, template)
    for name, words in DESCRIPTIONS.items():
        members = found[name]["properties"]
        for member, text in words.items():
            members[member] |= {"description": text}
    for model in (*KINDS.values(), SealedEntry):
        found[model.__name__]["description"] = summary(model)
    _add_checks(found)
    return found


def _add_checks(found: dict[str, Any]) -> None:
    """Add the rules of `check_send` that the models lack and a schema can express."""
    number, files = (found["FaxRequest"]["properties"][name] for name in ("faxNumber", "faxData"))
    number["oneOf"][1]["maxItems"] = RECIPIENTS
    files |= {"minItems": 1, "maxItems": FILES}
    found["FaxFile"]["oneOf"] = [_only(source) for source in SOURCES]
    # The ids of a list's jobs are ID.1 and so on, and must be ids too; the list is a group of its own.
    found["SendEntry"]["allOf"] = [
        {"if": _numbers(1), "then": {"properties": {"id": _shorter(2), "group": {"type": "null"}}}},
        {"if": _numbers(10), "then": {"properties": {"id": _shorter(3)}}},
    ]


def _only(source: str) -> dict[str, Any]:
    """Require that a source is given. Null counts as absent."""
    return {"required": [source], "properties": {source: {"type": "string"}}}


def _numbers(least: int) -> dict[str, Any]:
    listed = {"type": "array", "minItems": least}
    fax = {"required": ["faxNumber"], "properties": {"faxNumber": listed}}
    return {"required": ["fax"], "properties": {"fax": fax}}


def _shorter(by: int) -> dict[str, Any]:
    return {"maxLength": ID_LENGTH - by}
