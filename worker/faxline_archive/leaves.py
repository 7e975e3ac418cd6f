"""The leaves of an account's Merkle tree: one for each archived entry (RFC 9162, 2.1.1).

A leaf is JSON in one canonical form, so that everybody gets the same bytes, and so the same hash:

    {"account":"default","fields":{…},"id":"1730000000000-0","private":"ab12…","stream":"events","v":1}

`fields` are those of the entry in Redis. An event's `data` is the object without `metadata`, which may name
a person: it is in the private part, with the numbers and the receipt. The leaf commits to the private part by
its hash, and the private part has a random salt. So once an entry is erased, nobody can guess what it said
from the hashes that remain.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from faxline_archive import merkle

VERSION = 1
"""The version of a leaf's form."""
SALT_BYTES = 16
_ENCODE = json.JSONEncoder(
    allow_nan=False, sort_keys=True, separators=(",", ":")
).encode  # json.dumps would build an encoder for each call


def canonical_json(value: Any) -> str:
    r"""The one text of a JSON value: sorted members, no spaces, and what is not ASCII escaped.

    Example:
        >>> canonical_json({"b": [1, None], "a": "ü"})
        '{"a":"\u00fc","b":[1,null]}'

    Raises:
        ValueError: a number is not finite.
    """
    return _ENCODE(value)


def private_part(told: Mapping[str, Any]) -> str:
    """The private part of a leaf: what a job's record told at this entry, with a new salt.

    Args:
        told: the members `to`, `from`, `metadata`, `receipt`, and `fax` (what else the record told where the
            fax begins), as far as they are known.

    Example:
        >>> private_part({"to": "+12025550123"})
        '{"salt":"5f0c…","to":"+12025550123"}'
    """
    return canonical_json({"salt": secrets.token_hex(SALT_BYTES), **told})


def text_hash(text: str) -> str:
    """The SHA-256 of a text, as 64 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def leaf_body(account: str, stream: str, entry: str, fields: Mapping[str, Any], private: str | None) -> str:
    """The JSON of a leaf.

    Args:
        account: the account's name.
        stream: `events` or `audit`.
        entry: the entry's stream id.
        fields: the entry's fields; an event's `data` without its metadata.
        private: the private part, as `private_part` made it; None if the entry has none.
    """
    return canonical_json(
        {
            "v": VERSION,
            "account": account,
            "stream": stream,
            "id": entry,
            "fields": fields,
            "private": None if private is None else text_hash(private),
        }
    )


def leaf_hash(body: str) -> bytes:
    """The hash of a leaf: 32 bytes.

    Example:
        >>> leaf_hash('{"v":1}').hex()[:8]
        '0fe7f04c'
    """
    return merkle.leaf_hash(body.encode())
