"""The entry points `faxline.archive`. What a database needs is loaded only to ask one: a proof needs none."""

from collections.abc import Mapping
from pathlib import Path

from faxline.contract.sealing.keyring import Keyring
from faxline.reading.archived import ArchiveReader, Verdict


def open_archive(environment: Mapping[str, str], keyring: Keyring | None) -> ArchiveReader:
    """Open an archive: the entry point `open`.

    Raises:
        ArchiveUnavailable: as `Inquiries`.
    """
    from faxline_archive.inquiries import Inquiries  # noqa: PLC0415 - with SQLAlchemy, a third of a second

    return Inquiries(environment, keyring)


def verify_file(path: Path, key: Path) -> Verdict:
    """Check a proof offline: the entry point `verify`.

    Args:
        path: the zip.
        key: the archive's public key, a PEM file.

    Raises:
        ProofUnreadable: the zip is none, or breaks a limit.
        SigningKeyInvalid: the key is none.
    """
    from faxline_archive.proof_zip import read_zip  # noqa: PLC0415 - needed by this command alone
    from faxline_archive.signing_key import load_public  # noqa: PLC0415 - as above
    from faxline_archive.verify import verify  # noqa: PLC0415 - as above

    return verify(read_zip(path), load_public(key))
