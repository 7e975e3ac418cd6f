"""Reads untrusted entries of the intake stream. The error names the first rule that an entry breaks."""

import json
import re
from typing import Any

from pydantic import (
    ValidationError,
)

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
)
from faxline.contract.errors import EntryRejected, Rejection, SealBroken
from faxline.contract.sealing.seals import SEALED_KINDS, Seals
from faxline.contract.texts import clean_message

_SHOWN = re.compile(r"[A-Za-z_-]{1,40}")
"""The names of unknown members that a path may show: a typing error, but never a phone number."""


def names_in(raw: bytes) -> tuple[str, str | None]:
    """Read the id and the group of a rejected entry.

    An id that is not valid may be any text, so phone numbers in it are masked.
    """
    if len(raw) > ENTRY_BYTES:
        return "", None
    try:
        content = json.loads(raw)
        value, group = content["id"], content.get("group")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", None
    if not isinstance(value, str):
        return "", None
    named = group if isinstance(group, str) and IDENTIFIER.fullmatch(group) else None
    return value if IDENTIFIER.fullmatch(value) else clean_message(value)[:LONGEST_ID], named


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
