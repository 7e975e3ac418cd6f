"""The methods of `AsyncFaxLine` with which operators act: each gives a dispatcher an order and waits."""

from collections.abc import Iterable

from faxline.client.aio_base import Asynchronous, twin_of
from faxline.client.sync_operator import DataProtection, Operator
from faxline.contract.orders import Order
from faxline.operating.dead_entries import drop, redrive
from faxline.operating.erasure import Forgotten, SealedValues, count_sealed_values, forget, forget_number
from faxline.operating.operations import GIVE_ORDERS, parse_resolution, pause_or_resume, resolve, reveal
from faxline.operating.rollback import Recovered, recover
from faxline.reading.account_state import AccountState
from faxline.reading.job import Job


@twin_of(Operator)
class AsyncOperator(Asynchronous):
    """Pause accounts, settle doubts, redrive entries."""

    async def pause(self, *, by: str, timeout: float = 5.0) -> AccountState:
        return await self._run(pause_or_resume(self._context, Order.PAUSE, by, timeout), GIVE_ORDERS)

    async def resume(self, *, by: str, pause: str = "", timeout: float = 5.0) -> AccountState:
        steps = pause_or_resume(self._context, Order.RESUME, by, timeout, pause)
        return await self._run(steps, GIVE_ORDERS)

    async def recover(self, *, by: str, timeout: float = 60.0) -> Recovered:
        return await self._run(recover(self._context, by, timeout), GIVE_ORDERS)

    async def resolve(
        self,
        job: str,
        *,
        accepted: int | None = None,
        resend: bool = False,
        fail: bool = False,
        attempt: int | None = None,
        by: str,
        timeout: float = 5.0,
    ) -> Job:
        how = parse_resolution(accepted, resend=resend, fail=fail)
        steps = resolve(self._context, job, accepted, how, attempt, by, timeout)
        return await self._run(steps, GIVE_ORDERS)

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
