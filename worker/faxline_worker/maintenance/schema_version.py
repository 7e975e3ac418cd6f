"""The version of the layout in Redis, and the upgrade of records that an older version wrote.

A layout is MAJOR.MINOR. A new MINOR adds fields, members and keys that an older process ignores, so both
versions can run side by side. A new MAJOR changes what an older process would misread. The older process then
does not start, ends if it runs, and its scripts leave newer records alone. CONTRIBUTING.md has the promise.

- 1.0: the first layout.
- 1.1: in the account's hash `taken`, `bytes`, `layout` and the ceilings; in a record `bytes`; in
  `document-uses` the sizes of documents.
- 1.2: in the account's hash `keys`, the ids of the dispatchers' sealing keys.
- 1.3:
  - in the account's hash: the steady clock (`seen`, `skew`); the steps of Redis' clock (`step`, `step_at`,
    `stepped`, `stepped_until`); the receipts that a policy waits for (`words`, `words_at`); the shared
    settings of the processes (`offers`, `strictest`); the signs of a rollback (`run`, `base`, `verify_until`,
    `ticks`, `paused_before`, `lost_from`, `lost_until`, `lost_unknown`, `lost_more`)
  - the hash `lost`, the sorted set `held`, the sets `untried:DIGITS`, `group:NAME!size` and
    `group:NAME!rejected`
  - in a record: `granted_at` and `held`; in `known_pages` a range such as 10-16, which an older process reads
    as unknown
- 1.4: the sorted sets `polls` and `asks`; in the account's hash `poll_share` and `asking`; in the shared
  settings the share of polling, and whether results are polled; in a record `lowered`, the quality of the
  next delivery.
- 1.5: what an archive needs. In the account's hash `archive`, `archived_events` and `archived_audit`; the key
  `archive`; in a record `marked_at`, `canceler`, and receipts as they came (`r:N`), which are also in a
  receipt that waits (`raw`, with `digest` and `ended`). An older process trims events and audit whether or
  not an archive has read them, so the archive may count a gap while both versions run.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import redis

from faxline.contract.check import Check, Result
from faxline.contract.wording import plural
from faxline_worker.state.scan import scan_pages
from faxline_worker.state.scripts import LAYOUT
from faxline_worker.state.store import Store

PIECE = 200
"""The most records or sizes in one script call. Redis serves other clients in between."""


@dataclass(frozen=True, slots=True)
class Upgraded:
    """What an upgrade changed, or with `look` would change.

    Attributes:
        records: open jobs whose record an older version wrote.
        counted: open jobs that did not yet count towards the ceiling of bytes.
        freed: sizes that still counted although the job had ended, or no job needs the document.
    """

    records: int = 0
    counted: int = 0
    freed: int = 0

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to change."""
        return not (self.records or self.counted or self.freed)


def upgrade(client: redis.Redis, store: Store, *, look: bool = False) -> Upgraded:
    """Upgrade an account to this version's layout, in pieces, while the daemon runs. It is safe to repeat.

    Args:
        client: a client of the state's database.
        store: the account's store.
        look: only count what there is to do.

    Raises:
        NewerLayoutError: the stored layout is newer than this version knows.
        redis.RedisError: Redis did not answer or refused a command. What was done stays done.
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
    """Check a stored layout against this version's. None was stored before 1.1."""
    ours = f"{LAYOUT[0]}.{LAYOUT[1]}"
    major, minor = (int(part) for part in (stored or "1.0").split(".")[:2])
    if major > LAYOUT[0]:
        text = f"{stored} is stored, but this version knows only {LAYOUT[0]}.x: start the newer version"
        return Check(name, Result.FAIL, text)
    if major == LAYOUT[0] and minor > LAYOUT[1]:
        text = (
            f"{stored} is stored by a newer version (this one has {ours}), and both work: "
            "complete the roll-out"
        )
        return Check(name, Result.WARN, text)
    if (major, minor) < LAYOUT:
        text = (
            f"{stored or 'none'} is stored, and this version has {ours}: start its dispatchers, then run "
            "`faxline-worker migrate`"
        )
        return Check(name, Result.WARN, text)
    return Check(
        name, Result.OK, f"{ours}; `faxline-worker migrate --check` shows whether older records remain"
    )


def describe(done: Upgraded, *, look: bool) -> str:
    """Describe an upgrade in one sentence."""
    if done.nothing:
        return f"up to date (layout {LAYOUT[0]}.{LAYOUT[1]})"
    verb = "to do" if look else "done"
    return (
        f"{verb}: {plural(done.records, 'record')} of an older layout, {plural(done.counted, 'job')} to "
        f"count towards the ceiling of bytes, {plural(done.freed, 'size')} to subtract"
    )
