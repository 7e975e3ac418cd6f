"""Changes to pydantic's schema generator, and pieces that the documents share."""

import inspect
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS = "#/$defs/{model}"


class Generator(GenerateJsonSchema):
    """Leaves out titles that only repeat a member's name, and defaults of null."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Add no title: the member's name is enough."""
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """Leave out a default of None: `required` already says that the member may be absent."""
        made = super().default_schema(schema)
        if made.get("default", 0) is None:
            del made["default"]
        return made


class AbsentGenerator(Generator):
    """For data that Faxline writes: a member that is None is absent, and never null."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        """The schema of the value."""
        return self.generate_inner(schema["schema"])


def definitions(
    models: Iterable[type[BaseModel]], generator: type[GenerateJsonSchema], template: str = DEFINITIONS
) -> dict[str, Any]:
    """Build the schemas of some models and of all that they refer to, by the names of the models.

    Args:
        models: the models.
        generator: how they are written.
        template: the form of a reference to a model, with `{model}` for its name.
    """
    _, whole = models_json_schema(
        [(model, "validation") for model in models], schema_generator=generator, ref_template=template
    )
    found: dict[str, Any] = whole["$defs"]
    return found


def summary(model: type[BaseModel]) -> str:
    """The summary of a model's docstring, as one line."""
    return " ".join((inspect.getdoc(model) or "").split())
