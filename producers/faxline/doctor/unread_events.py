"""Check how far consumer groups are behind the events stream, which drops its oldest events."""

from collections.abc import Mapping, Sequence
from typing import Any

from faxline.contract.check import Check, Result
from faxline.contract.redis_keys import ARCHIVE_GROUP, RedisKeys
from faxline.reading.consumer_groups import missed_by
from faxline.reading.unread_events import unread
from faxline.steps.commands import Command, Steps
from faxline.steps.redis_errors import is_refusal

NEAR = 0.8
"""From this part of a full stream on, unread events are about to be dropped."""


def unread_checks(keys: RedisKeys) -> Steps[list[Check]]:
    """Check the consumer groups of an account's events."""
    name = f"events of {keys.account}"
    try:
        stream = yield Command(lambda client: client.xinfo_stream(keys.events))
        groups = yield Command(lambda client: client.xinfo_groups(keys.events))
    except Exception as error:
        if not is_refusal(error) or "no such key" not in str(error):
            raise
        return [Check(name, Result.OK, "there are none yet")]
    groups = [group for group in groups if group["name"] != ARCHIVE_GROUP.encode()]  # kept beyond the cap
    troubles = [check for group in groups if (check := _trouble(name, keys.events, group, stream))]
    return troubles or [Check(name, Result.OK, _well(groups, stream))]


def _trouble(name: str, key: str, group: Mapping[str, Any], stream: Mapping[str, Any]) -> Check | None:
    title = f"group {group['name'].decode()!r}"
    if missed_by(group, stream):
        text = (
            f"{title} was away while events were dropped that it had not read: its next reader raises "
            "EventsMissed; look up the jobs that matter, and raise FAXLINE_EVENTS_CAP"
        )
        return Check(name, Result.FAIL, text)
    full = stream["entries-added"] > stream["length"]  # so every further event drops one
    behind = unread(group, stream)
    if full and behind >= NEAR * stream["length"]:
        text = (
            f"{title} has {behind} of {stream['length']} events unread, and the oldest are about to be "
            f"dropped: start readers, or raise FAXLINE_EVENTS_CAP. An unused group: XGROUP DESTROY {key}"
        )
        return Check(name, Result.WARN, text)
    return None


def _well(groups: Sequence[Mapping[str, Any]], stream: Mapping[str, Any]) -> str:
    if not groups:
        return "no group reads them"
    behind = max(groups, key=lambda group: unread(group, stream))
    held = sum(group["pending"] for group in groups)
    return (
        f"{len(groups)} {'groups read' if len(groups) > 1 else 'group reads'} them; furthest behind is "
        f"{behind['name'].decode()!r} with {unread(behind, stream)} unread; {held} are being worked on"
    )
