"""The keyring, and what it seals."""

import json
import os
import subprocess
import sys
from base64 import b64encode
from contextlib import suppress

import pytest

from faxline.contract.entries import SealedEntry, SendEntry
from faxline.contract.entry_reader import open_entry, parse_entry
from faxline.contract.errors import EntryRejected, KeyMissing, Rejection, SealBroken
from faxline.contract.page_count import digest
from faxline.contract.sealing.keyring import KEY_BYTES, Keyring, new_key
from faxline.contract.sealing.seals import Seals, key_of_document, key_of_request
from faxline.contract.sealing.stream import (
    CHUNK,
    HEADER_MOST,
    TAG,
    SealedDocument,
    is_sealed,
    open_sealed,
    seal_document,
)

ONE, TWO = new_key("one"), new_key("two")
RING = Keyring.read(ONE)
TEXT = b"".join(b"%09d " % i for i in range(20_000))
URL = {"fileName": "a.pdf", "fileUrl": "https://example.com/a.pdf"}
ENTRY = {"id": "a", "fax": {"faxNumber": "+12025550123", "faxData": [URL], "message": "text"}}


@pytest.mark.parametrize(
    "text", [f"{ONE}\n\n# the old one\n  {TWO} \n", json.dumps([ONE, TWO])], ids=["lines", "JSON"]
)
def test_keys_are_lines_or_a_json_list_and_the_first_is_the_current_one(text: str) -> None:
    ring = Keyring.read(text)
    assert (ring.current, ring.ids) == ("one", ("one", "two"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no key"),
        ("one", "key 1 is not of the form id:base64"),
        ("one:???", "key 1 is not of the form id:base64"),
        (f"one:{b64encode(b'x' * 16).decode()}", "'one' has 16 bytes and needs 32"),
        (f"o ne:{b64encode(b'x' * 32).decode()}", "a key's id is"),
        ("one:" + "A" * 43 + "=\none:" + "B" * 42 + "A=", "the id of key 2 is there twice"),
        ('["one"', "a JSON list"),
        ("[1]", "a JSON list"),
    ],
)
def test_what_is_no_key_is_told_without_repeating_it(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        Keyring.read(text)
    assert ONE.partition(":")[2] not in str(caught.value)


def test_a_new_key_is_one_and_no_two_are_alike() -> None:
    lines = {new_key() for _ in range(5)}
    assert len(lines) == len({line.partition(":")[2] for line in lines}) == 5
    assert all(len(Keyring.read(line).key(line.partition(":")[0])) == KEY_BYTES for line in lines)
    with pytest.raises(ValueError, match="a key's id"):
        new_key("a b")


def test_a_keyring_shows_ids_and_no_key() -> None:
    assert repr(RING) == "Keyring(one)"


def test_the_older_key_still_opens_and_the_first_one_seals() -> None:
    old = Seals(Keyring.read(TWO), "default").request("a", "text")
    both = Seals(Keyring.read(f"{ONE}\n{TWO}"), "default")
    assert both.open_request("a", old) == "text"
    assert (key_of_request(old), key_of_request(both.request("a", "text"))) == ("two", "one")
    with pytest.raises(KeyMissing) as caught:
        Seals(RING, "default").open_request("a", old)
    assert caught.value.key_id == "two"
    with pytest.raises(KeyMissing):
        Seals(None, "default").open_request("a", old)


def test_a_request_opens_for_its_own_job_and_account_only() -> None:
    sealed = Seals(RING, "default").request("a", "text")
    assert "text" not in sealed
    for account, job in (("default", "b"), ("other", "a")):
        with pytest.raises(SealBroken):
            Seals(RING, account).open_request(job, sealed)
    broken = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    with pytest.raises(SealBroken):
        Seals(RING, "default").open_request("a", broken)


def test_the_same_text_is_never_sealed_alike() -> None:
    seals = Seals(RING, "default")
    assert len({seals.request("a", "text") for _ in range(10)}) == 10
    assert len({seals.document("d", b"text") for _ in range(10)}) == 10


def test_without_keys_nothing_is_sealed() -> None:
    seals = Seals(None, "default")
    assert (seals.request("a", "{}"), seals.document("d", b"x")) == ("{}", b"x")
    assert seals.entry("send", ENTRY, "{}") == "{}"
    assert (key_of_request("{}"), key_of_document(b"%PDF-")) == (None, None)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_a_document_of_any_size_is_sealed_and_opened(size: int) -> None:
    data = TEXT[:size]
    stored = seal_document(RING, "place", data)
    assert is_sealed(stored)
    assert open_sealed(RING, "place", stored) == data
    document = SealedDocument(RING, "place", stored[:HEADER_MOST])
    assert document.size(len(stored)) == size
    assert len(stored) == len(document.header.raw) + size + TAG * max(1, -(-size // CHUNK))


@pytest.mark.parametrize(
    ("start", "end"), [(0, 1), (0, CHUNK), (CHUNK, 2 * CHUNK), (CHUNK - 1, CHUNK + 1), (100_000, 150_000)]
)
def test_a_piece_of_a_document_opens_without_the_rest(start: int, end: int) -> None:
    data = TEXT[:150_000]
    stored = seal_document(RING, "place", data)
    document = SealedDocument(RING, "place", stored[:HEADER_MOST])
    first, last = document.span(start, end)
    assert document.open(stored[first:last], start, end, len(data)) == data[start:end]


def test_a_document_that_was_changed_cut_off_or_put_together_anew_does_not_open() -> None:
    stored = seal_document(RING, "place", TEXT[: 3 * CHUNK])
    head = len(SealedDocument(RING, "place", stored).header.raw)
    chunk = CHUNK + TAG
    other = seal_document(RING, "place", TEXT[: 3 * CHUNK])
    spoilt = {
        "a changed byte": stored[:-1] + bytes([stored[-1] ^ 1]),
        "a changed key id": stored.replace(b"one", b"One", 1),
        "the last chunk is gone": stored[: head + 2 * chunk],
        "the end is gone": stored[:-10],
        "two chunks in each other's place": stored[:head]
        + stored[head + chunk : head + 2 * chunk]
        + stored[head : head + chunk]
        + stored[head + 2 * chunk :],
        "a chunk of the same document, sealed another time": stored[:head]
        + other[head : head + chunk]
        + stored[head + chunk :],
        "one chunk more": stored + stored[-chunk:],
        "another version": stored[:8] + b"\x02" + stored[9:],
        "no more than a header": stored[:head],
        "less than a header": stored[: head - 1],
    }
    opened = []
    for what, value in spoilt.items():
        with suppress(SealBroken, KeyMissing):
            open_sealed(RING, "place", value)
            opened.append(what)
    assert opened == []
    with pytest.raises(SealBroken):
        open_sealed(RING, "another place", stored)


def test_a_document_opens_under_its_own_digest_only() -> None:
    seals = Seals(RING, "default")
    stored = seals.document(digest(b"one"), b"one")
    assert seals.open_document(digest(b"one"), stored) == b"one"
    with pytest.raises(SealBroken):
        seals.open_document(digest(b"two"), stored)


def test_a_sealed_entry_shows_its_id_alone_and_opens_to_the_same() -> None:
    seals = Seals(RING, "default")
    text = seals.entry("send", ENTRY, json.dumps(ENTRY))
    assert json.loads(text).keys() == {"id", "sealed"}
    parsed = parse_entry("send", text)
    assert isinstance(parsed, SealedEntry)
    opened = open_entry("send", parsed, seals)
    assert opened == parse_entry("send", json.dumps(ENTRY))
    assert isinstance(opened, SendEntry)


def test_a_cancel_is_not_sealed_and_a_sealed_entry_not_once_more() -> None:
    seals = Seals(RING, "default")
    assert seals.entry("cancel", {"id": "a"}, '{"id":"a"}') == '{"id":"a"}'
    once = seals.entry("send", ENTRY, json.dumps(ENTRY))
    assert seals.entry("send", json.loads(once), once) == once


@pytest.mark.parametrize(
    ("changes", "member", "reason"),
    [
        ({"id": "b"}, "sealed", Rejection.SEAL_BROKEN),
        ({"sealed": "nonsense"}, "sealed", Rejection.BAD_VALUE),
        ({"sealed": f"one:{b64encode(os.urandom(60)).decode()}"}, "sealed", Rejection.SEAL_BROKEN),
        ({"priority": "urgent"}, "priority", Rejection.UNKNOWN_MEMBER),
    ],
)
def test_a_sealed_entry_that_breaks_a_rule_is_rejected(
    changes: dict[str, str], member: str, reason: Rejection
) -> None:
    seals = Seals(RING, "default")
    entry = json.loads(seals.entry("send", ENTRY, json.dumps(ENTRY))) | changes

    def read() -> None:
        parsed = parse_entry("send", json.dumps(entry))
        assert isinstance(parsed, SealedEntry)
        open_entry("send", parsed, seals)

    with pytest.raises(EntryRejected) as caught:
        read()
    assert (caught.value.member, caught.value.reason) == (member, reason)


def test_a_sealed_send_does_not_open_as_a_resend_nor_hide_another_id() -> None:
    seals = Seals(RING, "default")
    sealed = json.loads(seals.entry("send", ENTRY, json.dumps(ENTRY)))["sealed"]
    with pytest.raises(EntryRejected, match="cannot be opened"):
        open_entry("resend", SealedEntry(id="a", sealed=sealed), seals)
    inner = json.dumps(ENTRY | {"id": "b"})
    hidden = json.loads(seals.entry("send", ENTRY, inner))["sealed"]
    with pytest.raises(EntryRejected, match="with the same id"):
        open_entry("send", SealedEntry(id="a", sealed=hidden), seals)


def test_importing_the_library_does_not_load_the_cryptography() -> None:
    code = "import sys, faxline; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
