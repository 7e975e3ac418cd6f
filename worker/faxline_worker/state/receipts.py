"""Receipts in Redis: the status stream is applied to jobs, and unclaimed receipts are matched to doubts."""

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from faxline.contract.sealing.seals import Seals
from faxline_worker.state.account_context import AccountContext, without_nulls
from faxline_worker.state.results import Matched, Receipted, ReceiptResult, ReconcileLock

SCRIPTS = ("receipt", "match", "try_lock_reconcile")
MOST_RAW = 8 * 1024
"""Bytes of the largest receipt that is kept as it came. Of a larger one only the digest is."""


def evidence(seals: Seals, receipt: Mapping[str, Any], body: bytes | None, *, raw: bool) -> dict[str, str]:
    """What the scripts keep of a receipt as it came: its digest, and with `raw` the receipt itself.

    Args:
        seals: of the account.
        receipt: the members of the parsed receipt. Of an inbound fax nothing is kept.
        body: the receipt as it came; None if it is not known.
        raw: whether an archive may be on.
    """
    if body is None or receipt["outcome"] == "received":
        return {}
    kept = {"digest": hashlib.sha256(body).hexdigest()}
    if raw and len(body) <= MOST_RAW:
        kept["raw"] = seals.receipt(receipt["job_id"], body)
    return kept


class ReceiptStore:
    """The receipts of one account.

    Args:
        context: the account.
        lease: how long (ms) the reconcile lock is held without news.
    """

    def __init__(self, context: AccountContext, lease: int) -> None:
        self._context = context
        self._lease = lease
        self._keeps_raw = False
        """Whether an archive was on when receipts were last applied."""

    def read(self, count: int) -> list[tuple[str, dict[bytes, bytes]]]:
        """The oldest entries of the status stream."""
        entries = cast(
            "list[tuple[bytes, dict[bytes, bytes]]]",
            self._context.client.xrange(self._context.keys.status, count=count),
        )
        return [(entry.decode(), fields) for entry, fields in entries]

    def apply(
        self,
        receipts: Sequence[tuple[str, Mapping[str, Any]]],
        bodies: Sequence[Mapping[bytes, bytes]] = (),
    ) -> list[Receipted]:
        """Apply entries of the status stream in the stream's order.

        Args:
            receipts: the id and the parsed receipt of each entry; at least one.
            bodies: the stored fields of each entry, to be remembered, and for the digests.
        """
        context = self._context
        answer = self._apply(receipts, bodies)
        if "rows" not in answer:
            answer = self._apply(receipts, bodies)
        rows = [Receipted.read(row) for row in answer["rows"]]
        taken = (row.error is None and row.result is not ReceiptResult.GONE for row in rows)
        context.memory.received(itertools.compress(bodies, taken), answer["now"])
        return rows

    def _apply(
        self, receipts: Sequence[tuple[str, Mapping[str, Any]]], bodies: Sequence[Mapping[bytes, bytes]]
    ) -> Any:
        items = []
        for i, (entry, receipt) in enumerate(receipts):
            fields = bodies[i] if bodies else {}
            known = evidence(self._context.seals, receipt, fields.get(b"body"), raw=self._keeps_raw)
            items.append({"entry": entry, "receipt": without_nulls(receipt) | known})
        sent = json.dumps(items, separators=(",", ":"))
        context, raw = self._context, "1" if self._keeps_raw else ""
        answer = json.loads(context.run("receipt", context.options, sent, context.steady.now(), raw))
        self._keeps_raw = "archive" in answer
        return answer

    def match(self, most: int = 50) -> list[Matched]:
        """Match receipts that no answer claimed in time with jobs in doubt.

        Args:
            most: how many receipts in one call.
        """
        context = self._context
        args = (context.options, most, context.steady.now())
        return [Matched.read(row) for row in json.loads(context.run("match", *args))]

    def try_lock_reconcile(self, *, turn: bool = False) -> ReconcileLock:
        """Lock reconciling if receipts wait. Who gets the lock sends the `reconcile` message.

        Args:
            turn: the caller has the lock and is at the end of its turn; the lock is released if nothing
                waits any more.
        """
        context = self._context
        reply = context.run("try_lock_reconcile", self._lease, "1" if turn else "", context.steady.now())
        return ReconcileLock(reply.decode())

    def lock_reconcile_on_news(self) -> bool:
        """Lock reconciling when receipts are known to wait; whether the caller got the lock."""
        key = self._context.keys.reconcile_wake
        return bool(self._context.client.set(key, "1", nx=True, px=self._lease))
