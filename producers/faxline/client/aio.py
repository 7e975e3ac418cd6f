"""`AsyncFaxLine`: the asyncio twin of `FaxLine`."""

from typing import TYPE_CHECKING, Any

from faxline.client.aio_archive import AsyncArchived
from faxline.client.aio_base import connect_to
from faxline.client.aio_inspection import AsyncInspection
from faxline.client.aio_operator import AsyncDataProtection, AsyncOperator
from faxline.client.aio_pauses import AsyncPauses
from faxline.client.aio_reading import AsyncReading
from faxline.client.aio_sending import AsyncSending
from faxline.client.base import DOCUMENT_TTL
from faxline.contract.sealing.keyring import Keyring
from faxline.steps.replicas import REPLICAS_TIMEOUT, Confirmation

if TYPE_CHECKING:
    import redis.asyncio


class AsyncFaxLine(
    AsyncSending,
    AsyncReading,
    AsyncArchived,
    AsyncInspection,
    AsyncPauses,
    AsyncOperator,
    AsyncDataProtection,
):
    """One account's line for asyncio. It has the methods of `FaxLine`, which are awaited.

    Files are read and PDFs opened in a thread, off the event loop. A `wait` may be canceled. A line made
    from a URL may be used on several event loops, one after the other or in threads. It has its own
    connections on each of them: close it on each.

    Example:
        >>> async with AsyncFaxLine("redis://localhost:6379/0") as line:
        ...     job = await line.send(to="+12345678901", files=["letter.pdf"])
        ...     ended = await line.wait(job, timeout=600)

    Args:
        redis_url: as for `FaxLine`, or a `redis.asyncio.Redis` client with bytes replies.
        account: the name of the account.
        document_ttl: seconds, as for `FaxLine`.
        keys: as for `FaxLine`.
        replicas: as for `FaxLine`.
        replicas_timeout: seconds, as for `FaxLine`.
        region: as for `FaxLine`.

    Raises:
        ValueError: as for `FaxLine`.
    """

    def __init__(
        self,
        redis_url: "str | redis.asyncio.Redis",
        account: str = "default",
        *,
        document_ttl: float = DOCUMENT_TTL,
        keys: Keyring | str | None = None,
        replicas: int = 0,
        replicas_timeout: float = REPLICAS_TIMEOUT,
        region: str | None = None,
    ) -> None:
        self._url = redis_url if isinstance(redis_url, str) else None
        self._clients = {}
        self._used = False
        client: Any = connect_to(redis_url) if isinstance(redis_url, str) else redis_url
        confirmation = Confirmation(replicas, replicas_timeout)
        self._set_up(client, account, document_ttl, keys, confirmation, region=region, url=self._url)
