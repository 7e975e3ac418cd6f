"""Reaches the archive, which is a package of its own: by the entry points `faxline.archive`."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, cast

from faxline.contract.errors import ArchiveUnavailable
from faxline.contract.sealing.keyring import Keyring
from faxline.reading.archived import ArchiveReader, Verdict

GROUP = "faxline.archive"


def open_archive(environment: Mapping[str, str], keyring: Keyring | None) -> ArchiveReader:
    """Open the archive of FAXLINE_ARCHIVE__URL.

    Args:
        environment: has FAXLINE_ARCHIVE__URL and, for proofs, FAXLINE_ARCHIVE__SIGNING_KEY_FILE.
        keyring: opens what is sealed; None without any.

    Raises:
        ArchiveUnavailable: the extra `archive` is not installed, or there is no such archive.
    """
    return cast("ArchiveReader", _call("open", environment, keyring))


def verify_proof(path: Path, key: Path) -> Verdict:
    """Check a proof offline.

    Args:
        path: the zip that `faxline proof` wrote.
        key: the archive's public key, a PEM file.

    Raises:
        ArchiveUnavailable: the extra `archive` is not installed.
        FaxlineError: the zip or the key cannot be read.
    """
    return cast("Verdict", _call("verify", path, key))


def _call(name: str, *arguments: object) -> Any:
    for point in entry_points(group=GROUP, name=name):
        try:
            return point.load()(*arguments)
        except ModuleNotFoundError:  # what it needs is loaded when it is called
            break
    raise ArchiveUnavailable("the archive is not installed here: pip install '.[archive]' in the checkout")
