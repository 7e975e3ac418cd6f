"""What pydantic's generator is told to do otherwise, and the pieces that the documents share."""

import inspect
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DEFINITIONS = "#/$defs/{model}"


class Generator(GenerateJsonSchema):
    """Without titles that only repeat a member's name, and without defaults that say null."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """No: a member has its name."""
        return False

    def default_schema(self, schema: Any) -> JsonSchemaValue:
        """A default of None only says that the member may be left out, which `required` says."""
        made = super().default_schema(schema)
        if made.get("default", 0) is None:
            del made["default"]
        return made


class AbsentGenerator(Generator):
    """For what we write ourselves: a member that is None is not there, and never null."""

    def nullable_schema(self, schema: Any) -> JsonSchemaValue:
        """The schema of the value."""
        return self.generate_inner(schema["schema"])


def definitions(
    models: Iterable[type[BaseModel]], generator: type[GenerateJsonSchema], template: str = DEFINITIONS
) -> dict[str, Any]:
    """The schemas of some models and of all that they refer to, by the models' names.

    Args:
        models: the models.
        generator: how they are written.
        template: how one refers to another, with `{model}` for its name.
    """
    _, whole = models_json_schema(
        [(model, "validation") for model in models], schema_generator=generator, ref_template=template
    )
    found: dict[str, Any] = whole["$defs"]
    return found


def summary(model: type[BaseModel]) -> str:
    """What a model's docstring says, in one line."""
    return " ".join((inspect.getdoc(model) or "").split())
