"""The proof of a fax: it holds as it was written, and no change of it does."""

import io
import json
import re
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from faxline.reading.archived import Verdict
from faxline_archive.checkpoints import Checkpoint, sign_checkpoint
from faxline_archive.leaves import canonical_json, leaf_body, text_hash
from faxline_archive.merkle import Frontier, Tree, leaf_hash
from faxline_archive.proof import Evidence, ProvedEntry, Signed, write_proof
from faxline_archive.proof_zip import ProofTooLarge, ProofUnreadable, read_zip, unpack, write_zip
from faxline_archive.signing_key import SigningKey, public_pem
from faxline_archive.verify import verify

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
OTHER_KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(b"\1" * 32))
NOW = datetime(2026, 11, 30, 8, 0, tzinfo=UTC)
THEN = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
RECEIPT = '{"data":{"faxStatus":"delivered","jobId":12345}}'
Entry = tuple[str, str, str]


def told(job: str, number: int, event: str, **data: object) -> tuple[str, str]:
    """An entry as the archive's writer makes it, and its private part."""
    entry = f"{1_795_000_000_000 + number * 1000}-0"
    private = canonical_json({"salt": f"{number:032x}", "to": "+12025550123"})
    fields = {"event": event, "job": job, "at": entry[:13], "data": canonical_json(data)}
    return leaf_body("default", "events", entry, fields, private), private


def story(job: str, offset: int = 0) -> list[tuple[str, str]]:
    return [
        told(job, offset + 1, "fax.queued", state="queued", attempt=0),
        told(job, offset + 5, "fax.submitted", state="submitted", attempt=1, jobId=12345),
        told(job, offset + 9, "fax.delivered", state="delivered", attempt=1, jobId=12345,
             reason="delivered", pages=3, transferred=3, receipt=text_hash(RECEIPT)),
    ]  # fmt: skip


class Archive:
    """Some faxes whose entries lie between one another, as they do in an archive."""

    def __init__(self) -> None:
        one, two = story("invoice-77"), story("invoice-78", 1)
        noise = [told(f"other-{number}", 20 + number, "fax.queued", state="queued") for number in range(600)]
        self.log = [noise[0], one[0], two[0], *noise[1:300], one[1], two[1], one[2], two[2], *noise[300:]]

    def evidence(self, job: str, log: list[tuple[str, str]] | None = None) -> Evidence:
        log = log or self.log
        leaves = [leaf_hash(body.encode()) for body, _ in log]
        frontier, nodes = Frontier().extend(leaves)
        rows = {(node.level, node.index): node.hash for node in nodes}
        rows |= {(0, index): leaf for index, leaf in enumerate(leaves)}
        tree = Tree(len(log), lambda level, index, count: [rows[level, index + i] for i in range(count)])
        own = [index for index, (body, _) in enumerate(log) if f'"job":"{job}"' in body]
        older = own[-1] + 7
        return Evidence(
            "default",
            job,
            tuple(
                ProvedEntry(leaf, log[leaf][0].encode(), log[leaf][1].encode(), tree.inclusion(leaf))
                for leaf in own
            ),
            signed(Checkpoint("default", len(log), frontier.root(), NOW)),
            (
                signed(Checkpoint("default", older, Frontier().extend(leaves[:older])[0].root(), THEN)),
                tree.consistency(older),
            ),
            {text_hash(RECEIPT): RECEIPT.encode()},
            b"%PDF-1.7 the report",
        )


def signed(checkpoint: Checkpoint, key: SigningKey = KEY) -> Signed:
    return Signed(checkpoint, sign_checkpoint(checkpoint, key))


ARCHIVE = Archive()
EVIDENCE = ARCHIVE.evidence("invoice-77")
OTHER = ARCHIVE.evidence("invoice-78")
MEMBERS = unpack(write_proof(EVIDENCE, KEY, NOW))
OTHERS = unpack(write_proof(OTHER, KEY, NOW))
FIRST = f"entries/{EVIDENCE.entries[0].leaf}.json"


def check(members: Mapping[str, bytes]) -> Verdict:
    return verify(members, KEY.public)


