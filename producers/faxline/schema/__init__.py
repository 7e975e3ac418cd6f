"""JSON Schema of the entries and the events, and the AsyncAPI document of the streams.

Made from the models; `python -m faxline.schema entries` (or events, asyncapi) prints one. Nothing else of the
library imports this: a producer that does not ask for a schema does not wait for one.
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
"""What `python -m faxline.schema` prints, by name."""

__all__ = ["DOCUMENTS", "asyncapi_document", "entries_schema", "events_schema"]
