"""What the entries of a proof tell."""

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from faxline.contract.events import EventName
from faxline.contract.states import FINAL_STATES
from faxline.reading.archived import Verdict
from faxline_archive.leaves import VERSION, canonical_json

BEGINNINGS = frozenset({EventName.QUEUED, EventName.REJECTED})
"""The events by which a fax begins. One that begins by another is not whole."""
_NOT_ITS_STATE = frozenset({EventName.REJECTED, EventName.DUPLICATE, EventName.CANCEL_REFUSED})
_STREAM_ID = re.compile(r"([0-9]{1,20})-([0-9]{1,20})")


class Story:
    """What a fax's entries tell, one after the other."""

    def __init__(self, verdict: Verdict, members: Mapping[str, bytes]) -> None:
        self._verdict = verdict
        self._members = members
        self._last: dict[str, tuple[int, int]] = {}
        self._receipts: set[str] = set()
        self._private: set[str] = set()
        self._begun = False

    def add(self, leaf: int, body: bytes) -> None:
        """Take one entry, which is in the tree."""
        entry = _object(body)
        fields, stream = entry.get("fields"), entry.get("stream")
        found = _STREAM_ID.fullmatch(str(entry.get("id")).partition("/")[0])
        if entry.get("v") != VERSION or not isinstance(fields, dict) or found is None:
            self._fail(f"Entry {leaf} has a form that this version of Faxline does not know.")
            return
        if entry.get("account") != self._verdict.account or fields.get("job") != self._verdict.job:
            self._fail(f"Entry {leaf} is about another fax.")
        place = (int(found[1]), int(found[2]))
        if place < self._last.get(str(stream), (0, 0)):
            self._verdict.holds.append(
                f"Entry {leaf} came after the one before it, although its time is earlier: Redis' clock was "
                "set back. The order of the leaves is what is proven."
            )
        self._last[str(stream)] = place
        self._open_private(leaf, entry.get("private"))
        if stream == "events":
            self._tell(fields)

    def _fail(self, text: str) -> None:
        self._verdict.fails.append(text)

    def _open_private(self, leaf: int, told: Any) -> None:
        name = f"private/{leaf}.json"
        content = self._members.get(name)
        if content is None:
            return
        self._private.add(name)
        if hashlib.sha256(content).hexdigest() != told:
            self._fail(f"{name} is not what entry {leaf} commits to.")
            return
        number = _object(content).get("to")
        if isinstance(number, str):
            self._verdict.recipient = number

    def _tell(self, fields: Mapping[str, Any]) -> None:
        verdict = self._verdict
        data = _object(str(fields.get("data", "{}")).encode())
        at = _moment(fields.get("at"))
        event, fresh = fields.get("event"), not self._begun
        self._begun = True
        if fresh and event in BEGINNINGS:
            verdict.began = at
        elif fresh:
            verdict.incomplete.append("The archive does not have the beginning of this fax.")
        if fresh and event == EventName.REJECTED:
            verdict.ended = at
        state = data.get("state")
        if isinstance(state, str) and event not in _NOT_ITS_STATE:
            verdict.state = state
            verdict.ended = at if state in FINAL_STATES else None
            verdict.reason = data["reason"] if isinstance(data.get("reason"), str) else None
            verdict.pages = _count(data.get("pages"))
            verdict.transferred = _count(data.get("transferred"))
        if isinstance(data.get("receipt"), str):
            self._receipts.add(data["receipt"])

    def end(self) -> None:
        """Check what stands beside the entries."""
        opened = 0
        for name, content in self._members.items():
            if name.startswith("private/") and name not in self._private:
                self._fail(f"{name} belongs to no entry.")
            if not name.startswith("receipts/"):
                continue
            digest = hashlib.sha256(content).hexdigest()
            if name != f"receipts/{digest}.json" or digest not in self._receipts:
                self._fail(f"{name} is not the receipt that an entry names.")
            else:
                opened += 1
        if opened and not self._verdict.fails:
            self._verdict.holds.append(f"{opened} of {len(self._receipts)} receipts of iFax are here.")


def _object(text: bytes) -> dict[str, Any]:
    """A JSON object in its canonical form, otherwise an empty one."""
    try:
        found = json.loads(text)
        if isinstance(found, dict) and canonical_json(found).encode() == text:
            return found
    except (ValueError, RecursionError):
        pass
    return {}


def _moment(value: Any) -> datetime | None:
    try:
        return datetime.fromtimestamp(int(value) / 1000, UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _count(value: Any) -> int | None:
    return value if type(value) is int else None
