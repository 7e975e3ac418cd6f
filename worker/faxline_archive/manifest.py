"""The manifest of a proof: what is signed about its other members."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime

PROOF = "faxline-proof/"
"""What comes before the account in a manifest's first line, so that no checkpoint passes for a manifest."""


def manifest_text(account: str, job: str, at: datetime, members: Mapping[str, bytes]) -> str:
    """What is signed about the members: whose proof it is, when it was made, and each member's SHA-256."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}" for name, content in sorted(members.items())]
    head = [PROOF + account, f"fax {job}", f"at {at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"]
    return "\n".join([*head, *lines]) + "\n"
