"""The methods of `AsyncFaxLine` with which operators look: jobs, accounts, processes, the audit."""

from datetime import datetime

from faxline.client.aio_base import Asynchronous, twin_of
from faxline.client.sync_inspection import Inspection
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


@twin_of(Inspection)
class AsyncInspection(Asynchronous):
    """See the state of an account and of the daemon. Needs the rights of an operator's Redis user."""

    async def jobs(self, *, state: str | None = None, limit: int = 100) -> list[Job]:
        return await self._run(read_open_jobs(self.keys, parse_state(state, limit), limit), READ_QUEUE)

    async def intake_entry(self, job: str) -> str | None:
        return await self._run(find_intake_entry(self._context, job), READ_QUEUE)

    async def account_state(self) -> AccountState:
        return await self._run(read_account_state(self.keys), READ_QUEUE)

    async def accounts(self) -> list[str]:
        return await self._run(list_accounts(), READ_ACCOUNTS)

    async def processes(self) -> list[Process]:
        return await self._run(read_processes(), READ_PROCESSES)

    async def checks(self) -> list[Check]:
        return await self._run(run_checks(self._context), READ_ACCOUNTS)

    async def audit(
        self, *, after: str | datetime | None = None, before: datetime | None = None, limit: int = 1000
    ) -> list[AuditEntry]:
        return await self._run(read_audit(self._context, after, before, limit), READ_AUDIT)

    async def dead(self, limit: int = 100) -> list[DeadEntry]:
        return await self._run(read_dead_entries(self._context, limit), READ_DEAD)

    async def rollback(self) -> Rollback | None:
        return await self._run(read_rollback(self._context), READ_QUEUE)
