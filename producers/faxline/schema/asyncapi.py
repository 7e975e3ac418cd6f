"""The AsyncAPI 3.0 document of the two streams that other services see."""

from importlib.metadata import version
from typing import Any

from faxline.contract.entries import KINDS
from faxline.contract.event_data import DATA
from faxline.schema.entries import entry_definitions, payload_of
from faxline.schema.events import FIELDS, event_definitions
from faxline.schema.generator import summary

SCHEMAS = "#/components/schemas/{model}"
_EXAMPLES: dict[str, dict[str, Any]] = {
    "send": {
        "id": "invoice-77",
        "priority": "normal",
        "fax": {
            "faxNumber": "+12345678901",
            "faxData": [{"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}],
        },
    },
    "cancel": {"id": "invoice-77"},
    "resend": {"id": "invoice-77-b", "of": "invoice-77", "faxNumber": "+12345678902"},
}
_INTAKE = (
    "XADD KEY * KIND JSON: one field, whose name is the message's and whose value is the payload as JSON "
    "text. If the reply is lost, push again with the same id. An entry leaves the stream once it is "
    "processed."
)
_EVENTS = (
    "XREAD, or XREADGROUP and XACK: an entry has the fields of the headers, and `data` with the payload as "
    "JSON text. The stream is capped (FAXLINE_EVENTS_CAP, about 100000 entries). A reader that missed events "
    "reads the record: HGET fax:{account}:job:ID state."
)


def asyncapi_document() -> dict[str, Any]:
    """Build the document. It is self-contained: it includes the schemas of the two JSON Schema files."""
    entries = {kind: _entry(kind) for kind in KINDS}
    events = {str(name): _event(str(name), model.__name__, summary(model)) for name, model in DATA.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Faxline",
            "version": version("faxline"),
            "description": "Push a fax onto a Redis stream and read its events from another. The application "
            "described here is Faxline: it receives entries and sends events.",
        },
        "defaultContentType": "application/json",
        "servers": {
            "redis": {
                "host": "localhost:6379",
                "protocol": "redis",
                "description": "Redis 7.0 or newer, or Valkey: FAXLINE_REDIS_URL.",
            }
        },
        "channels": {
            "intake": _channel("intake", "Entries that producers push.", _INTAKE, entries),
            "events": _channel("events", "One event for each step of a job.", _EVENTS, events),
        },
        "operations": {
            "receiveEntry": _operation("receive", "intake", "Receive an entry of a producer.", entries),
            "sendEvent": _operation("send", "events", "Publish a step of a job.", events),
        },
        "components": {
            "messages": entries | events,
            "schemas": entry_definitions(SCHEMAS) | event_definitions(SCHEMAS),
            "parameters": {
                "account": {
                    "description": "The account's name in braces, which are part of the key (a hash tag): "
                    "one of a-z 0-9, then a-z 0-9 _ . -, 63 at most.",
                    "default": "{default}",
                    "examples": ["{default}"],
                }
            },
        },
    }


def _channel(name: str, title: str, text: str, messages: dict[str, Any]) -> dict[str, Any]:
    return {
        "address": f"fax:{{account}}:{name}",
        "title": title,
        "description": text,
        "servers": [{"$ref": "#/servers/redis"}],
        "parameters": {"account": {"$ref": "#/components/parameters/account"}},
        "messages": {message: {"$ref": f"#/components/messages/{message}"} for message in messages},
    }


def _operation(action: str, channel: str, text: str, messages: dict[str, Any]) -> dict[str, Any]:
    place = f"#/channels/{channel}"
    return {
        "action": action,
        "channel": {"$ref": place},
        "summary": text,
        "messages": [{"$ref": f"{place}/messages/{message}"} for message in messages],
    }


def _entry(kind: str) -> dict[str, Any]:
    return {
        "name": kind,
        "title": f"The field {kind}",
        "summary": summary(KINDS[kind]),
        "payload": payload_of(kind, SCHEMAS),
        "examples": [{"name": kind, "payload": _EXAMPLES[kind]}],
    }


def _event(name: str, model: str, text: str) -> dict[str, Any]:
    members = {**FIELDS, "event": {**FIELDS["event"], "const": name, "examples": [name]}}
    return {
        "name": name,
        "title": f"The event {name}",
        "summary": text,
        "correlationId": {"location": "$message.header#/job", "description": "The job's id."},
        "headers": {"type": "object", "properties": members, "required": list(FIELDS)},
        "payload": {"$ref": SCHEMAS.format(model=model)},
    }
