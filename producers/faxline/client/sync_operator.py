"""What a line offers operators."""

from collections.abc import Iterable
from datetime import datetime

from faxline.client.base import Driven
from faxline.contract.check import Check
from faxline.contract.orders import Order
from faxline.operating.audit import AuditEntry, read_audit
from faxline.operating.dead_entries import DeadEntry, drop, read_dead_entries, redrive
from faxline.operating.erasure import Forgotten, SealedValues, count_sealed_values, forget, forget_number
from faxline.operating.operations import (
    GIVE_ORDERS,
    READ_ACCOUNTS,
    READ_AUDIT,
    READ_DEAD,
    READ_PROCESSES,
    READ_QUEUE,
    list_accounts,
    parse_resolution,
    parse_state,
    pause_or_resume,
    resolve,
    reveal,
    run_checks,
)
from faxline.operating.rollback import Recovered, Rollback, read_rollback, recover
from faxline.reading.account_reader import read_account_state
from faxline.reading.account_state import AccountState
from faxline.reading.event_stream import find_intake_entry
from faxline.reading.job import Job
from faxline.reading.open_jobs import read_open_jobs
from faxline.reading.processes import Process, read_processes

__all__ = ["DeadEntry", "Operators"]


class Operators(Driven):
    """The operators' part of `FaxLine`."""

    def audit(
        self, *, after: str | datetime | None = None, before: datetime | None = None, limit: int = 1000
    ) -> list[AuditEntry]:
        """What was called at iFax and what operators ordered, the oldest first.

        Args:
            after: a moment, or the id of the last entry that is known already; from the begin when not given.
            before: a moment; to the end when not given.
            limit: how many at most.

        Raises:
            ValueError: the limit is below 1.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_audit(self._context, after, before, limit), READ_AUDIT)

    def jobs(self, *, state: str | None = None, limit: int = 100) -> list[Job]:
        """The jobs that have not come to their end, without their metadata, history and forecast.

        In doubt first (those held for an operator before the others), then submitting, submitted (the next
        deadline first) and queued (the next in line first, then those that wait for a retry).

        Args:
            state: in_doubt, submitting, submitted or queued; all of them when not given.
            limit: how many at most.

        Raises:
            ValueError: there is no list of that state, or the limit is below 1.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_open_jobs(self.keys, parse_state(state, limit), limit), READ_QUEUE)

    def intake_entry(self, job: str) -> str | None:
        """The stream id of an entry of this id, or group, that intake has yet to take; None: none waits.

        Of a long backlog the newest 10,000 entries are looked through.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(find_intake_entry(self._context, job), READ_QUEUE)

    def account_state(self) -> AccountState:
        """The account as a whole: its limits and what is used of them, its backlog, what holds it.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_account_state(self.keys), READ_QUEUE)

    def accounts(self) -> list[str]:
        """The names of all accounts that a dispatcher has run for, on this Redis.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(list_accounts(), READ_ACCOUNTS)

    def processes(self) -> list[Process]:
        """The daemon's processes, of all roles, by their heartbeats: at work, in trouble or gone.

        One that is gone stays for about a minute; one that has ended as it should is not among them.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_processes(), READ_PROCESSES)

    def checks(self) -> list[Check]:
        """What may be wrong with Redis, the dispatchers and the accounts, and what to do about it.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(run_checks(self._context), READ_ACCOUNTS)

    def pause(self, *, by: str, timeout: float = 5.0) -> AccountState:
        """Close the account until `resume`: its jobs stay queued. The account's state after that.

        Args:
            by: who orders it, for the dispatcher's log.
            timeout: seconds to wait for a dispatcher.

        Raises:
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(pause_or_resume(self._context, Order.PAUSE, by, timeout), GIVE_ORDERS)

    def resume(self, *, by: str, timeout: float = 5.0) -> AccountState:
        """Open a paused account, whatever the pause's reason. As `pause`.

        Raises:
            StateRolledBack: its state went back: `read_rollback` shows what was lost, and `recover` opens it.
        """
        return self._run(pause_or_resume(self._context, Order.RESUME, by, timeout), GIVE_ORDERS)

    def rollback(self) -> Rollback | None:
        """What is known of the stretch that Redis lost, where the account is paused as its state went back.

        None where it has not.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_rollback(self._context), READ_QUEUE)

    def recover(self, *, by: str, timeout: float = 60.0) -> Recovered:
        """Put in order what is known of the stretch that Redis lost, and let the account go on.

        What was sent, and Redis does not know, is in doubt then, or submitted where its jobId is known:
        none of it is sent again.

        Args:
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotRolledBack: the account's state has not gone back; nothing was changed.
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(recover(self._context, by, timeout), GIVE_ORDERS)

    def resolve(
        self,
        job: str,
        *,
        accepted: int | None = None,
        resend: bool = False,
        fail: bool = False,
        by: str,
        timeout: float = 5.0,
    ) -> Job:
        """Settle a doubt by an operator's word: one of accepted, resend and fail. The job after that.

        Args:
            job: the job in doubt.
            accepted: iFax took it, under this jobId; its receipt settles the rest.
            resend: iFax did not take it, or once more does no harm: it is sent again.
            fail: it is given up.
            by: who decides, for the dispatcher's log.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotInDoubt: the job is in another state, which the error tells; nothing was changed.
            ContentLost: it cannot be sent again, for Redis lost its content; nothing was changed.
            JobIdTaken: the jobId belongs to another job; nothing was changed.
            JobNotFound: there is no such job.
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
            ValueError: none or several of the three were given, or the jobId is none.
        """
        how = parse_resolution(accepted, resend=resend, fail=fail)
        return self._run(resolve(self._context, job, accepted, how, by, timeout), GIVE_ORDERS)

    def dead(self, limit: int = 100) -> list[DeadEntry]:
        """The entries that were set aside because they could not be worked on, the newest first.

        Args:
            limit: how many at most.

        Raises:
            QueueUnavailable: Redis did not answer.
            ValueError: the limit is below 1.
        """
        return self._run(read_dead_entries(self._context, limit), READ_DEAD)

    def redrive(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        """Put an entry that was set aside back on its stream, where it is worked on like a new one.

        Args:
            entry: its id, as `dead` gives it.
            by: who orders it, for the dispatcher's log.
            timeout: seconds to wait for a dispatcher.

        Raises:
            EntryNotFound: there is no such entry.
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
        """
        self._run(redrive(self._context, entry, by, timeout), GIVE_ORDERS)

    def drop(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        """Throw away an entry that was set aside. Nothing brings it back.

        Args:
            entry: its id, as `dead` gives it.
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            EntryNotFound: there is no such entry.
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
        """
        self._run(drop(self._context, entry, by, timeout), GIVE_ORDERS)

    def reveal(self, jobs: Iterable[str], *, by: str, timeout: float = 5.0) -> dict[str, str]:
        """The whole numbers that jobs go to, to look them up at iFax; each is noted in the audit first.

        Args:
            jobs: their ids; one that is not known, or has no number, is left out.
            by: who is shown them, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotAllowed: this Redis user may not give orders, so it is not shown them.
            OrderTimeout: no dispatcher noted it in time.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(reveal(self._context, jobs, by, timeout), GIVE_ORDERS)

    def forget(self, job: str, *, by: str, timeout: float = 60.0) -> Forgotten:
        """Erase a job that has come to its end: its record, its events, what was set aside of it.

        Its id may be pushed again then, and is a new fax. Entries of the audit stay; they name its id.

        Args:
            job: its id.
            by: who orders it, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            NotForgotten: it has not come to its end; nothing was changed.
            JobNotFound: there is no such job.
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(forget(self._context, job, by, timeout), GIVE_ORDERS)

    def forget_number(self, number: str, *, by: str, timeout: float = 600.0) -> Forgotten:
        """Erase all jobs to a number that have come to their end, and what else is known of the number.

        Args:
            number: as `send` takes it.
            by: who orders it, for the audit, which has the last four digits of the number.
            timeout: seconds to wait for a dispatcher.

        Raises:
            EntryRejected: it is no number.
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(forget_number(self._context, number, by, timeout), GIVE_ORDERS)

    def sealed_values(self, *, by: str, timeout: float = 600.0) -> SealedValues:
        """How many documents, requests and entries each key seals: one that seals none may be taken away.

        Args:
            by: who asks, for the audit.
            timeout: seconds to wait for a dispatcher.

        Raises:
            OrderTimeout: no dispatcher counted them in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer, or is full.
        """
        return self._run(count_sealed_values(self._context, Order.KEYS, by, timeout), GIVE_ORDERS)

    def rotate_keys(self, *, by: str, timeout: float = 600.0) -> SealedValues:
        """Seal everything anew by the dispatchers' current key. As `sealed_values`, after that.

        Raises:
            NoKeys: the dispatcher has none.
        """
        return self._run(count_sealed_values(self._context, Order.ROTATE, by, timeout), GIVE_ORDERS)
