"""Count the events that a consumer group has not read yet."""

import math
from collections.abc import Mapping
from typing import Any

from faxline.contract.events import position


def unread(group: Mapping[str, Any], stream: Mapping[str, Any]) -> int:
    """How many events of the stream a group has yet to read, by XINFO GROUPS and XINFO STREAM.

    Once events were dropped that a group had not read, the server counts them as unread for ever. So where
    the stream drops events, the group's place between the oldest and the newest bounds the count.
    """
    length: int = stream["length"]
    first, last = stream["first-entry"], position(stream["last-generated-id"].decode())
    read = position(group["last-delivered-id"].decode())
    if first is None or read >= last:
        return 0
    lag = length if group["lag"] is None else min(int(group["lag"]), length)
    oldest = position(first[0].decode())
    if stream["entries-added"] == length or read <= oldest or last[0] == oldest[0]:
        return lag
    return min(lag, math.ceil(length * (last[0] - read[0]) / (last[0] - oldest[0])))