def test_a_proof_holds_and_says_which_fax_when_and_how_it_ended() -> None:
    found = check(MEMBERS)
    assert found.fails == []
    assert (found.account, found.job, found.state) == ("default", "invoice-77", "delivered")
    assert (found.pages, found.transferred, found.recipient) == (3, 3, "+12025550123")
    assert found.began == datetime.fromtimestamp(1_795_000_001, UTC)
    assert found.ended == datetime.fromtimestamp(1_795_000_009, UTC)
    assert found.recorded_by == THEN
    assert "1 of 1 receipts of iFax are here." in found.holds


def proved(*entries: tuple[str, str]) -> Verdict:
    log = [*entries, *ARCHIVE.log[10:30]]
    return check(unpack(write_proof(ARCHIVE.evidence("invoice-77", log), KEY, NOW)))


@pytest.mark.parametrize("event", ["fax.rejected", "fax.cancel_refused", "fax.duplicate"])
def test_no_later_entry_with_its_id_moves_the_end_of_a_fax(event: str) -> None:
    later = told("invoice-77", 40, event, state="delivered", reason="id_reused")
    found = proved(*story("invoice-77"), later)
    assert (found.fails, found.state) == ([], "delivered")
    assert found.ended == datetime.fromtimestamp(1_795_000_009, UTC)


def test_a_fax_that_goes_on_has_no_end_and_a_rejected_one_ended_at_once() -> None:
    going = proved(*story("invoice-77")[:2])
    assert (going.state, going.ended) == ("submitted", None)
    rejected = proved(*(told("invoice-77", at, "fax.rejected", reason="bad_number") for at in (3, 5)))
    assert rejected.began == rejected.ended == datetime.fromtimestamp(1_795_000_003, UTC)


def test_a_proof_without_an_older_checkpoint_and_without_what_was_private_holds() -> None:
    entries = tuple(replace(entry, private=None) for entry in EVIDENCE.entries)
    found = check(unpack(write_proof(replace(EVIDENCE, entries=entries, earlier=None), KEY, NOW)))
    assert found.fails == []
    assert found.recipient is None
    assert found.recorded_by == NOW


@pytest.mark.parametrize("name", sorted(MEMBERS))
def test_no_member_can_be_dropped(name: str) -> None:
    assert not check({other: content for other, content in MEMBERS.items() if other != name}).good


@pytest.mark.parametrize("name", sorted(MEMBERS.keys() & OTHERS.keys()))
def test_no_member_can_be_swapped_for_the_one_of_another_proof(name: str) -> None:
    swapped = {**MEMBERS, name: OTHERS[name]}
    if swapped != MEMBERS:
        assert not check(swapped).good


@pytest.mark.parametrize("name", sorted(OTHERS.keys() - MEMBERS.keys()))
def test_no_member_can_be_added(name: str) -> None:
    assert not check({**MEMBERS, name: OTHERS[name]}).good


@settings(max_examples=150)
@given(st.data())
def test_no_byte_of_a_member_can_be_changed(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(MEMBERS)))
    changed = bytearray(MEMBERS[name])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    assert not check({**MEMBERS, name: bytes(changed)}).good


def test_the_proof_of_another_key_is_refused() -> None:
    forged = replace(EVIDENCE, head=signed(EVIDENCE.head.checkpoint, OTHER_KEY), earlier=None)
    assert not check(unpack(write_proof(forged, OTHER_KEY, NOW))).good
    assert not check(unpack(write_proof(forged, KEY, NOW))).good
    assert not verify(MEMBERS, OTHER_KEY.public).good


# Whoever makes the proofs may sign any manifest. The tree's signed heads are what holds him then.


def _change(entry: ProvedEntry, old: bytes, new: bytes) -> ProvedEntry:
    assert old in entry.body
    return replace(entry, body=entry.body.replace(old, new))


