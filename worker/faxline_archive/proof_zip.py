"""The zip of a proof: what it holds, and how a stranger's zip is opened."""

import io
import re
import time
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

from faxline.contract.errors import FaxlineError, ProofRefused

MANIFEST, CHECKPOINT, EARLIER, PATHS = "manifest.txt", "checkpoint.txt", "checkpoint-then.txt", "proof.json"
REPORT, README = "report.pdf", "README.md"
MEMBER = re.compile(
    r"manifest\.txt|checkpoint\.txt|checkpoint-then\.txt|proof\.json|report\.pdf|README\.md"
    r"|(?:entries|private)/(?:0|[1-9][0-9]{0,18})\.json|receipts/[0-9a-f]{64}\.json"
)
"""The names that a proof may hold."""
LARGEST_FILE, LARGEST_MEMBER, LARGEST_WHOLE = 8 << 20, 4 << 20, 32 << 20
"""The most bytes of the zip, of one member, and of all members together."""
MOST_MEMBERS = 5000
LARGEST_RATIO = 200
"""How much larger than in the zip a member may be; deflate reaches 1032 with nothing but zeros."""
SMALL = 1 << 20
"""Up to so many bytes a member may be packed as tightly as it goes: metadata may be one letter many times."""
LONGEST = 20.0
"""The most seconds that unpacking may take."""
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PIECE = 1 << 16


class ProofUnreadable(FaxlineError):
    """A file is no proof, or breaks a limit. The message is one line that says which."""


class ProofTooLarge(ProofRefused):
    """What is to be packed would break a limit that `read_zip` checks. The message says which."""


def write_zip(members: Mapping[str, bytes]) -> bytes:
    """Pack members. The same members make the same bytes, which `read_zip` takes.

    Raises:
        ProofTooLarge: they would break one of its limits.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), content, zipfile.ZIP_DEFLATED)
    content = buffer.getvalue()
    if len(content) > LARGEST_FILE:
        raise ProofTooLarge(f"the proof would be larger than {LARGEST_FILE >> 20} MiB")
    try:
        unpack(content)
    except ProofUnreadable as error:
        raise ProofTooLarge(f"the proof would not be readable: {error}") from None
    return content


def read_zip(path: Path) -> dict[str, bytes]:
    """Unpack a stranger's proof into memory. Nothing is written to disk.

    Raises:
        ProofUnreadable: the file cannot be read, is no zip, holds a name twice or one that a proof does not
            have, or breaks a limit of size, number, ratio or time.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ProofUnreadable(f"the file cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise ProofUnreadable(f"the file is larger than {LARGEST_FILE >> 20} MiB")
    return unpack(content)


def unpack(content: bytes) -> dict[str, bytes]:
    """Unpack a zip, as `read_zip` does."""
    until = time.monotonic() + LONGEST
    members: dict[str, bytes] = {}
    left = LARGEST_WHOLE
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            listed = archive.infolist()
            if len(listed) > MOST_MEMBERS:
                raise ProofUnreadable(f"the zip has more than {MOST_MEMBERS} members")
            for info in listed:
                _check(info, members)
                members[info.filename] = _read(archive, info, min(left, LARGEST_MEMBER), until)
                left -= len(members[info.filename])
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, ValueError, OSError):
        raise ProofUnreadable("the file is no zip, or a broken one") from None
    return members


def _check(info: zipfile.ZipInfo, members: Mapping[str, bytes]) -> None:
    if not MEMBER.fullmatch(info.filename):
        raise ProofUnreadable("the zip has a member that no proof has")
    if info.filename in members:
        raise ProofUnreadable(f"the zip has {info.filename} twice")
    if info.flag_bits & 1 or info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise ProofUnreadable(f"{info.filename} is encrypted, or packed in another way than deflate")
    if info.file_size > SMALL and info.file_size > LARGEST_RATIO * max(info.compress_size, 1):
        raise ProofUnreadable(f"{info.filename} grows more than {LARGEST_RATIO} times when it is unpacked")


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, until: float) -> bytes:
    """Read a member, whatever size the zip claims that it has."""
    pieces: list[bytes] = []
    with archive.open(info) as file:
        while piece := file.read(_PIECE):
            pieces.append(piece)
            most -= len(piece)
            if most < 0:
                raise ProofUnreadable("the zip is larger than a proof when it is unpacked")
            if time.monotonic() > until:
                raise ProofUnreadable(f"it takes longer than {LONGEST:.0f} s to unpack the zip")
    return b"".join(pieces)
