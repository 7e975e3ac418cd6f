"""`FaxLine`: push faxes and follow them."""

from typing import TYPE_CHECKING, Any, Self

from redis.retry import Retry

from faxline.client.base import CONNECTION, DOCUMENT_TTL
from faxline.client.sync_archive import Archived
from faxline.client.sync_inspection import Inspection
from faxline.client.sync_operator import DataProtection, Operator
from faxline.client.sync_pauses import Pauses
from faxline.client.sync_reading import Reading
from faxline.client.sync_sending import Sending
from faxline.contract.connections.deadlines import Backoff
from faxline.contract.connections.redis_url import connect
from faxline.contract.sealing.keyring import Keyring
from faxline.steps.replicas import REPLICAS_TIMEOUT, Confirmation

if TYPE_CHECKING:
    import redis

__all__ = ["DOCUMENT_TTL", "FaxLine"]


class FaxLine(Sending, Reading, Archived, Inspection, Pauses, Operator, DataProtection):
    """One account's line. It is thread-safe and may be used after a fork.

    A line made from a URL can be pickled. While Redis hangs, a call takes at most its own timeout, or 5 s if
    it has none plus a second for each megabyte that it sends, and then raises `QueueUnavailable`. A client
    of your own keeps its timeouts and retries.

    Example:
        >>> line = FaxLine("redis://localhost:6379/0", account="default")
        >>> job = line.send(to="+12345678901", files=["letter.pdf"], id="invoice-77")
        >>> line.wait(job, timeout=600).state
        <JobState.DELIVERED: 'delivered'>

    Args:
        redis_url: such as redis://localhost:6379/0, redis+sentinel://host1,host2/service/0 or
            redis+cluster://host1,host2 (`faxline.contract.connections.redis_url` has all forms), or a
            `redis.Redis` client with bytes replies.
        account: the name of the account.
        document_ttl: the most seconds to keep a document after its last push. It is deleted earlier if no
            open fax needs it (FAXLINE_DOCUMENT_GRACE).
        keys: seal entries and documents before the push, as the daemon's FAXLINE_SEALING_KEYS does (lines
            `id:base64`, the current key first). By default nothing is sealed.
        replicas: how many replicas of Redis must confirm a push (the daemon's FAXLINE_REDIS_REPLICAS). If
            fewer do, the push raises `NotReplicated`.
        replicas_timeout: seconds that a push waits for the replicas.
        region: the country of numbers without a country code, by its two letters, such as DE.

    Raises:
        ValueError: the client decodes replies (documents are bytes), the account's name or a key is
            invalid, `replicas` is negative, or there is no such region.
    """

    def __init__(
        self,
        redis_url: "str | redis.Redis",
        account: str = "default",
        *,
        document_ttl: float = DOCUMENT_TTL,
        keys: Keyring | str | None = None,
        replicas: int = 0,
        replicas_timeout: float = REPLICAS_TIMEOUT,
        region: str | None = None,
    ) -> None:
        url = redis_url if isinstance(redis_url, str) else None
        client: Any = _connect(redis_url) if isinstance(redis_url, str) else redis_url
        confirmation = Confirmation(replicas, replicas_timeout)
        self._set_up(client, account, document_ttl, keys, confirmation, region=region, url=url)

    def close(self) -> None:
        """Close the connections that this line opened. A client of your own stays open."""
        if self._url is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _connect(url: str) -> Any:
    return connect(url, **CONNECTION, retry=Retry(Backoff(base=0.05, cap=1.0), 3))
