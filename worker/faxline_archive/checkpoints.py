"""Signed heads of an account's tree, and signed lists of what a proof holds: C2SP signed notes.

A checkpoint is a text that people can read and that other tools check (https://c2sp.org/tlog-checkpoint):

    faxline-archive/default
    1042
    qUvR4uS2Kx5oe7C8OExyX8zLx1ZzK7cZs2dq6wEDoiA=
    at 2026-11-30T07:24:00Z

    — faxline-archive/default Wh9n3+dZ…

The origin names the account, then come the number of leaves and the root. The last line before the signatures
tells when it was signed. A signature is Ed25519 over the text up to and with the line end before the empty
line. It is written as base64 of four bytes of a key's id and the 64 bytes of the signature.
"""

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from faxline_archive.signing_key import SigningKey

ORIGIN = "faxline-archive/"
"""What comes before the account in a checkpoint's first line."""
LONGEST_NOTE = 1 << 20
"""The most bytes of a note that is read."""
_ED25519 = b"\x01"
_ID, _SIGNATURE, _ROOT = 4, 64, 32
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_AT = "at %Y-%m-%dT%H:%M:%SZ"


class NoteInvalid(Exception):
    """A note is not well formed, or is not signed by this key. The message says which."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of an account's tree.

    Attributes:
        account: the account's name.
        size: how many leaves the tree had.
        root: its root, 32 bytes.
        at: when it was signed, to the second.
    """

    account: str
    size: int
    root: bytes
    at: datetime

    def text(self) -> str:
        """What is signed."""
        root = base64.b64encode(self.root).decode()
        return f"{ORIGIN}{self.account}\n{self.size}\n{root}\n{self.at.astimezone(UTC):{_AT}}\n"

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read the text of a note.

        Raises:
            NoteInvalid: it is not exactly what `text` writes.
        """
        lines = text.split("\n")
        try:
            origin, size, root, at, end = lines
            account = origin.removeprefix(ORIGIN)
            found = cls(account, int(size), _decode(root), datetime.strptime(at, _AT).replace(tzinfo=UTC))
        except ValueError:
            raise NoteInvalid("it is no checkpoint of a Faxline archive") from None
        if end or not _SIZE.fullmatch(size) or len(found.root) != _ROOT or found.text() != text:
            raise NoteInvalid("it is no checkpoint of a Faxline archive")
        return found


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> bytes:
    """Sign a checkpoint: the 64 bytes that the database keeps."""
    return key.sign(checkpoint.text().encode())


def write_note(text: str, name: str, signature: bytes, public: Ed25519PublicKey) -> str:
    """The note of a text and its signature.

    Args:
        text: what is signed; it ends with a line end.
        name: the key's name in the signature's line. Its id depends on it.
        signature: 64 bytes.
        public: the key of the signature.
    """
    return f"{text}\n— {name} {base64.b64encode(_key_id(name, public) + signature).decode()}\n"


def checkpoint_note(checkpoint: Checkpoint, signature: bytes, public: Ed25519PublicKey) -> str:
    """The signed note of a checkpoint."""
    return write_note(checkpoint.text(), ORIGIN + checkpoint.account, signature, public)


def open_note(note: bytes, name: str, public: Ed25519PublicKey) -> str:
    """The text of a note, if this key signed it under this name.

    Other signatures, such as those of witnesses, may stand beside it.

    Raises:
        NoteInvalid: the note is not well formed, or has no valid signature of this key.
    """
    if len(note) > LONGEST_NOTE:
        raise NoteInvalid("it is too long")
    try:
        whole = note.decode()
    except UnicodeDecodeError:
        raise NoteInvalid("it is not UTF-8") from None
    body, empty, signatures = whole.rpartition("\n\n")
    if not empty or not body or not signatures.endswith("\n"):
        raise NoteInvalid("it has no signature")
    text = body + "\n"
    for line in signatures.removesuffix("\n").split("\n"):
        dash, _, rest = line.partition(" ")
        signer, _, encoded = rest.partition(" ")
        if dash == "—" and signer == name and _is_signed(text, name, encoded, public):
            return text
    raise NoteInvalid("this key did not sign it, or it was changed")


def open_checkpoint(note: bytes, account: str, public: Ed25519PublicKey) -> Checkpoint:
    """Read a signed checkpoint of an account.

    Example:
        >>> open_checkpoint(Path("checkpoint.txt").read_bytes(), "default", read_public(pem)).size
        1042

    Raises:
        NoteInvalid: as `open_note`, or it is a checkpoint of another account.
    """
    found = Checkpoint.parse(open_note(note, ORIGIN + account, public))
    if found.account != account:
        raise NoteInvalid("it belongs to another account")
    return found


def verifier_key(name: str, public: Ed25519PublicKey) -> str:
    """The key in the form of other tools that check signed notes: `NAME+ID+BASE64`."""
    raw = _ED25519 + public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"{name}+{_key_id(name, public).hex()}+{base64.b64encode(raw).decode()}"


def _key_id(name: str, public: Ed25519PublicKey) -> bytes:
    raw = public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(f"{name}\n".encode() + _ED25519 + raw).digest()[:_ID]


def _is_signed(text: str, name: str, encoded: str, public: Ed25519PublicKey) -> bool:
    try:
        signature = _decode(encoded)
        if len(signature) != _ID + _SIGNATURE or signature[:_ID] != _key_id(name, public):
            return False
        public.verify(signature[_ID:], text.encode())
    except (ValueError, InvalidSignature):
        return False
    return True


def _decode(text: str) -> bytes:
    """Base64 in its one canonical form."""
    decoded = base64.b64decode(text, validate=True)
    if base64.b64encode(decoded).decode() != text:
        raise binascii.Error("not canonical")
    return decoded
