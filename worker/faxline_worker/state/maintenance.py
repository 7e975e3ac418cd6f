"""The maintenance of an account in Redis: reading it in pages, erasing, resealing, tidying."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.scan import as_entries, scan_pages

SCRIPTS = (
    *("tidy", "forget", "forget_number", "reseal_request", "reseal_dead"),
    *("lock_maintenance", "complete_order"),
)

PAGE = 50
"""Items that one script handles. Redis serves others in between."""


class KeptReceipt(NamedTuple):
    """A receipt as it came, in a job's record: the job, the field, iFax's jobId, and the value."""

    job: str
    field: str
    job_id: str
    kept: str


class MaintenanceStore:
    """The maintenance of one account: reading all of it, erasing, resealing, tidying."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context
        self._client = context.client
        self._keys = context.keys
        self._seals = context.seals

    def records(self, *names: str) -> Iterator[tuple[str, list[bytes | None]]]:
        """Read these fields of all records, in pages. Returns ids and fields; one may come twice."""
        begin = self._keys.job("")
        for page in scan_pages(self._client, begin):
            with self._client.pipeline(transaction=False) as pipe:
                for key in page:
                    pipe.hmget(key, list(names))
                values = pipe.execute()
            for key, fields in zip(page, values, strict=True):
                yield key.decode().removeprefix(begin), fields

    def field(self, job: str, name: str) -> bytes | None:
        """Read one field of a job's record."""
        return cast("bytes | None", self._client.hget(self._keys.job(job), name))

    def newest(self, stream: str) -> str:
        """The id of a stream's newest entry; "" if the stream is empty."""
        found = as_entries(self._client.xrevrange(stream, count=1))
        return found[0][0].decode() if found else ""

    def entries(self, stream: str) -> Iterator[tuple[str, dict[bytes, bytes]]]:
        """Read the entries of a stream, the oldest first, in pages that are small if entries may be large."""
        after, count = "-", 10 if stream in {self._keys.intake, self._keys.dead} else 1000
        while True:
            page = as_entries(self._client.xrange(stream, after, count=count))
            for entry, fields in page:
                yield entry.decode(), fields
            if not page:
                return
            after = "(" + page[-1][0].decode()

    def delete_entries(self, stream: str, entries: Sequence[str]) -> None:
        """Delete entries of a stream."""
        for at in range(0, len(entries), 500):
            self._client.xdel(stream, *entries[at : at + 500])

    def reseal_request(self, job: str, kept: str) -> bool:
        """Seal a job's request with the current key; False if it has changed since it was read.

        Raises:
            KeyMissing: it is sealed by a key that is not on the keyring.
            SealBroken: it was changed after it was sealed, or is another job's.
        """
        sealed = self._seals.request(job, self._seals.open_request(job, kept))
        return bool(self._context.run("reseal_request", job, kept, sealed, "request") == b"done")

    def receipts(self) -> Iterator[KeptReceipt]:
        """Read the receipts that records keep as they came, in pages."""
        begin = self._keys.job("")
        for page in scan_pages(self._client, begin):
            with self._client.pipeline(transaction=False) as pipe:
                for key in page:
                    pipe.hget(key, "n")
                steps = [int(n or 0) for n in pipe.execute()]
                for key, n in zip(page, steps, strict=True):
                    pipe.hmget(key, [f"{what}:{i}" for i in range(1, n + 1) for what in "rh"] or ["n"])
                found = pipe.execute()
            for key, n, values in zip(page, steps, found, strict=True):
                for i in range(n):
                    kept, history = values[2 * i : 2 * i + 2]
                    if kept and history:
                        job_id = str(json.loads(history).get("jobId", ""))
                        yield KeptReceipt(
                            key.decode().removeprefix(begin), f"r:{i + 1}", job_id, kept.decode()
                        )

    def reseal_receipt(self, receipt: KeptReceipt) -> bool:
        """Seal a kept receipt with the current key; False if it is gone. Raises like `reseal_request`."""
        body = self._seals.open_receipt(receipt.job_id, receipt.kept)
        sealed = self._seals.receipt(receipt.job_id, body)
        reply = self._context.run("reseal_request", receipt.job, receipt.kept, sealed, receipt.field)
        return bool(reply == b"done")

    def reseal_dead(self, entry: str, content: str) -> bool:
        """Replace the content of a set-aside entry; False if the entry is gone."""
        return bool(self._context.run("reseal_dead", entry, content) == b"done")

    def forget(self, job: str) -> str:
        """Erase a job: done, gone (no such job), or the state of a job that has not ended."""
        return cast("bytes", self._context.run("forget", job)).decode()

    def forget_number(self, number: str) -> None:
        """Erase everything about a number that is stored outside of jobs."""
        cursor = -1
        while cursor:
            found = self._client.zscan(self._keys.unmatched, max(0, cursor), count=PAGE)
            cursor, page = cast("tuple[int, list[tuple[bytes, float]]]", found)
            self._context.run("forget_number", number, *(job_id for job_id, _ in page))

    def tidy(self, *, rounds: int = 40) -> int:
        """Delete documents that no job needs, and requests whose time is over. Returns how many.

        Args:
            rounds: the most script calls, each of PAGE of each kind, because others wait for it.
        """
        went = 0
        for _ in range(rounds):
            gone, more = cast("list[int]", self._context.run("tidy", PAGE))
            went += gone
            if not more:
                break
        return went

    def lock(self, who: str, seconds: float) -> bool:
        """Lock the maintenance of the account; False if another dispatcher has the lock.

        Args:
            who: the dispatcher. It renews its lock by calling again.
            seconds: how long the lock holds.
        """
        return bool(self._context.run("lock_maintenance", who, round(seconds * 1000)) == b"locked")

    def complete_order(
        self, entry: str, order: Mapping[str, str], result: str, reply: Mapping[str, Any], who: str
    ) -> str:
        """Take a completed long-running order off its stream. Returns the result, or gone.

        Args:
            entry: the order, on the stream `orders`.
            order: its members. Its name and who gave it go into the audit.
            result: the result.
            reply: further members of the reply to the operator. `about` and `job` go into the audit.
            who: the dispatcher. It releases its lock, and never another's.
        """
        about, job = reply.get("about", ""), reply.get("job", "")
        by = order.get("by", "")
        told = (json.dumps(reply), self._context.options, who)
        return cast(
            "bytes", self._context.run("complete_order", entry, order["order"], by, about, job, result, *told)
        ).decode()
