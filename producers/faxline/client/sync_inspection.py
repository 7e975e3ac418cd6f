"""The methods of `FaxLine` with which operators look: jobs, accounts, processes, the audit."""

from datetime import datetime

from faxline.client.base import Blocking
from faxline.contract.check import Check
from faxline.operating.audit import AuditEntry, read_audit
from faxline.operating.dead_entries import DeadEntry, read_dead_entries
from faxline.operating.operations import (
    READ_ACCOUNTS,
    READ_AUDIT,
    READ_DEAD,
    READ_PROCESSES,
    READ_QUEUE,
    list_accounts,
    parse_state,
    run_checks,
)
from faxline.operating.rollback import Rollback, read_rollback
from faxline.reading.account_reader import read_account_state
from faxline.reading.account_state import AccountState
from faxline.reading.event_stream import find_intake_entry
from faxline.reading.job import Job
from faxline.reading.open_jobs import read_open_jobs
from faxline.reading.processes import Process, read_processes


class Inspection(Blocking):
    """See the state of an account and of the daemon. Needs the rights of an operator's Redis user."""

    def jobs(self, *, state: str | None = None, limit: int = 100) -> list[Job]:
        """List the jobs that have not ended, without their metadata, history and forecast.

        The order: in doubt (held ones first), submitting, submitted (by deadline), queued (by place, then
        those that wait for a retry).

        Example:
            >>> [job.id for job in line.jobs(state="in_doubt")]

        Args:
            state: in_doubt, submitting, submitted or queued. Default: all of them.
            limit: the largest number of jobs to return.

        Raises:
            ValueError: jobs of this state are not listed, or the limit is below 1.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_open_jobs(self.keys, parse_state(state, limit), limit), READ_QUEUE)

    def intake_entry(self, job: str) -> str | None:
        """Return the stream id of an entry that intake has not taken yet, or None.

        Only the newest 10,000 entries of the intake stream are searched.

        Example:
            >>> line.intake_entry("invoice-77")
            '1718000000000-0'

        Args:
            job: the id of a job, or the name of a group.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(find_intake_entry(self._context, job), READ_QUEUE)

    def account_state(self) -> AccountState:
        """Return the state of the account: its limits and their use, its backlog, and what holds it.

        Example:
            >>> line.account_state().paused

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_account_state(self.keys), READ_QUEUE)

    def accounts(self) -> list[str]:
        """List the names of all accounts that a dispatcher has served on this Redis.

        Example:
            >>> line.accounts()
            ['acme', 'default']

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(list_accounts(), READ_ACCOUNTS)

    def processes(self) -> list[Process]:
        """List the daemon's processes of all roles, by their heartbeats.

        A process without heartbeats is listed as gone for about a minute. One that ended as it should is not
        listed.

        Example:
            >>> [process.name for process in line.processes() if not process.at_work]

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_processes(), READ_PROCESSES)

    def checks(self) -> list[Check]:
        """Check Redis, the daemon's processes and the accounts. Each finding says what to do about it.

        Example:
            >>> [check.text for check in line.checks() if check.failed]

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(run_checks(self._context), READ_ACCOUNTS)

    def audit(
        self, *, after: str | datetime | None = None, before: datetime | None = None, limit: int = 1000
    ) -> list[AuditEntry]:
        """List the calls to iFax and the orders of operators, the oldest first.

        Example:
            >>> line.audit(after=datetime(2026, 6, 1, tzinfo=UTC), limit=10)

        Args:
            after: a time, or the id of the last entry that you know. Default: from the beginning.
            before: a time. Default: to the end.
            limit: the largest number of entries to return.

        Raises:
            ValueError: the limit is below 1.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_audit(self._context, after, before, limit), READ_AUDIT)

    def dead(self, limit: int = 100) -> list[DeadEntry]:
        """List the entries that were set aside because they could not be processed, the newest first.

        Example:
            >>> [(entry.id, entry.why) for entry in line.dead()]

        Args:
            limit: the largest number of entries to return.

        Raises:
            QueueUnavailable: Redis did not answer.
            ValueError: the limit is below 1.
        """
        return self._run(read_dead_entries(self._context, limit), READ_DEAD)

    def rollback(self) -> Rollback | None:
        """Return what is known of the work that Redis lost, or None if the account was not rolled back.

        Example:
            >>> line.rollback().calls

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return self._run(read_rollback(self._context), READ_QUEUE)
