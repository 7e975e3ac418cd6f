"""The digest that tells a repeat is the same in every version, however it is computed."""

import copy
import hashlib
import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from faxline.contract.entries import FaxFile, FaxRequest, ResendEntry, SendEntry
from faxline.contract.entry_reader import parse_entry
from faxline.contract.fingerprint import digest_of, members_of, text_of
from tests.stage.samples import FILES, SAMPLE

NUMBER = "+12345678901"
FAX: dict[str, Any] = {
    **SAMPLE,
    "faxData": FILES,
}
FULL: dict[str, Any] = {
    "id": "invoice-77",
    "fax": FAX,
    "priority": "urgent",
    "expires_at": "2030-01-31T12:00:00Z",
    "in_doubt": "hold",
    "attempts": 3,
    "group": "g",
    "metadata": {"customer": 7, "a": [1.5, 1e16, None, True, 'é\u2028\x7f"\\']},
}
BARE = {"id": "a", "fax": {"faxNumber": NUMBER, "faxData": [{"fileName": "a"}]}}
SEVERAL = FULL | {
    "fax": FAX
    | {
        "faxNumber": [NUMBER, "+12345678902"],
        "message": 'é\u2028\x7f\x00\b\f\n"\\/\U0001f600',
        "faxQuality": None,
    }
}


def parsed(content: Any, kind: str = "send") -> SendEntry | ResendEntry:
    entry = parse_entry(kind, json.dumps(content))
    assert isinstance(entry, SendEntry | ResendEntry)
    return entry


@pytest.mark.parametrize(
    ("kind", "content", "digest"),
    [
        ("send", FULL, "9b4037b12eacddbe14b409dc66952201eeb649036775fb543a7a952e6c13b492"),
        ("send", SEVERAL, "7e503fdd27d50e2c5ccbcb4aac17d1aa014c48a07c2c92168382f9ae48613c0a"),
        (
            "resend",
            {"id": "b", "of": "a"},
            "af2f400e1b860d2b69c6f9b839dd63c978a28f91bf138f748818e75d2cba16d7",
        ),
    ],
)
def test_an_entry_has_the_digest_that_older_versions_gave_it(kind: str, content: Any, digest: str) -> None:
    assert digest_of(parsed(content, kind)) == digest


def as_ever(entry: SendEntry | ResendEntry) -> str:
    """The digest as it was first defined."""
    dumped = entry.model_dump(mode="json", exclude_none=isinstance(entry, SendEntry))
    text = json.dumps(dumped, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def optional(values: Any) -> Any:
    return st.none() | values


texts = st.text(st.characters(exclude_categories=["Cs"]))
names = st.text("abcXYZ019._:-", min_size=1, max_size=20)
floats = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | floats | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
)
moments = st.sampled_from(['2030-01-31"12:00:00+01:00', "2030-01-31\x0712:00:00Z", "2030-01-31T12:00:00Z"])
files = st.fixed_dictionaries(
    {"fileName": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=255)},
    optional={
        "fileUrl": optional(st.just('https://example.com/é"\\')),
        "fileData": optional(st.binary().map(lambda data: b64encode(data).decode())),
        "document": optional(st.just("sha256:" + "0" * 64)),
        "pages": optional(st.lists(st.sampled_from(["1", "2-5"]))),
    },
)
faxes = st.fixed_dictionaries(
    {
        "faxNumber": st.just(NUMBER) | st.just([NUMBER, "+12345678902"]),
        "faxData": st.lists(files, max_size=3),
    },
    optional={
        **{
            name: optional(texts)
            for name in (
                *("callerId", "templateId", "smartDocumentId", "subject"),
                *("from_name", "to_name", "message"),
            )
        },
        "send_at": optional(moments),
        "faxQuality": optional(st.sampled_from(["Low", "Standard", "HD"])),
    },
)
sends = st.fixed_dictionaries(
    {"id": names, "fax": faxes},
    optional={
        "priority": st.sampled_from(["urgent", "normal", "bulk"]),
        "expires_at": optional(moments),
        "in_doubt": optional(st.sampled_from(["hold", "resend", "fail"])),
        "attempts": optional(st.integers(1, 100)),
        "group": optional(names),
        "metadata": st.dictionaries(texts, json_values, max_size=4),
    },
)


def test_the_digest_is_tried_with_every_member_there_is() -> None:
    assert set(FULL) == set(SendEntry.model_fields) - {"group_size"}  # of the push, not of the fax
    assert set(FAX) == set(FaxRequest.model_fields)
    members = {name for file in FAX["faxData"] for name in file}
    assert members == set(FaxFile.model_fields) - {"upload"}  # the same push again has another one


def test_where_a_document_was_uploaded_is_no_part_of_what_is_asked_for() -> None:
    file = {"fileName": "a", "document": "sha256:" + "0" * 64}
    texts = []
    for own in (file, file | {"upload": "a" * 16}, file | {"upload": "b" * 16}):
        entry = parse_entry("send", json.dumps({"id": "a", "fax": {"faxNumber": NUMBER, "faxData": [own]}}))
        assert isinstance(entry, SendEntry)
        texts.append((digest_of(entry), text_of(members_of(entry.fax))))
    assert len(set(texts)) == 1
    assert "upload" not in texts[0][1]


def test_how_many_faxes_a_group_has_is_no_part_of_what_is_asked_for() -> None:
    assert digest_of(parsed(FULL | {"group_size": 7})) == digest_of(parsed(FULL))


@given(sends)
@example(FULL)
@example(SEVERAL)
@example(BARE)
def test_the_digest_is_that_of_the_sorted_members_whatever_they_hold(content: Any) -> None:
    entry = parsed(content)
    assert digest_of(entry) == as_ever(entry)


def changes(content: Any) -> list[Any]:
    """The same with one member changed, for each member of each object."""
    found = []
    for path in (
        *(("fax", name) for name in FAX if name != "faxData"),
        *(("fax", "faxData", i, name) for i, file in enumerate(FAX["faxData"]) for name in file),
        *((name,) for name in FULL if name != "fax"),
    ):
        changed = copy.deepcopy(content)
        *way, last = path
        target = changed
        for step in way:
            target = target[step]
        target[last] = OTHER[last]
        found.append(changed)
    return found


OTHER: dict[Any, Any] = {
    **dict.fromkeys(FAX, "other"),
    "faxNumber": "+12345678902",
    "send_at": "2019-11-14T00:55:31.821Z",
    "faxQuality": "HD",
    "fileName": "other",
    "fileUrl": "https://example.com/other.pdf",
    "fileData": "JVBERi0xLjQL",
    "document": "sha256:" + "1" * 64,
    "pages": ["3"],
    "id": "other",
    "priority": "bulk",
    "expires_at": "2030-01-31T12:00:01Z",
    "in_doubt": "fail",
    "attempts": 4,
    "group": "other",
    "metadata": {"customer": 8},
}


def test_a_change_of_any_member_gives_another_digest() -> None:
    digests = [digest_of(parsed(content)) for content in [FULL, *changes(FULL)]]
    assert len(set(digests)) == len(digests)


@given(sends)
@example(FULL)
def test_a_request_says_what_the_entry_says(content: Any) -> None:
    entry = parsed(content)
    assert isinstance(entry, SendEntry)
    said = json.loads(text_of(members_of(entry.fax)))
    expected = {name: value for name, value in content["fax"].items() if value is not None}
    if not expected.get("callerId", "x").strip():  # a blank one counts as none
        del expected["callerId"]
    expected["faxData"] = [
        {name: value for name, value in file.items() if value is not None} for file in expected["faxData"]
    ]
    assert said == expected
