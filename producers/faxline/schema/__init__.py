"""JSON Schema of the entries and the events, and the AsyncAPI document of the streams.

They are generated from the models. `python -m faxline.schema entries` (or events, asyncapi) prints one. The
rest of the library does not import this package, so `import faxline` stays fast.
"""

from collections.abc import Callable, Mapping
from typing import Any

from faxline.schema.asyncapi import asyncapi_document
from faxline.schema.entries import entries_schema
from faxline.schema.events import events_schema

DOCUMENTS: Mapping[str, Callable[[], dict[str, Any]]] = {
    "entries": entries_schema,
    "events": events_schema,
    "asyncapi": asyncapi_document,
}
"""The documents that `python -m faxline.schema` prints, by name."""

__all__ = ["DOCUMENTS", "asyncapi_document", "entries_schema", "events_schema"]
