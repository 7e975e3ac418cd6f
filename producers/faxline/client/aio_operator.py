"""The methods of `AsyncFaxLine` with which operators act: each gives a dispatcher an order and waits."""

from collections.abc import Iterable
from datetime import datetime

from faxline.client.aio_base import Asynchronous, twin_of
from faxline.client.sync_operator import DataProtection, Operator
from faxline.contract.orders import Order
from faxline.operating.dead_entries import drop, redrive
from faxline.operating.erasure import Forgotten, SealedValues, count_sealed_values, forget, forget_number
from faxline.operating.operations import GIVE_ORDERS, ask, parse_resolution, resolve, reveal
from faxline.reading.job import Job


@twin_of(Operator)
class AsyncOperator(Asynchronous):
    """Settle doubts, ask iFax about a fax, redrive entries, reveal numbers."""

    async def resolve(
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
        how = parse_resolution(accepted, resend=resend, fail=fail)
        steps = resolve(self._context, job, accepted, how, attempt, created_at, by, timeout)
        return await self._run(steps, GIVE_ORDERS)

    async def ask(self, job: str, *, by: str, timeout: float = 5.0) -> bool:
        return await self._run(ask(self._context, job, by, timeout), GIVE_ORDERS)

    async def redrive(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        await self._run(redrive(self._context, entry, by, timeout), GIVE_ORDERS)

    async def drop(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        await self._run(drop(self._context, entry, by, timeout), GIVE_ORDERS)

    async def reveal(self, jobs: Iterable[str], *, by: str, timeout: float = 5.0) -> dict[str, str]:
        return await self._run(reveal(self._context, jobs, by, timeout), GIVE_ORDERS)


@twin_of(DataProtection)
class AsyncDataProtection(Asynchronous):
    """Erase data, and manage the sealing keys."""

    async def forget(self, job: str, *, by: str, timeout: float = 60.0) -> Forgotten:
        return await self._run(forget(self._context, job, by, timeout), GIVE_ORDERS)

    async def forget_number(self, number: str, *, by: str, timeout: float = 600.0) -> Forgotten:
        return await self._run(forget_number(self._context, number, by, timeout), GIVE_ORDERS)

    async def sealed_values(self, *, by: str, timeout: float = 600.0) -> SealedValues:
        return await self._run(count_sealed_values(self._context, Order.KEYS, by, timeout), GIVE_ORDERS)

    async def rotate_keys(self, *, by: str, timeout: float = 600.0) -> SealedValues:
        return await self._run(count_sealed_values(self._context, Order.ROTATE, by, timeout), GIVE_ORDERS)
