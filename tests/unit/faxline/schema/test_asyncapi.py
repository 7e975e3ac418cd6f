"""docs/asyncapi.json is AsyncAPI 3.0, complete in itself, and says what the code says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, Draft202012Validator

from faxline.contract.entries import KINDS
from faxline.contract.events import EventName
from faxline.contract.redis_keys import RedisKeys
from faxline.schema import asyncapi_document
from tests.npm import installed

CHECK = Path(__file__).parents[3] / "asyncapi"
DOCUMENT = asyncapi_document()


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def resolved(reference: str) -> Any:
    place: Any = DOCUMENT
    for step in reference.removeprefix("#/").split("/"):
        place = place[step]
    return place


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON Schema that AsyncAPI publishes for its version 3.0.0."""
    folder = installed(CHECK, tmp_path_factory.mktemp("npm") / "asyncapi")
    path = folder / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


@pytest.mark.slow
def test_the_document_is_valid_by_the_official_schema(official: dict[str, Any]) -> None:
    found = [error.message[:300] for error in Draft7Validator(official).iter_errors(DOCUMENT)]
    assert found == []


@pytest.mark.slow
def test_the_official_schema_would_find_a_mistake(official: dict[str, Any]) -> None:
    wrong = json.loads(json.dumps(DOCUMENT))
    wrong["operations"]["receiveEntry"]["action"] = "take"
    assert not Draft7Validator(official).is_valid(wrong)


def test_every_reference_leads_somewhere_in_the_document() -> None:
    found = set(references(DOCUMENT))
    assert found
    for reference in found:
        assert reference.startswith("#/")
        assert resolved(reference)


def test_the_channels_are_the_streams_of_an_account() -> None:
    keys = RedisKeys("default")
    name = DOCUMENT["components"]["parameters"]["account"]["default"]
    addresses = {
        channel: part["address"].format(account=name) for channel, part in DOCUMENT["channels"].items()
    }
    assert addresses == {"intake": keys.intake, "events": keys.events}


def test_the_messages_are_all_kinds_of_entries_and_all_events() -> None:
    channels, operations = DOCUMENT["channels"], DOCUMENT["operations"]
    assert set(channels["intake"]["messages"]) == set(KINDS)
    assert set(channels["events"]["messages"]) == set(EventName)
    for name, action, channel in (
        ("receiveEntry", "receive", "intake"),
        ("sendEvent", "send", "events"),
    ):
        assert operations[name]["action"] == action
        messages = {reference["$ref"].rpartition("/")[2] for reference in operations[name]["messages"]}
        assert messages == set(channels[channel]["messages"])


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_an_entry_fits_its_payload(kind: str) -> None:
    message = DOCUMENT["components"]["messages"][kind]
    schema = {**message["payload"], "components": DOCUMENT["components"]}
    validator = Draft202012Validator(schema)
    assert [error.message for error in validator.iter_errors(message["examples"][0]["payload"])] == []
    assert not validator.is_valid({})


@pytest.mark.parametrize("name", EventName)
def test_the_headers_of_an_event_are_its_fields(name: EventName) -> None:
    validator = Draft202012Validator(DOCUMENT["components"]["messages"][name]["headers"])
    assert validator.is_valid({"event": name, "job": "a", "at": "1800000000000"})
    assert not validator.is_valid({"event": "fax.other", "job": "a", "at": "1800000000000"})
    assert not validator.is_valid({"event": name, "job": "a"})
