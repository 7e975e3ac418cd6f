"""The entries that are pending with this dispatcher: kept from others, and read once more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import redis

from faxline.contract.redis_keys import INTAKE_GROUP, RedisKeys


@dataclass(frozen=True)
class PendingEntries:
    """The pending entries of one consumer.

    Attributes:
        client: a client of the state's database (bytes replies).
        consumer: the consumer's name in the group.
    """

    client: redis.Redis
    consumer: str

    def claim(self, account: str, entries: Sequence[str]) -> bool:
        """Claim the entries that are still pending. This resets their idle time, not their delivery count."""
        ids: Any = list(entries)
        keys = (RedisKeys(account).intake, INTAKE_GROUP, self.consumer, 0, ids)
        return bool(self.client.xclaim(*keys, justid=True))

    def read(self, account: str, entry: str) -> Sequence[tuple[str, Mapping[bytes, bytes]]]:
        """An entry with its fields; empty if it is no longer pending."""
        if not self.claim(account, [entry]):
            return []
        found: Any = self.client.xrange(RedisKeys(account).intake, entry, entry)
        return [(name.decode(), fields) for name, fields in found]
