"""The layout of what is stored in Redis: its version, who may work on what, and how an older one is upgraded.

A layout is MAJOR.MINOR. A new MINOR adds fields, members and keys that an older process leaves alone, so both
work side by side. A new MAJOR changes what an older process would read wrongly: that process does not start,
ends if it runs, and its scripts leave such records alone. CONTRIBUTING.md has the promise.

- 1.0: the first one.
- 1.1: `taken`, `bytes`, `layout` and the ceilings in the account's hash; `bytes` in a record; sizes of
  documents in `document-uses`.
- 1.2: `keys`, the ids of the dispatchers' sealing keys, in the account's hash.
- 1.3: in the account's hash the steady clock (`seen`, `skew`), the steps of Redis' clock (`step`, `step_at`,
  `stepped`, `stepped_until`), the receipts that a policy waits for (`words`, `words_at`), the settings that
  processes offer (`offers`, `strictest`) and what tells that the state went back (`run`, `base`,
  `verify_until`, `ticks`, `paused_before`, `lost_from`, `lost_until`, `lost_unknown`, `lost_more`); the hash
  `lost`, the sorted set `held`, the sets `untried:DIGITS`, `group:NAME!size` and `group:NAME!rejected`; in a
  record `granted_at` and `held`, and in `known_pages` a range such as 10-16, which an older process takes for
  unknown.
- 1.4: the sorted sets `polls` and `asks`; in the account's hash `poll_share` and `asking`; in an offer the
  share of polling and whether results are asked for; in a record `lowered`, the quality of the next delivery.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import redis

from faxline.contract.check import Check, Result
from faxline_worker.state.scan import scan_pages
from faxline_worker.state.scripts import LAYOUT
from faxline_worker.state.store import Store

PIECE = 200
"""Records and sizes that one script takes; Redis serves others in between."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade did, or with `look` would do.

    Attributes:
        records: open jobs that an older layout had written.
        counted: open jobs that were not counted under the ceiling of bytes.
        freed: what was still counted of jobs that had ended, and documents that no job needs.
    """

    records: int = 0
    counted: int = 0
    freed: int = 0

    @property
    def nothing(self) -> bool:
        """Whether all was as it should be."""
        return not (self.records or self.counted or self.freed)


def upgrade(client: redis.Redis, store: Store, *, look: bool = False) -> Upgraded:
    """Bring an account to the present layout, in pieces, while the daemon runs. Again, it finds nothing.

    Args:
        client: a client of the state's database.
        store: the account's.
        look: only say what there is to do.

    Raises:
        NewerLayoutError: a newer layout is stored than this version knows.
        redis.RedisError: the server did not answer or refused; what was done stays.
    """
    store.schema.check() if look else store.schema.init_account()
    done = [0, 0, 0]
    for jobs in _pieces(_jobs(client, store)):
        done = [a + b for a, b in zip(done, store.schema.upgrade(jobs, [], look=look), strict=True)]
    for digests in _pieces(_sizes(client, store)):
        done = [a + b for a, b in zip(done, store.schema.upgrade([], digests, look=look), strict=True)]
    return Upgraded(*done)


def _pieces(names: Iterator[str]) -> Iterator[list[str]]:
    while piece := list(islice(names, PIECE)):
        yield piece


def _jobs(client: redis.Redis, store: Store) -> Iterator[str]:
    prefix = store.keys.job("")
    for page in scan_pages(client, prefix):
        for key in page:
            yield key.decode().removeprefix(prefix)


def _sizes(client: redis.Redis, store: Store) -> Iterator[str]:
    fields: Any = client.hscan_iter(store.keys.document_uses, match="*:bytes", count=1000)
    for field, _ in fields:
        yield field.decode().removesuffix(":bytes")


def layout_check(name: str, stored: str | None) -> Check:
    """What a stored layout means for this version, and what to do; nothing before 1.1."""
    ours = f"{LAYOUT[0]}.{LAYOUT[1]}"
    major, minor = (int(part) for part in (stored or "1.0").split(".")[:2])
    if major > LAYOUT[0]:
        text = f"{stored} is stored, and this version knows {LAYOUT[0]}.x: start the newer version"
        return Check(name, Result.FAIL, text)
    if major == LAYOUT[0] and minor > LAYOUT[1]:
        text = (
            f"{stored}, by a newer version than this ({ours}), which goes on: bring the roll-out to its end"
        )
        return Check(name, Result.WARN, text)
    if (major, minor) < LAYOUT:
        text = (
            f"{stored or 'none'} is stored, and this version has {ours}: start its dispatchers, then "
            "`faxline-worker migrate`"
        )
        return Check(name, Result.WARN, text)
    return Check(
        name, Result.OK, f"{ours}; `faxline-worker migrate --check` tells whether older records remain"
    )


def describe(done: Upgraded, *, look: bool) -> str:
    """What an upgrade did, in one sentence."""
    if done.nothing:
        return f"as layout {LAYOUT[0]}.{LAYOUT[1]} has it"
    verb = "to do" if look else "done"
    return (
        f"{verb}: {done.records} records of an older layout, {done.counted} jobs to count under the "
        f"ceiling of bytes, {done.freed} sizes to take off"
    )
