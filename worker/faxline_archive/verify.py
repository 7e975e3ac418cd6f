"""Checks a proof offline, and says plainly what holds and what does not."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from faxline.reading.archived import Verdict
from faxline_archive.checkpoints import Checkpoint, NoteInvalid, open_checkpoint, open_note
from faxline_archive.manifest import PROOF, manifest_text
from faxline_archive.merkle import LONGEST, leaf_hash, verify_consistency, verify_inclusion
from faxline_archive.proof_story import Story
from faxline_archive.proof_zip import CHECKPOINT, EARLIER, MANIFEST, PATHS

_HEAD = re.compile(
    r"faxline-proof/(?P<account>[^\n]{1,63})\nfax (?P<job>[A-Za-z0-9._:-]{1,128})\nat (?P<at>[0-9TZ:-]{20})\n"
)


def verify(members: Mapping[str, bytes], public: Ed25519PublicKey) -> Verdict:
    """Check a proof.

    Args:
        members: the zip's, as `read_zip` unpacked it.
        public: the archive's public key, which you have from elsewhere.

    Example:
        >>> verify(read_zip(Path("proof.zip")), load_public(Path("archive.pem.pub"))).good
        True
    """
    return _Check(members, public).verdict


class _Check:
    """One check. It goes on after a fault, so that all faults are told."""

    def __init__(self, members: Mapping[str, bytes], public: Ed25519PublicKey) -> None:
        self._members = members
        self._public = public
        self.verdict = Verdict()
        self._head: Checkpoint | None = None
        if self._check_manifest() and self._check_head():
            leaves = self._check_entries()
            self._check_earlier(leaves)

    def _fail(self, text: str) -> None:
        self.verdict.fails.append(text)

    def _check_manifest(self) -> bool:
        """Whether the key signed the list of members. It names the fax."""
        note = self._members.get(MANIFEST, b"")
        head = _HEAD.match(note[:300].decode("utf-8", "replace"))
        if head is None:
            self._fail("There is no manifest, so nothing says what the proof should hold.")
            return False
        account, job = head["account"], head["job"]
        try:
            text = open_note(note, PROOF + account, self._public)
        except NoteInvalid:
            self._fail("The manifest is not signed by this key, or was changed.")
            return False
        self.verdict.account, self.verdict.job = account, job
        others = {name: content for name, content in self._members.items() if name != MANIFEST}
        try:
            at = datetime.strptime(head["at"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        except ValueError:
            at = datetime.fromtimestamp(0, UTC)
        if text != manifest_text(account, job, at, others):
            self._compare(text, others)
        else:
            self.verdict.holds.append("All files are as the archive's key signed them; none is missing.")
        return True

    def _compare(self, text: str, others: Mapping[str, bytes]) -> None:
        listed = {line[66:]: line[:64] for line in text.split("\n")[3:-1]}
        for name in sorted(listed.keys() | others.keys()):
            if name not in others:
                self._fail(f"{name} is missing.")
            elif name not in listed:
                self._fail(f"{name} was added.")
            elif hashlib.sha256(others[name]).hexdigest() != listed[name]:
                self._fail(f"{name} was changed.")
        if not self.verdict.fails:
            self._fail("The manifest is not in the form that an archive writes.")

    def _check_head(self) -> bool:
        try:
            found = self._open(CHECKPOINT)
        except NoteInvalid as error:
            self._fail(f"The checkpoint does not hold: {error}.")
            return False
        self._head = found
        self.verdict.size, self.verdict.signed_at = found.size, found.at
        self.verdict.recorded_by = found.at
        self.verdict.holds.append(
            f"The archive's key signed its tree of {found.size} entries at {found.at:%Y-%m-%d %H:%M:%S} UTC."
        )
        return True

    def _open(self, name: str) -> Checkpoint:
        return open_checkpoint(self._members.get(name, b""), self.verdict.account or "", self._public)

    def _check_entries(self) -> list[int]:
        """Check each entry and that none stands beside them."""
        listed = _paths(self._members.get(PATHS, b""))
        if not listed:
            self._fail("proof.json lists no entry, or cannot be read.")
            return []
        leaves = [leaf for leaf, _ in listed]
        if any(after <= before for before, after in pairwise(leaves)):
            self._fail("The entries are not in the order of their leaves.")
        present = {name for name in self._members if name.startswith("entries/")}
        for name in sorted(present ^ {f"entries/{leaf}.json" for leaf in leaves}):
            self._fail(f"{name} is {'not in proof.json' if name in present else 'missing'}.")
        before = len(self.verdict.fails)
        story = Story(self.verdict, self._members)
        for leaf, path in listed:
            self._check_entry(leaf, path, story)
        story.end()
        self.verdict.incomplete += _gaps(self._members.get(PATHS, b""))
        if len(self.verdict.fails) == before:
            self.verdict.holds.append(f"All {len(leaves)} entries of the fax are in that tree, unchanged.")
        return leaves

    def _check_entry(self, leaf: int, path: list[bytes], story: Story) -> None:
        body = self._members.get(f"entries/{leaf}.json")
        head = self._head
        if body is None or head is None:
            return
        if not verify_inclusion(head.root, head.size, leaf, leaf_hash(body), path):
            self._fail(f"Entry {leaf} is not in the archive's tree: it was changed, moved or made up.")
            return
        story.add(leaf, body)

    def _check_earlier(self, leaves: list[int]) -> None:
        """Check that the tree grew from an older one, which may show that the entries are that old."""
        if EARLIER not in self._members:
            return
        head = self._head
        try:
            older = self._open(EARLIER)
        except NoteInvalid as error:
            self._fail(f"The older checkpoint does not hold: {error}.")
            return
        path = _consistency(self._members.get(PATHS, b""))
        if head is None or not verify_consistency(older.size, older.root, head.size, head.root, path):
            self._fail("The tree did not grow from the older checkpoint's: its history was changed.")
        elif leaves and max(leaves) < older.size and older.at <= head.at:
            self.verdict.recorded_by = older.at
            self.verdict.holds.append(
                f"The entries were there by {older.at:%Y-%m-%d %H:%M:%S} UTC, as an older checkpoint shows."
            )


def _paths(content: bytes) -> list[tuple[int, list[bytes]]]:
    try:
        return [(_leaf(entry["leaf"]), _steps(entry["path"])) for entry in json.loads(content)["entries"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _gaps(content: bytes) -> list[str]:
    """Where events may be missing, one sentence each."""
    try:
        found = [gap["since"] for gap in json.loads(content).get("gaps", ())]
        moments = [None if at is None else datetime.fromtimestamp(at / 1000, UTC) for at in found]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError, RecursionError):
        return ["Events may be missing: what proof.json says of that cannot be read."]
    told = [f"after {at:%Y-%m-%d %H:%M:%S} UTC" if at else "at an unknown time" for at in moments]
    return [f"Events of this account were lost {when}, perhaps some of this fax." for when in told]


def _consistency(content: bytes) -> list[bytes]:
    try:
        return _steps(json.loads(content)["consistency"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return []


def _leaf(value: Any) -> int:
    if type(value) is not int:
        raise ValueError("a leaf is a whole number")
    return value


def _steps(value: Any) -> list[bytes]:
    if not isinstance(value, list) or len(value) > LONGEST:
        raise ValueError("a path is a list of at most 64 hashes")
    return [bytes.fromhex(step) for step in value]
