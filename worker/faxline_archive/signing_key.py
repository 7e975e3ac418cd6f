"""The Ed25519 key that signs checkpoints and proofs, and its public half.

Both are PEM files, which openssl reads: the private one for its owner alone (0600), the public one (`.pub`)
for everybody who is to check a proof.
"""

import contextlib
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from faxline.contract.errors import ProofRefused

_LONGEST = 10_000
"""The most characters of a PEM file that is read."""


class SigningKeyInvalid(ProofRefused):
    """A file is no Ed25519 key in PEM, or cannot be read. The message quotes nothing of it."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key.

    Example:
        >>> key = SigningKey.load_or_make(Path("faxline-archive.pem"))
        >>> len(key.sign(b"text"))
        64
    """

    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> Ed25519PublicKey:
        """The public half."""
        return self.private.public_key()

    def sign(self, text: bytes) -> bytes:
        """Sign a text: 64 bytes."""
        return self.private.sign(text)

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        """Read a key from a PEM file.

        Raises:
            SigningKeyInvalid: the file cannot be read, or holds no Ed25519 key in PKCS #8 without a password.
        """
        return cls.parse(_read(path))

    @classmethod
    def parse(cls, pem: bytes) -> "SigningKey":
        """Read a key from PEM.

        Raises:
            SigningKeyInvalid: it is no Ed25519 key in PKCS #8 without a password.
        """
        try:
            found = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            found = None
        if not isinstance(found, Ed25519PrivateKey):
            raise SigningKeyInvalid(
                "the archive's signing key is no Ed25519 key in PEM (openssl genpkey -algorithm ed25519)"
            )
        return cls(found)

    @classmethod
    def load_or_make(cls, path: Path) -> "SigningKey":
        """Read a key, or make one and write its public half to `PATH.pub`.

        Two processes may do it at once: both get the same key.

        Raises:
            SigningKeyInvalid: as `load`, or the file cannot be written, or the key is gone and its public
                half is not: proofs of a new key would not hold for those who have the old one.
        """
        try:
            if not path.exists():
                if public_path(path).exists() and not path.exists():
                    raise SigningKeyInvalid(
                        f"{path} is missing, but its public half {public_path(path).name} is there: put the "
                        "key back from a backup. If it is lost, move the public half away, which keeps it "
                        "for older proofs, and a new key is made: publish its public half"
                    )
                _write_once(path, _private_pem(Ed25519PrivateKey.generate()), 0o600)
            found = cls.load(path)
            if not public_path(path).exists():
                _write_once(public_path(path), public_pem(found.public), 0o644)
        except OSError as error:
            raise SigningKeyInvalid(f"{path} cannot be written: {error.strerror}") from None
        return found


def signing_key(url: str, pem: str) -> SigningKey:
    """The key that signs: the one of the settings, or the one beside a SQLite archive, made at its first use.

    Args:
        url: FAXLINE_ARCHIVE__URL.
        pem: FAXLINE_ARCHIVE__SIGNING_KEY; empty if it is not set.

    Raises:
        SigningKeyInvalid: it is no key, cannot be read or written, or is missing beside PostgreSQL.
    """
    if pem:
        return SigningKey.parse(pem.encode())
    from sqlalchemy.engine import make_url  # noqa: PLC0415 - a proof is checked without a database

    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or not parsed.database or parsed.database == ":memory:":
        raise SigningKeyInvalid(
            "an archive in PostgreSQL needs FAXLINE_ARCHIVE__SIGNING_KEY_FILE: "
            "openssl genpkey -algorithm ed25519 -out archive.pem"
        )
    return SigningKey.load_or_make(Path(parsed.database).with_suffix(".pem"))


def public_path(path: Path) -> Path:
    """Where the public half of a key lies: the same name with `.pub` after it."""
    return path.with_name(path.name + ".pub")


def public_pem(public: Ed25519PublicKey) -> bytes:
    """A public key as PEM."""
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def read_public(pem: bytes) -> Ed25519PublicKey:
    """Read a public key from PEM.

    Raises:
        SigningKeyInvalid: it is no Ed25519 public key in PEM.
    """
    try:
        found = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        found = None
    if not isinstance(found, Ed25519PublicKey):
        raise SigningKeyInvalid("it is no Ed25519 public key in PEM (the file that ends with .pub)")
    return found


def load_public(path: Path) -> Ed25519PublicKey:
    """Read a public key from a PEM file.

    Raises:
        SigningKeyInvalid: the file cannot be read, or is no such key.
    """
    return read_public(_read(path))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST)
    except OSError as error:
        raise SigningKeyInvalid(f"{path} cannot be read: {error.strerror}") from None


def _private_pem(private: Ed25519PrivateKey) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write_once(path: Path, content: bytes, mode: int) -> None:
    """Write a file whole or not at all, unless it is there: a link fails where a name is taken."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(mode)
        with contextlib.suppress(FileExistsError):
            os.link(name, path)
    finally:
        Path(name).unlink()
