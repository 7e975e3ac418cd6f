"""What the console pushes, and refuses to push to an account of which nobody reads the intake any more."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from faxline import AsyncFaxLine, FaxlineError
from faxline.contract.redis_keys import RedisKeys
from faxline.operating.erasure import Forgotten
from faxline.reading.job import Job
from faxline.sending.mailing import Mailing
from faxline.sending.push import cancel_jobs

REMOVED = (
    "Account {} was removed and takes nothing any more: neither faxes nor cancellations are read until its "
    "folder is back. Have the folder put back, or choose another account. A fax that iFax keeps for a date "
    "is canceled at iFax"
)
GONE = (
    "Account {} was removed, and nobody takes orders for it: its faxes stay in the archive, to be found and "
    "proved, but none is sent, canceled, settled, asked for or forgotten until it is configured again"
)


class AccountRemoved(FaxlineError):
    """A push to a removed account would lie there, and go out if the account came back weeks later."""

    def __init__(self, account: str, why: str = REMOVED) -> None:
        super().__init__(why.format(account))


class PushingLine(AsyncFaxLine):
    """A line that pushes only to an account that takes faxes, and raises AccountRemoved otherwise."""

    takes_faxes: Callable[[], bool] = staticmethod(lambda: True)
    """Whether dispatchers read the intake of the account."""
    is_gone: Callable[[], bool] = staticmethod(lambda: False)
    """Whether no dispatcher reads its orders, either."""

    def visit_by(self, account: str) -> None:
        """Have the dispatcher of another account told of each order; empty: there is one that reads them."""
        if self._context.visit != (key := account and RedisKeys(account).orders):
            self._context = replace(self._context, visit=key)

    def _require(self) -> None:
        self._require_orders()
        if not self.takes_faxes():
            raise AccountRemoved(self.account)

    def _require_orders(self) -> None:
        if self.is_gone():
            raise AccountRemoved(self.account, GONE)

    async def send(self, **fax: Any) -> Job:
        """Push a fax."""
        self._require()
        return await super().send(**fax)

    async def send_many(self, *faxes: Any, **options: Any) -> Mailing:
        """Push a mailing."""
        self._require()
        return await super().send_many(*faxes, **options)

    async def cancel(self, job: str, *, by: str | None = None) -> None:
        """Ask for a fax not to be sent."""
        self._require()
        await super().cancel(job, by=by)

    async def cancel_many(self, jobs: Sequence[str], *, by: str) -> None:
        """Ask for several faxes not to be sent."""
        self._require()
        await self._run(cancel_jobs(self._context, jobs, by))

    async def resend(self, job: str, **options: Any) -> Job:
        """Push a fax again as a new one."""
        self._require()
        return await super().resend(job, **options)

    async def resolve(self, job: str, *, resend: bool = False, **options: Any) -> Job:
        """Settle a doubt. To send the fax again is to push it."""
        self._require_orders()
        if resend:
            self._require()
        return await super().resolve(job, resend=resend, **options)

    async def ask(self, job: str, **options: Any) -> bool:
        """Have iFax asked about a fax; of an account that is drained it is not."""
        self._require()
        return await super().ask(job, **options)

    async def probe(self, **options: Any) -> str:
        """Let a probe go: a fax that waits, of which a drained account submits none."""
        self._require()
        return await super().probe(**options)

    async def forget(self, job: str, **options: Any) -> Forgotten:
        """Erase a fax."""
        self._require_orders()
        return await super().forget(job, **options)

    async def redrive(self, entry: str, **options: Any) -> None:
        """Put a dead entry back."""
        self._require()
        await super().redrive(entry, **options)
