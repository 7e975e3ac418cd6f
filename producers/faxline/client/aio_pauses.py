"""The methods of `AsyncFaxLine` with which operators pause an account and open it again."""

from faxline.client.aio_base import Asynchronous, twin_of
from faxline.client.sync_pauses import Pauses
from faxline.contract.orders import Order
from faxline.operating.operations import GIVE_ORDERS, about_pause, pause_or_resume
from faxline.operating.rollback import Recovered, recover
from faxline.reading.account_state import AccountState


@twin_of(Pauses)
class AsyncPauses(Asynchronous):
    """Pause accounts, find out whether a pause is over, and end it."""

    async def pause(self, *, by: str, timeout: float = 5.0) -> AccountState:
        return await self._run(pause_or_resume(self._context, Order.PAUSE, by, timeout), GIVE_ORDERS)

    async def resume(self, *, by: str, pause: str = "", timeout: float = 5.0) -> AccountState:
        steps = pause_or_resume(self._context, Order.RESUME, by, timeout, pause)
        return await self._run(steps, GIVE_ORDERS)

    async def probe(self, *, by: str, pause: str = "", timeout: float = 5.0) -> str:
        return await self._run(about_pause(self._context, Order.PROBE, by, timeout, pause), GIVE_ORDERS)

    async def recover(self, *, by: str, timeout: float = 60.0) -> Recovered:
        return await self._run(recover(self._context, by, timeout), GIVE_ORDERS)
