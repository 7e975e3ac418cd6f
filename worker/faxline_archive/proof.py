"""Writes the proof of a fax: one zip that anybody can check with the archive's public key alone.

manifest.txt          the SHA-256 of all other members, signed: nothing was taken out or swapped
checkpoint.txt        the signed head of the account's tree
checkpoint-then.txt   the first one that was signed after the fax's last entry, if there is an older one
proof.json            the leaf number and the path of each entry; how the older tree became this one; where
                      events were lost
entries/LEAF.json     the fax's entries, byte for byte as they were hashed
private/LEAF.json     what an entry commits to by its hash: numbers, metadata, receipts, and a salt
receipts/SHA256.json  iFax's receipts as they were verified
report.pdf            the transmission report
README.md             how to check it by hand
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from faxline_archive.checkpoints import ORIGIN, Checkpoint, checkpoint_note, verifier_key, write_note
from faxline_archive.gaps import Gap
from faxline_archive.manifest import PROOF, manifest_text
from faxline_archive.proof_readme import readme
from faxline_archive.proof_zip import CHECKPOINT, EARLIER, MANIFEST, PATHS, README, REPORT, write_zip
from faxline_archive.signing_key import SigningKey


@dataclass(frozen=True, slots=True)
class ProvedEntry:
    """An entry of a fax with its place in the tree.

    Attributes:
        leaf: its number, from 0.
        body: the bytes that were hashed.
        private: the text that the entry commits to; None if it is not known.
        path: from the leaf to the root.
    """

    leaf: int
    body: bytes
    private: bytes | None = field(repr=False)
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Signed:
    """A checkpoint with its signature."""

    checkpoint: Checkpoint
    signature: bytes


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a proof holds.

    Attributes:
        account, job: which fax.
        entries: in the order of their leaves.
        head: the checkpoint for which the paths are.
        earlier: an older checkpoint, and the proof that the tree grew from it; None if there is none.
        receipts: the receipts by their SHA-256, as 64 hexadecimal digits.
        report: the transmission report, a PDF.
        gaps: where events of the fax may be missing.
    """

    account: str
    job: str
    entries: tuple[ProvedEntry, ...]
    head: Signed
    earlier: tuple[Signed, tuple[bytes, ...]] | None = None
    receipts: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    report: bytes = field(default=b"", repr=False)
    gaps: Sequence[Gap] = ()


def write_proof(evidence: Evidence, key: SigningKey, now: datetime) -> bytes:
    """The zip of a proof.

    Args:
        evidence: what it is to hold.
        key: the archive's key. It signs the list of the members, which says that no entry is left out.
        now: when it is made.

    Example:
        >>> Path("proof.zip").write_bytes(write_proof(evidence, key, datetime.now(UTC)))
    """
    members = {
        CHECKPOINT: _note(evidence.head, key),
        PATHS: _paths(evidence),
        **{f"entries/{entry.leaf}.json": entry.body for entry in evidence.entries},
        **{f"private/{entry.leaf}.json": entry.private for entry in evidence.entries if entry.private},
        **{f"receipts/{digest}.json": receipt for digest, receipt in evidence.receipts.items()},
        REPORT: evidence.report,
    }
    if evidence.earlier is not None:
        members[EARLIER] = _note(evidence.earlier[0], key)
    name = ORIGIN + evidence.account
    members[README] = readme(evidence.account, evidence.job, verifier_key(name, key.public)).encode()
    text = manifest_text(evidence.account, evidence.job, now, members)
    note = write_note(text, PROOF + evidence.account, key.sign(text.encode()), key.public)
    return write_zip({README: members.pop(README), MANIFEST: note.encode(), **members})


def _note(signed: Signed, key: SigningKey) -> bytes:
    return checkpoint_note(signed.checkpoint, signed.signature, key.public).encode()


def _paths(evidence: Evidence) -> bytes:
    grown = [step.hex() for step in evidence.earlier[1]] if evidence.earlier else None
    entries = [
        {"leaf": entry.leaf, "path": [step.hex() for step in entry.path]} for entry in evidence.entries
    ]
    told = {"v": 1, "entries": entries, "consistency": grown}
    if evidence.gaps:
        told["gaps"] = [{"leaf": gap.leaf, "since": gap.since} for gap in evidence.gaps]
    return json.dumps(told, indent=1).encode()
