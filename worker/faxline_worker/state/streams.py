"""The streams to which others add: entries that are set aside, and streams that ran out of ids."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import redis

from faxline.contract.entry_members import ENTRY_BYTES
from faxline.contract.redis_keys import ARCHIVE_GROUP, INTAKE_GROUP
from faxline.contract.sealing.seals import SEALED_KINDS, Seals
from faxline.reading.unread_events import unread
from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.intake_entries import DEAD
from faxline_worker.state.scan import as_entries

SCRIPTS = ("set_aside", "check_streams", "replace_stream")
MOVED, MOVED_BYTES = 500, 4_000_000
"""How many entries, and about how many bytes, one script moves from a replaced stream."""


@dataclass(frozen=True, slots=True)
class StreamCheck:
    """The state of the streams that others write to, at one moment."""

    now: int
    """Redis' clock (ms)."""
    entries: int
    """How many entries wait in intake."""
    oldest: int | None = None
    """When the oldest of them came (ms)."""
    replace: tuple[str, ...] = ()
    """The streams to replace (intake, status, orders): out of ids, or replaced but not emptied yet."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """The effect of replacing a stream that ran out of ids."""

    replaced: str | None
    """The far-future id, if the stream was replaced by this call."""
    moved: int
    """The number of entries that were moved to the new stream."""
    left: bool
    """Whether more entries must be moved."""


class StreamStore:
    """The streams of one account."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    def set_aside(self, origin: str, entry: str, why: str) -> bool:
        """Move an entry that cannot be processed to the stream `dead`; whether it was still there.

        A fax that was pushed in clear is sealed there if keys are configured.

        Args:
            origin: the entry's stream, intake or status.
            entry: its id.
            why: the reason.
        """
        context, k = self._context, self._context.keys
        stream, group = (k.intake, INTAKE_GROUP) if origin == "intake" else (k.status, "")
        found = context.client.xrange(stream, entry, entry) if group and context.seals.on else []
        content = [part for _, fields in as_entries(found) for part in _sealed_fields(context.seals, fields)]
        if sum(map(len, content)) > ENTRY_BYTES:  # the server need not accept so much
            content = ["too_large", str(sum(map(len, content)))]
        return bool(context.run("set_aside", entry, group, origin, why, DEAD, *content) == b"done")

    def check(self) -> StreamCheck:
        """Whether a stream ran out of ids, and how many entries wait in intake."""
        reply = json.loads(self._context.run("check_streams", INTAKE_GROUP))
        replace = tuple(reply.pop("replace", ()))
        return StreamCheck(**reply, replace=replace)

    def replace(self, name: str) -> Replaced:
        """Rename a stream that ran out of ids and move its entries to a new one, some in each call.

        Args:
            name: intake, status or orders.
        """
        context = self._context
        group = INTAKE_GROUP if name == "intake" else ""
        reply = json.loads(context.run("replace_stream", name, group, MOVED, MOVED_BYTES, context.options))
        return Replaced(reply.get("replaced"), reply["moved"], reply["left"])

    def events_unread(self) -> int:
        """How many events the slowest consumer group has still to read, the archive's left out."""
        events = self._context.keys.events
        try:
            with self._context.client.pipeline(transaction=False) as pipe:
                pipe.xinfo_stream(events)
                pipe.xinfo_groups(events)
                stream, groups = pipe.execute()
        except redis.ResponseError as error:
            if "no such key" not in str(error):
                raise
            return 0
        readers = (group for group in groups if group["name"] != ARCHIVE_GROUP.encode())
        return max((unread(group, stream) for group in readers), default=0)


def _sealed_fields(seals: Seals, fields: Mapping[bytes, bytes]) -> list[bytes | str]:
    """The field and the sealed value of an entry; nothing if it is no fax or is sealed already."""
    kind, raw = next(iter(fields.items()))
    if len(fields) != 1 or kind.decode("utf-8", "replace") not in SEALED_KINDS:
        return []
    text = raw.decode("utf-8", "replace")
    try:
        payload = json.loads(text)
    except (ValueError, RecursionError):
        payload = {}
    known = payload if isinstance(payload, dict) else {}
    return [] if "sealed" in known else [kind, seals.entry(kind.decode(), known, text)]