E0, E1, E2 = EVIDENCE.entries
INSIDE: Mapping[str, Callable[[], Evidence]] = {
    "changed state": lambda: replace(EVIDENCE, entries=(E0, E1, _change(E2, b"delivered", b"failed"))),
    "changed pages": lambda: replace(EVIDENCE, entries=(E0, E1, _change(E2, b":3", b":4"))),
    "backdated": lambda: replace(EVIDENCE, entries=(E0, E1, _change(E2, b"1795000009000", b"1794000009000"))),
    "another salt": lambda: replace(
        EVIDENCE, entries=(replace(E0, private=b'{"salt":"00","to":"+12025550199"}'), E1, E2)
    ),
    "private parts swapped": lambda: replace(
        EVIDENCE, entries=(replace(E0, private=E1.private), replace(E1, private=E0.private), E2)
    ),
    "reordered": lambda: replace(EVIDENCE, entries=(E1, E0, E2)),
    "leaves swapped": lambda: replace(
        EVIDENCE, entries=(replace(E0, leaf=E1.leaf), replace(E1, leaf=E0.leaf), E2)
    ),
    "twice": lambda: replace(EVIDENCE, entries=(E0, E0, E1, E2)),
    "moved": lambda: replace(EVIDENCE, entries=(E0, E1, replace(E2, leaf=E2.leaf + 1))),
    "path cut": lambda: replace(EVIDENCE, entries=(replace(E0, path=E0.path[1:]), E1, E2)),
    "path of another": lambda: replace(EVIDENCE, entries=(replace(E0, path=E1.path), E1, E2)),
    "another fax's entry": lambda: replace(EVIDENCE, entries=(E0, E1, OTHER.entries[2])),
    "another fax's entries": lambda: replace(EVIDENCE, entries=OTHER.entries),
    "no entry": lambda: replace(EVIDENCE, entries=()),
    "another receipt": lambda: replace(EVIDENCE, receipts={text_hash("{}"): b"{}"}),
    "a receipt under another's name": lambda: replace(EVIDENCE, receipts={text_hash(RECEIPT): b"{}"}),
    "another account": lambda: replace(EVIDENCE, account="other"),
    "another tree's head": lambda: replace(
        EVIDENCE, head=signed(replace(EVIDENCE.head.checkpoint, root=bytes(32)))
    ),
    "a head of another size": lambda: replace(
        EVIDENCE, head=signed(replace(EVIDENCE.head.checkpoint, size=2 * EVIDENCE.head.checkpoint.size))
    ),
    "an older head that does not fit": lambda: replace(
        EVIDENCE, earlier=(signed(Checkpoint("default", 5, bytes(32), THEN)), ())
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(INSIDE))
def test_a_change_is_found_although_the_manifest_is_signed_anew(kind: str) -> None:
    assert not check(unpack(write_proof(INSIDE[kind](), KEY, NOW))).good


NOISE = [told("other", 30 + number, "fax.queued", state="queued") for number in range(20)]
LATER = datetime(2026, 12, 1, 8, 0, tzinfo=UTC)
FORGED = told("invoice-77", 2, "fax.failed", state="failed")
REWRITTEN: Mapping[str, Callable[[list[tuple[str, str]], int], list[tuple[str, str]]]] = {
    "changed": lambda log, at: [*log[:at], FORGED, *log[at + 1 :]],
    "dropped": lambda log, at: [*log[:at], *log[at + 1 :]],
    "reordered": lambda log, at: [*log[: at - 1], log[at], log[at - 1], *log[at + 1 :]],
    "backdated": lambda log, at: [*log[:at], FORGED, *log[at:]],
}  # fmt: skip


@pytest.mark.parametrize("kind", sorted(REWRITTEN))
def test_a_history_that_was_rewritten_and_signed_anew_does_not_fit_an_older_checkpoint(kind: str) -> None:
    """The key's holder rewrites the archive. Whoever kept a checkpoint finds it."""
    log = REWRITTEN[kind](ARCHIVE.log, E1.leaf)
    forged = ARCHIVE.evidence("invoice-77", log)
    assert forged.earlier is not None
    assert EVIDENCE.earlier is not None
    kept = replace(forged, earlier=(EVIDENCE.earlier[0], forged.earlier[1]))
    found = check(unpack(write_proof(kept, KEY, LATER)))
    assert "The tree did not grow from the older checkpoint's: its history was changed." in found.fails


def test_a_clock_that_went_back_is_told_and_does_not_spoil_the_proof() -> None:
    log = [*story("invoice-77")[:1], told("invoice-77", 0, "fax.delivered", state="delivered")]
    found = check(
        unpack(write_proof(replace(ARCHIVE.evidence("invoice-77", log + NOISE), receipts={}), KEY, NOW))
    )
    assert found.fails == []
    assert any("Redis' clock was set back" in line for line in found.holds)


# A stranger's zip.


def test_a_proof_with_many_equal_letters_is_one_that_can_be_read() -> None:
    long = replace(E0, private=canonical_json({"metadata": {"a": "x" * 60_000}}).encode())
    content = write_proof(replace(EVIDENCE, entries=(long, E1, E2)), KEY, NOW)
    assert f"private/{E0.leaf}.json" in unpack(content)


@pytest.mark.parametrize(
    "members", [{"proof.json": bytes(5 << 20)}, {f"entries/{n}.json": b"" for n in range(5001)}]
)
def test_a_proof_that_nobody_could_read_is_not_written(members: dict[str, bytes]) -> None:
    with pytest.raises(ProofTooLarge, match="would not be readable"):
        write_zip(members)


def packed(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def twice() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("proof.json", b"1")
        archive.writestr("proof.jsoX", b"2")
    return buffer.getvalue().replace(b"proof.jsoX", b"proof.json")


def lying() -> bytes:
    """A member that claims to be small."""
    whole = bytearray(packed({"proof.json": bytes(8 << 20)}))
    place = whole.rindex(b"PK\1\2")
    whole[place + 24 : place + 28] = (100).to_bytes(4, "little")
    return bytes(whole)


@pytest.mark.parametrize(
    ("content", "said"),
    [  # made in the test, not in each process that collects it
        (lambda: b"", "no zip"),
        (lambda: b"PK\3\4 nothing", "no zip"),
        (lambda: packed({"../../etc/passwd": b""}), "a member that no proof has"),
        (lambda: packed({"entries/01.json": b""}), "a member that no proof has"),
        (lambda: packed({"proof.json": bytes(3 << 20)}), "grows more than 200 times"),
        (lambda: packed({"proof.json": bytes(5 << 20)}, zipfile.ZIP_STORED), "larger than a proof"),
        (lambda: packed({"proof.json": b"1"}, zipfile.ZIP_LZMA), "another way than deflate"),
        (lambda: packed({f"entries/{n}.json": b"" for n in range(5001)}), "more than 5000 members"),
        (lying, "broken one"),
    ],
)
def test_a_zip_that_breaks_a_limit_is_refused(content: Callable[[], bytes], said: str) -> None:
    with pytest.raises(ProofUnreadable, match=said):
        unpack(content())


def test_a_zip_with_a_name_twice_and_a_file_that_is_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProofUnreadable, match=r"proof\.json twice"):
        unpack(twice())
    (tmp_path / "large.zip").write_bytes(bytes((8 << 20) + 1))
    with pytest.raises(ProofUnreadable, match="larger than 8 MiB"):
        read_zip(tmp_path / "large.zip")
    with pytest.raises(ProofUnreadable, match="cannot be read"):
        read_zip(tmp_path / "missing.zip")


@settings(max_examples=150)
@given(st.data())
def test_a_damaged_zip_is_refused_or_does_not_hold(data: st.DataObject) -> None:
    whole = bytearray(write_zip(MEMBERS))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        members = unpack(bytes(whole))
    except ProofUnreadable:
        return
    assert members == MEMBERS or not check(members).good


@pytest.mark.parametrize(
    "paths", ["[", "[" * 100_000, '{"entries":{}}', '{"entries":[{"leaf":true,"path":[]}]}', "1" * 5000]
)
def test_paths_that_make_no_sense_do_not_hold(paths: str) -> None:
    found = check({**MEMBERS, "proof.json": paths.encode()})
    assert "proof.json lists no entry, or cannot be read." in found.fails


def test_a_proof_of_nothing_does_not_hold() -> None:
    assert check({}).fails == ["There is no manifest, so nothing says what the proof should hold."]


@pytest.mark.skipif(not (which("openssl") and which("bash")), reason="no openssl")
@pytest.mark.parametrize("good", [True, False])
def test_the_commands_of_the_readme_check_a_proof(tmp_path: Path, good: bool) -> None:
    members = dict(MEMBERS)
    if not good:
        body = json.loads(members[FIRST])
        members[FIRST] = canonical_json({**body, "id": "1-0"}).encode()
    for name, content in members.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "key.pub").write_bytes(public_pem(KEY.public))
    blocks = re.findall(r"```sh\n(.*?)```", members["README.md"].decode(), re.DOTALL)
    done = [
        subprocess.run([which("bash") or "", "-c", block], cwd=tmp_path, capture_output=True, text=True,
                       check=False)
        for block in blocks
    ]  # fmt: skip
    assert done[0].stdout.count("Verified Successfully") == 2, done[0].stderr
    assert (done[1].returncode == 0) is good
    assert done[2].stdout.count(" holds\n") == (3 if good else 2), done[2].stderr
    assert ("DOES NOT HOLD" in done[2].stdout) is not good
