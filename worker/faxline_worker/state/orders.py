"""Operators' orders in Redis. Each script takes its order off the stream and stores the reply."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any, cast

from faxline.contract.redis_keys import RedisKeys
from faxline.contract.texts import clean_actor
from faxline_worker.state.account_context import AccountContext
from faxline_worker.state.scan import as_entries

SCRIPTS = ("pause_or_resume", "resolve", "redrive", "drop", "reveal", "ask")
ORDERS_AT_ONCE = 100
"""Orders that are read at once."""


class OrderResult(StrEnum):
    """The result of an operator's order."""

    DONE = "done"
    IDLE = "idle"
    """The account was paused, or not paused, already."""
    HELD = "held"
    """Only an operator ends the pause, so nothing is tried."""
    BUSY = "busy"
    """A call is under way, whose answer tells whether the pause is over."""
    ROLLED_BACK = "rolled_back"
    """The state went back to an older one; `recover` comes first."""
    CHANGED = "changed"
    """The account is paused for another reason, or since another time, than who ordered it saw."""
    UNKNOWN = "unknown"
    """No such order."""
    REFUSED = "refused"
    """The job is not in doubt, the order may not settle it (`why`), nothing can be asked about it, or no such
    entry is set aside."""
    TAKEN = "taken"
    """The jobId belongs to another job."""
    LOST = "lost"
    """The job cannot be sent again, because Redis lost its content."""
    GONE = "gone"
    """The order was carried out before."""


class OrderStore:
    """The operators' orders of one account."""

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    def of(self, account: str) -> "OrderStore":
        """The orders of another account, such as one that was removed.

        Raises:
            ValueError: it is no name of an account.
        """
        keys = RedisKeys(account)
        return OrderStore(replace(self._context, keys=keys, scripts=self._context.scripts.of(keys)))

    def read(self, after: str = "", most: int = ORDERS_AT_ONCE) -> list[tuple[str, dict[bytes, bytes]]]:
        """The orders that are still to be carried out, the oldest first.

        Args:
            after: the entry after which to begin; "" begins at the first.
            most: how many at most.
        """
        begin = f"({after}" if after else "-"
        found = as_entries(self._context.client.xrange(self._context.keys.orders, begin, count=most))
        return [(entry.decode(), fields) for entry, fields in found]

    def get(self, entry: str) -> dict[bytes, bytes] | None:
        """The fields of one order; None if it has been carried out."""
        found = as_entries(self._context.client.xrange(self._context.keys.orders, entry, entry))
        return found[0][1] if found else None

    def is_repeat(self, order: Mapping[str, str]) -> bool:
        """Whether it is a copy of an order that was carried out, added because the reply was lost."""
        token = order.get("token")
        return bool(token) and bool(self._context.client.exists(self._context.keys.reply(token or "")))

    def pause_or_resume(self, entry: str, order: str, by: str = "", seen: str = "") -> OrderResult:
        """Pause or resume the account, or let a probe go. Returns what the script of this name replies.

        Args:
            entry: the order, on the stream `orders`.
            order: pause, resume or probe.
            by: who orders it, for the audit.
            seen: the pause that this person saw, which a resume or a probe is about; "": any.
        """
        return OrderResult(self._run("pause_or_resume", entry, order, by, seen))

    def resolve(
        self,
        entry: str,
        job: str,
        how: str,
        job_id: str,
        by: str = "",
        *,
        user: str = "",
        attempt: str = "",
        created_at: str = "",
        applied: Callable[[dict[str, Any]], None] = lambda _: None,
        failed: Callable[[], None] = lambda: None,
    ) -> OrderResult:
        """Settle a doubt as an operator ordered: done, refused, taken or gone.

        Args:
            entry: the order, on the stream `orders`.
            job: the job in doubt.
            how: accepted, resend or fail.
            job_id: iFax's jobId, for accepted.
            by: who orders it, for the audit.
            user: that person's Redis user, for the event.
            attempt: the attempt that this person saw in doubt; another one is not settled. "": any.
            created_at: when the fax that this person saw was registered (ms); another one with its id is not
                settled. "": any.
            applied: called with a receipt that had come before and was applied with the order.
            failed: called if the job failed by the order.
        """
        seen = (clean_actor(user, by), attempt, created_at)
        args = (entry, job, how, job_id, by, self._context.options, *seen)
        reply = json.loads(self._context.run("resolve", *args))
        if "receipt" in reply:
            applied(reply["receipt"])
        if "failed" in reply:
            failed()
        return OrderResult(reply["result"])

    def redrive(self, entry: str, dead: str, by: str = "") -> OrderResult:
        """Put an entry that was set aside back on its stream: done, refused or gone.

        Args:
            entry: the order, on the stream `orders`.
            dead: the entry, on the stream `dead`.
            by: who orders it, for the audit.
        """
        return OrderResult(self._run("redrive", entry, dead, by))

    def drop(self, entry: str, dead: str, by: str = "") -> OrderResult:
        """Delete an entry that was set aside: done, refused or gone. Arguments as for `redrive`."""
        return OrderResult(self._run("drop", entry, dead, by))

    def reveal(self, entry: str, by: str = "") -> OrderResult:
        """Record in the audit that the numbers of the jobs in the order are shown: done or gone."""
        return OrderResult(self._run("reveal", entry, by))

    def ask(self, entry: str, job: str, by: str = "") -> OrderResult:
        """Have iFax asked now how a job stands: done, idle (it is asked already), refused or gone.

        Args:
            entry: the order, on the stream `orders`.
            job: a submitted or unconfirmed job, or one in doubt whose jobId is known.
            by: who orders it, for the audit.
        """
        return OrderResult(self._run("ask", entry, job, by))

    def _run(self, name: str, *args: str) -> str:
        return cast("bytes", self._context.run(name, *args, self._context.options)).decode()
