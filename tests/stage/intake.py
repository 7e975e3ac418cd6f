"""What a dispatcher does with its intake, in this process."""

from collections.abc import Mapping
from typing import Any

from faxline.contract.redis_keys import INTAKE_GROUP
from faxline.reading.account_state import RANKS
from faxline_worker.state.store import Store


def create_group(store: Store) -> None:
    """Create the dispatchers' consumer group, as a dispatcher does when it starts."""
    store.scripts.each("create_group", [(store.keys, [INTAKE_GROUP])])


def read_intake(
    client: Any, store: Store, consumer: str = "test", count: int | None = None
) -> list[tuple[str, Mapping[bytes, bytes]]]:
    """The entries that were pushed, as a dispatcher reads them."""
    reply = client.xreadgroup(INTAKE_GROUP, consumer, {store.keys.intake: ">"}, count=count)
    return [(entry.decode(), fields) for _, entries in reply for entry, fields in entries]


def register(store: Store, client: Any, job: str, priority: str = "normal", **fields: str) -> str:
    """Register a fax that needs no check. Returns its entry."""
    entry: str = client.xadd(store.keys.intake, {"send": "{}"}).decode()
    read_intake(client, store)
    values = {"kind": "send", "request": "{}", "number": "+12345678901", "priority": priority, **fields}
    jobs = [{"id": job, "digest": "d", "rank": RANKS[priority], "fields": values}]
    store.intake.register([{"entry": entry, "jobs": jobs}])
    return entry
