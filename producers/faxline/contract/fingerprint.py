"""What an entry asks for, as text: the request for iFax, and the digest that tells a repeat of its id.

A digest stands in a job's record and meets the same entry again after an upgrade: it stays the same for ever.
It is that of the entry with its defaults and without what is not given, as `json.dumps` writes it with sorted
members, no spaces and all characters as they are. A fax holds texts only, and those `to_json`, which is
quicker, writes alike.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic_core import to_json

from faxline.contract.entries import FaxFile, FaxRequest, ResendEntry, SendEntry

_FAX = tuple(sorted(FaxRequest.model_fields))
_FILE = tuple(sorted(FaxFile.model_fields.keys() - {"upload"}))  # the same push again has another one
_SORTED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode
# json.dumps would make an encoder for each text.


def members_of(fax: FaxRequest) -> dict[str, Any]:
    """What is given of a request, sorted by name, for the caller to change."""
    members = _given(fax, _FAX)
    members["faxData"] = [_given(file, _FILE) for file in fax.faxData]
    return members


def _given(part: FaxRequest | FaxFile, names: Sequence[str]) -> dict[str, Any]:
    values, members = vars(part), {}
    for name in names:  # a comprehension would make a function of it
        value = values[name]
        if value is not None:
            members[name] = value
    return members


def text_of(members: Mapping[str, Any]) -> str:
    """A request's members as JSON, with no spaces."""
    return to_json(members).decode()


def digest_of(entry: SendEntry | ResendEntry, fax: str = "") -> str:
    """What tells a repeat from an id that is used again: the same for a sealed entry and one in clear.

    Args:
        entry: it.
        fax: the text of its request, `text_of(members_of(entry.fax))`, where the caller has it already.
    """
    if isinstance(entry, SendEntry):
        text = _sorted_text(entry, fax or text_of(members_of(entry.fax)))
    else:
        text = _SORTED(entry.model_dump(mode="json", exclude={"by", "user"}))
    return hashlib.sha256(text.encode()).hexdigest()


def _sorted_text(entry: SendEntry, fax: str) -> str:
    """The members in the order of their names; ids and words need no escaping."""
    attempts = f'"attempts":{entry.attempts},' if entry.attempts is not None else ""
    expires_at = f'"expires_at":{_SORTED(entry.expires_at)},' if entry.expires_at is not None else ""
    group = f'"group":"{entry.group}",' if entry.group is not None else ""
    in_doubt = f'"in_doubt":"{entry.in_doubt}",' if entry.in_doubt is not None else ""
    metadata = _SORTED(entry.metadata) if entry.metadata else "{}"
    return (
        f'{{{attempts}{expires_at}"fax":{fax},{group}"id":"{entry.id}",{in_doubt}"metadata":{metadata},'
        f'"priority":"{entry.priority}"}}'
    )
