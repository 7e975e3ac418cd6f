"""Reads untrusted entries of the intake stream. The error names the first rule that an entry breaks."""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from faxline.contract.entries import (
    KINDS,
    MANY_NUMBERS,
    ONE_NUMBER,
    Entry,
    ResendEntry,
    SealedEntry,
    SendEntry,
)
from faxline.contract.entry_members import (
    ENTRY_BYTES,
    IDENTIFIER,
    LONGEST_ID,
    Metadata,
)
from faxline.contract.errors import EntryRejected, KeyMissing, Rejection, SealBroken
from faxline.contract.sealing.seals import SEALED_KINDS, Seals
from faxline.contract.texts import clean_message

_SHOWN = re.compile(r"[A-Za-z_-]{1,40}")
"""The names of unknown members that a path may show: a typing error, but never a phone number."""
METADATA_RULES: TypeAdapter[dict[str, Any]] = TypeAdapter(Metadata)


class Known(NamedTuple):
    """What the event of a rejected entry tells of it.

    Attributes:
        id: the entry's id. One that is not valid may be any text, so phone numbers in it are masked.
        group: the group that it names; None if it names none.
        metadata: its metadata; empty if it has none, or none that is valid.
    """

    id: str = ""
    group: str | None = None
    metadata: Mapping[str, Any] = MappingProxyType({})


def known_of(kind: str, raw: bytes, entry: Entry | None, seals: Seals) -> Known:
    """What is known of a rejected entry.

    Args:
        kind: the name of its field.
        raw: its value.
        entry: the entry, as far as it could be parsed.
        seals: open a sealed entry.
    """
    if isinstance(entry, SendEntry | ResendEntry):
        return Known(entry.id, entry.group if isinstance(entry, SendEntry) else None, entry.metadata)
    if not isinstance(entry, SealedEntry):
        return _read_leniently(raw)
    try:
        opened = seals.open_entry(kind, entry.id, entry.sealed)
    except (SealBroken, KeyMissing):
        return Known(entry.id)
    return _read_leniently(opened)._replace(id=entry.id)


def _read_leniently(raw: bytes | str) -> Known:
    if len(raw) > ENTRY_BYTES:
        return Known()
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return Known()
    if not isinstance(content, dict):
        return Known()
    name, group, metadata = content.get("id"), content.get("group"), content.get("metadata")
    return Known(
        ""
        if not isinstance(name, str)
        else name
        if IDENTIFIER.fullmatch(name)
        else clean_message(name)[:LONGEST_ID],
        group if isinstance(group, str) and IDENTIFIER.fullmatch(group) else None,
        _valid_metadata(metadata),
    )


def _valid_metadata(value: Any) -> Mapping[str, Any]:
    try:
        return METADATA_RULES.validate_python(value, strict=True)
    except (ValidationError, RecursionError):
        return {}


ENTRY_TOO_LARGE = "an entry may have 32 MiB; upload the document separately, or use a fileUrl"


def parse_entry(kind: str, raw: bytes | str) -> Entry:
    """Read one entry. Of a sealed entry only the clear part is read.

    Args:
        kind: the name of the entry's only field: send, cancel or resend.
        raw: its value.

    Raises:
        EntryRejected: the entry breaks a rule. Nothing else is raised.
    """
    if len(raw) > ENTRY_BYTES:
        raise EntryRejected("", Rejection.TOO_LARGE, ENTRY_TOO_LARGE)
    model: type[Entry] | None = KINDS.get(kind)
    if model is None:
        raise EntryRejected("", Rejection.UNKNOWN_KIND, "an entry has one field: send, cancel or resend")
    try:
        text = raw if isinstance(raw, str) else raw.decode(json.detect_encoding(raw), "surrogatepass")
        content = _DECODER.decode(text)
    except EntryRejected:
        raise
    except (ValueError, RecursionError):
        raise EntryRejected("", Rejection.NOT_JSON, f"the value of {kind} is not JSON") from None
    if not isinstance(content, dict):
        raise EntryRejected("", Rejection.NOT_JSON, f"the value of {kind} is not a JSON object")
    if kind in SEALED_KINDS and "sealed" in content:
        model = SealedEntry
    try:
        return model.model_validate(content)
    except (ValidationError, RecursionError) as error:
        raise _rejection(error) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise EntryRejected("", Rejection.NOT_JSON, "a member is there twice in one object")
    return members


def _constant(name: str) -> Any:
    raise ValueError(name)


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_constant)
"""One decoder for all entries: json.loads would make one for each."""


def open_entry(kind: str, entry: SealedEntry, seals: Seals) -> SendEntry | ResendEntry:
    """Read the content of a sealed entry.

    Raises:
        EntryRejected: it breaks a rule, or cannot be unsealed.
        KeyMissing: it is sealed with a key that is not on the keyring.
    """
    try:
        opened = parse_entry(kind, seals.open_entry(kind, entry.id, entry.sealed))
    except SealBroken as error:
        raise EntryRejected("sealed", Rejection.SEAL_BROKEN, str(error)) from None
    if opened.id != entry.id or not isinstance(opened, SendEntry | ResendEntry):
        raise EntryRejected(
            "sealed", Rejection.BAD_VALUE, "the sealed content must be a whole entry with the same id"
        )
    return opened


_REASONS = {
    "extra_forbidden": (Rejection.UNKNOWN_MEMBER, "there is no such member"),
    "missing": (Rejection.MISSING_MEMBER, "this member is required"),
}


def _rejection(error: ValidationError | RecursionError) -> EntryRejected:
    if isinstance(error, RecursionError):
        return EntryRejected("", Rejection.NOT_JSON, "the entry is nested too deeply")
    problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
    path = ""
    for part in problem["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
        elif _SHOWN.fullmatch(part):
            path += f".{part}" if path else part
        elif part not in {ONE_NUMBER, MANY_NUMBERS}:
            path += ".?" if path else "?"  # a stranger's text is not repeated
    if problem["type"] in set(Rejection):
        return EntryRejected(path, Rejection(problem["type"]), problem["msg"])
    reason, message = _REASONS.get(problem["type"], (Rejection.BAD_VALUE, problem["msg"]))
    return EntryRejected(path, reason, message)
