"""The methods of `FaxLine` with which operators act: each gives a dispatcher an order and waits."""

from collections.abc import Iterable
from datetime import datetime

from faxline.client.base import Blocking
from faxline.contract.orders import Order
from faxline.operating.dead_entries import drop, redrive
from faxline.operating.erasure import Forgotten, SealedValues, count_sealed_values, forget, forget_number
from faxline.operating.operations import GIVE_ORDERS, ask, parse_resolution, resolve, reveal
from faxline.reading.job import Job


class Operator(Blocking):
    """Settle doubts, ask iFax about a fax, redrive entries, reveal numbers.

    Every order is written to the audit, with `by` and the Redis user.
    """

    def resolve(
        self,
        job: str,
        *,
        accepted: int | None = None,
        resend: bool = False,
        fail: bool = False,
        attempt: int | None = None,
        created_at: datetime | None = None,
        by: str,
        timeout: float = 5.0,
    ) -> Job:
        """Settle a doubt, by exactly one of accepted, resend and fail. Return the job after that.

        Example:
            >>> line.resolve("invoice-77", accepted=123456, by="alice")

        Args:
            job: the id of the job in doubt.
            accepted: iFax took the fax under this jobId. Its receipt decides the rest.
            resend: send the fax again: iFax did not take it, or a second copy does no harm.
            fail: give the fax up.
            attempt: the attempt that you looked up (`Job.attempt`). A later one is not settled.
            created_at: when the fax that you looked up was registered (`Job.created_at`). Another fax whose
                id is the same, because the first was forgotten, is not settled.
            by: who decides, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotInDoubt: the job is in another state, which the error has. Nothing was changed.
            NotSettled: it does not fit what is known of the doubt (`why`). Nothing was changed.
            ContentLost: Redis lost the content of the fax, so it cannot be sent again. Nothing was changed.
            JobIdTaken: the jobId belongs to another job. Nothing was changed.
            JobNotFound: there is no such job.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer, or is full.
            ValueError: none or several of the three were given, or the jobId is invalid.
        """
        how = parse_resolution(accepted, resend=resend, fail=fail)
        steps = resolve(self._context, job, accepted, how, attempt, created_at, by, timeout)
        return self._run(steps, GIVE_ORDERS)

    def ask(self, job: str, *, by: str, timeout: float = 5.0) -> bool:
        """Have iFax asked how a fax stands, ahead of all jobs. Return False if it is being asked already.

        The answer settles the job as a receipt does, and then `job` shows it; also that of a fax which ended
        unconfirmed.

        Example:
            >>> line.ask("invoice-77", by="alice")
            True

        Args:
            job: the id of a job that iFax has taken, or may have.
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotAsked: the job is in a state without a question, or its jobId is not known.
            JobNotFound: there is no such job.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            OrderUnknown: the dispatchers are of an older version.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(ask(self._context, job, by, timeout), GIVE_ORDERS)

    def redrive(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        """Put an entry that was set aside back on its stream, to be processed like a new one.

        Example:
            >>> line.redrive("1718000000000-0", by="alice")

        Args:
            entry: its id, as `dead` lists it.
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            EntryNotFound: there is no such entry.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer, or is full.
        """
        self._run(redrive(self._context, entry, by, timeout), GIVE_ORDERS)

    def drop(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        """Delete an entry that was set aside. This cannot be undone.

        Example:
            >>> line.drop("1718000000000-0", by="alice")

        Args:
            entry: its id, as `dead` lists it.
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            EntryNotFound: there is no such entry.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer, or is full.
        """
        self._run(drop(self._context, entry, by, timeout), GIVE_ORDERS)

    def reveal(self, jobs: Iterable[str], *, by: str, timeout: float = 5.0) -> dict[str, str]:
        """Return the full fax numbers of jobs, to look them up at iFax. The audit records it first.

        Example:
            >>> line.reveal(["invoice-77"], by="alice")
            {'invoice-77': '+12345678901'}

        Args:
            jobs: the ids of the jobs. Unknown jobs, and jobs without a number, are left out.
            by: who sees the numbers, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotAllowed: this Redis user may not give orders, so it may not see numbers.
            OrderTimeout: no dispatcher recorded it in time.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(reveal(self._context, jobs, by, timeout), GIVE_ORDERS)


class DataProtection(Blocking):
    """Erase data, and manage the sealing keys. Every order is written to the audit."""

    def forget(self, job: str, *, by: str, timeout: float = 60.0) -> Forgotten:
        """Erase a job that has ended: its record, its events, and its entries that were set aside.

        Its id is free for a new fax after that. Audit entries stay, and name the id.

        Example:
            >>> line.forget("invoice-77", by="alice").jobs
            1

        Args:
            job: the id of the job.
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotForgotten: the job has not ended. Nothing was changed.
            JobNotFound: there is no such job, and no archive that could have it.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(forget(self._context, job, by, timeout), GIVE_ORDERS)

    def forget_number(self, number: str, *, by: str, timeout: float = 600.0) -> Forgotten:
        """Erase all jobs to a number that have ended, and receipts and other things stored about the number.

        Jobs that have not ended stay, and so do faxes that were set aside before they were sent.

        Example:
            >>> line.forget_number("+12345678901", by="alice").jobs
            3

        Args:
            number: the number, as `send` takes it.
            by: who orders it, for the audit, which has the last four digits of the number.
            timeout: seconds to wait for a dispatcher.

        Raises:
            EntryRejected: this is not a fax number.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(forget_number(self._context, number, by, timeout), GIVE_ORDERS)

    def sealed_values(self, *, by: str, timeout: float = 600.0) -> SealedValues:
        """Count the values that each key seals. A key that seals none may be removed.

        Example:
            >>> line.sealed_values(by="alice").by_kind["requests"]
            {'2026-01-31-4711': 12}

        Args:
            by: who asks, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            OrderTimeout: no dispatcher counted them in time. The order stays until one does.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(count_sealed_values(self._context, Order.KEYS, by, timeout), GIVE_ORDERS)

    def rotate_keys(self, *, by: str, timeout: float = 600.0) -> SealedValues:
        """Seal everything again with the dispatchers' current key, and count as `sealed_values` does.

        Example:
            >>> line.rotate_keys(by="alice").resealed
            {'documents': 3, 'requests': 12}

        Args:
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NoKeys: the dispatcher has no keys.
            OrderTimeout: no dispatcher did it in time. The order stays until one does.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(count_sealed_values(self._context, Order.ROTATE, by, timeout), GIVE_ORDERS)
