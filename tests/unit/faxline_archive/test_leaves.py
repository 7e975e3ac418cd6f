"""A leaf has one canonical form, and commits to its private part."""

import hashlib
import json

from hypothesis import given
from hypothesis import strategies as st

from faxline_archive.leaves import canonical_json, leaf_body, leaf_hash, private_part, text_hash

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(JSON)
def test_the_canonical_text_is_ascii_and_says_the_same(value: object) -> None:
    text = canonical_json(value)
    assert text.isascii()
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


def test_the_order_of_members_does_not_matter() -> None:
    assert canonical_json({"b": 1, "a": {"d": 2, "c": "ü\ud800"}}) == canonical_json(
        {"a": {"c": "ü\ud800", "d": 2}, "b": 1}
    )


def test_a_leaf_is_hashed_as_rfc_9162_has_it_and_commits_to_the_private_part() -> None:
    private = private_part({"to": "+12025550123"})
    body = leaf_body("default", "events", "1-0", {"event": "fax.queued"}, private)
    assert json.loads(body) == {
        "v": 1,
        "account": "default",
        "stream": "events",
        "id": "1-0",
        "fields": {"event": "fax.queued"},
        "private": hashlib.sha256(private.encode()).hexdigest(),
    }
    assert leaf_hash(body) == hashlib.sha256(b"\x00" + body.encode()).digest()
    assert json.loads(leaf_body("default", "audit", "1-0", {}, None))["private"] is None


def test_the_same_private_part_never_has_the_same_hash() -> None:
    assert len({text_hash(private_part({"to": "+12025550123"})) for _ in range(100)}) == 100
