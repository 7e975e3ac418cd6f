"""Signed notes and the key that signs them."""

import base64
import stat
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from shutil import which

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from faxline_archive.checkpoints import (
    Checkpoint,
    NoteInvalid,
    checkpoint_note,
    open_checkpoint,
    open_note,
    sign_checkpoint,
    verifier_key,
    write_note,
)
from faxline_archive.signing_key import SigningKey, SigningKeyInvalid, load_public, public_path, read_public

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
CHECKPOINT = Checkpoint("default", 1042, bytes(range(32)), datetime(2026, 11, 30, 7, 24, tzinfo=UTC))
NOTE = checkpoint_note(CHECKPOINT, sign_checkpoint(CHECKPOINT, KEY), KEY.public).encode()

# The example of golang.org/x/mod/sumdb/note, whose format C2SP's signed notes are.
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
)
GO_NOTE = GO_TEXT + (
    "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb"
    "6KE6RyyBwJnAM=\n"
)


def test_a_checkpoint_reads_as_it_was_signed() -> None:
    assert open_checkpoint(NOTE, "default", KEY.public) == CHECKPOINT
    root = base64.b64encode(bytes(range(32))).decode()
    assert NOTE.decode().startswith(f"faxline-archive/default\n1042\n{root}\nat 2026-11-30T07:24:00Z\n\n— ")


def test_a_note_of_another_implementation_is_read() -> None:
    raw = base64.b64decode(GO_KEY.rpartition("+")[2])[1:]
    public = read_public(_pem_of(raw))
    assert verifier_key("PeterNeumann", public) == GO_KEY
    assert open_note(GO_NOTE.encode(), "PeterNeumann", public) == GO_TEXT


@given(st.integers(0, len(NOTE) - 1), st.integers(1, 255))
def test_no_byte_of_a_checkpoint_can_be_changed(place: int, by: int) -> None:
    changed = bytearray(NOTE)
    changed[place] ^= by
    with pytest.raises(NoteInvalid):
        open_checkpoint(bytes(changed), "default", KEY.public)


@given(st.integers(0, len(NOTE) - 1))
def test_a_checkpoint_that_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(NoteInvalid):
        open_checkpoint(NOTE[:length], "default", KEY.public)


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused(noise: bytes) -> None:
    with pytest.raises(NoteInvalid):
        open_checkpoint(noise, "default", KEY.public)


def test_another_key_another_account_and_another_signature_are_refused() -> None:
    other = SigningKey(Ed25519PrivateKey.generate())
    forged = checkpoint_note(CHECKPOINT, sign_checkpoint(CHECKPOINT, other), KEY.public)
    elsewhere = replace(CHECKPOINT, account="other")
    for note, account, public in (
        (NOTE, "default", other.public),
        (NOTE, "other", KEY.public),
        (forged.encode(), "default", KEY.public),
        (write_note(elsewhere.text(), "faxline-archive/default",
                    sign_checkpoint(elsewhere, KEY), KEY.public).encode(), "default", KEY.public),
    ):  # fmt: skip
        with pytest.raises(NoteInvalid):
            open_checkpoint(note, account, public)


@pytest.mark.parametrize(
    "text",
    [
        "faxline-archive/default\n01\n{root}\nat 2026-11-30T07:24:00Z\n",
        "faxline-archive/default\n1\n{root}\nat 2026-11-30T07:24:00\n",
        "faxline-archive/default\n1\n{root}\nat 2026-11-30T07:24:00Z\nmore\n",
        "faxline-archive/default\n1\nAAAA\nat 2026-11-30T07:24:00Z\n",
        "faxline-archive/default\n-1\n{root}\nat 2026-11-30T07:24:00Z\n",
        "elsewhere/default\n1\n{root}\nat 2026-11-30T07:24:00Z\n",
    ],
)
def test_a_signed_text_that_is_no_checkpoint_is_refused(text: str) -> None:
    whole = text.format(root=base64.b64encode(bytes(32)).decode())
    note = write_note(whole, "faxline-archive/default", KEY.sign(whole.encode()), KEY.public)
    with pytest.raises(NoteInvalid):
        open_checkpoint(note.encode(), "default", KEY.public)


def test_a_signature_of_a_witness_may_stand_beside_ours() -> None:
    witness = SigningKey(Ed25519PrivateKey.generate())
    text = CHECKPOINT.text()
    line = write_note(text, "witness", witness.sign(text.encode()), witness.public).removeprefix(text + "\n")
    assert open_checkpoint(NOTE + line.encode(), "default", KEY.public) == CHECKPOINT


def test_a_key_is_made_once_for_its_owner_alone_with_its_public_half(tmp_path: Path) -> None:
    path = tmp_path / "archive.pem"
    made: list[SigningKey] = []
    threads = [threading.Thread(target=lambda: made.append(SigningKey.load_or_make(path))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({key.sign(b"x") for key in made}) == 1
    assert len(made) == 8
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(found.name for found in tmp_path.iterdir()) == ["archive.pem", "archive.pem.pub"]
    load_public(public_path(path)).verify(made[0].sign(b"x"), b"x")


def test_a_lost_key_is_not_replaced_while_its_public_half_is_there(tmp_path: Path) -> None:
    path = tmp_path / "archive.pem"
    SigningKey.load_or_make(path)
    path.unlink()
    with pytest.raises(SigningKeyInvalid, match="put the key back from a backup"):
        SigningKey.load_or_make(path)
    assert not path.exists()
    public_path(path).rename(tmp_path / "older.pub")
    made = SigningKey.load_or_make(path)
    load_public(public_path(path)).verify(made.sign(b"x"), b"x")


def test_a_file_that_is_no_key_is_said_and_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("a secret")
    for read in (SigningKey.load, SigningKey.load_or_make, load_public):
        with pytest.raises(SigningKeyInvalid) as failure:
            read(tmp_path / "bad.pem")
        assert "a secret" not in str(failure.value)
    for read in (SigningKey.load, load_public):
        with pytest.raises(SigningKeyInvalid, match="cannot be read"):
            read(tmp_path / "missing.pem")
    with pytest.raises(SigningKeyInvalid, match="cannot be written"):
        SigningKey.load_or_make(tmp_path / "missing" / "key.pem")


OPENSSL = which("openssl") or ""


@pytest.mark.skipif(not OPENSSL, reason="no openssl")
def test_openssl_checks_a_checkpoint(tmp_path: Path) -> None:
    key = SigningKey.load_or_make(tmp_path / "archive.pem")
    note = checkpoint_note(CHECKPOINT, sign_checkpoint(CHECKPOINT, key), key.public)
    text, _, line = note.rpartition("\n\n")
    (tmp_path / "text").write_text(text + "\n")
    (tmp_path / "signature").write_bytes(base64.b64decode(line.split()[2])[4:])
    done = subprocess.run(
        [OPENSSL, "pkeyutl", "-verify", "-pubin", "-inkey", "archive.pem.pub", "-rawin", "-in", "text",
         "-sigfile", "signature"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verified Successfully" in done.stdout, done.stderr


def _pem_of(raw: bytes) -> bytes:
    der = bytes.fromhex("302a300506032b6570032100") + raw
    return b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(der) + b"\n-----END PUBLIC KEY-----\n"
