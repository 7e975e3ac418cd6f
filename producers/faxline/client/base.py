"""What both lines share: an account, a Redis client, and the context of the steps."""

from collections.abc import Mapping
from typing import Any, TypeVar

from faxline.contract.connections.cluster_client import ClusterClient
from faxline.contract.connections.cluster_client_async import AsyncClusterClient
from faxline.contract.connections.redis_url import address
from faxline.contract.errors import NotShared
from faxline.contract.phone_numbers import check_region
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.sealing.seals import Seals
from faxline.steps.commands import Context, Steps
from faxline.steps.drivers import run, translate_errors
from faxline.steps.replicas import Confirmation

DOCUMENT_TTL = 7 * 86400
"""Seconds that a document is kept after its last push: a week."""
BLOCK = 5.0
"""Seconds that one read may block in Redis."""
CONNECTION: Mapping[str, Any] = {
    "socket_connect_timeout": 5,
    "socket_timeout": BLOCK + 10,
    "protocol": 2,  # no HELLO: a confined Redis user may lack the right
}
"""The options of our own connections. Each also retries three times, after short random pauses, while the
command has time left (`faxline.contract.connections.deadlines`)."""

_T = TypeVar("_T")


class Base:
    """An account and a Redis client with bytes replies."""

    account: str
    keys: RedisKeys
    _client: Any
    _url: str | None
    keyring: Keyring | None
    _context: Context

    def _set_up(
        self,
        client: Any,
        account: str,
        document_ttl: float,
        keys: Keyring | str | None,
        confirmation: Confirmation,
        *,
        region: str | None,
        url: str | None,
    ) -> None:
        self._url = url
        self._arguments = (account, document_ttl, keys, confirmation, region)
        self.account = account
        self.keys = RedisKeys(account)
        self._client = client
        if client.get_encoder().decode_responses:
            raise ValueError("give a client with bytes replies (decode_responses=False): documents are bytes")
        patience = client.get_connection_kwargs().get("socket_timeout")
        longest = (
            min(BLOCK, patience / 2) if patience else BLOCK
        )  # so that a quiet stream does not look like a dead server
        self.keyring = keyring = Keyring.read(keys) if isinstance(keys, str) else keys
        self._context = Context(
            self.keys,
            round(document_ttl * 1000),
            longest,
            Seals(keyring, account),
            confirmation,
            region=check_region(region),
            place=address(client),
            in_cluster=isinstance(client, ClusterClient | AsyncClusterClient),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if self._url is None:
            raise NotShared(
                f"a {type(self).__name__} without a URL stays in its process: make it from a URL, or one in "
                "each process"
            )
        return _unpickle, (type(self), self._url, *self._arguments)


def _unpickle(  # noqa: PLR0917 - as pickle gives them
    kind: Any,
    url: str,
    account: str,
    document_ttl: float,
    keys: Keyring | str | None,
    confirmation: Confirmation,
    region: str | None,
) -> Any:
    return kind(
        url,
        account,
        document_ttl=document_ttl,
        keys=keys,
        replicas=confirmation.replicas,
        replicas_timeout=confirmation.timeout,
        region=region,
    )


class Blocking(Base):
    """A line whose steps run in the caller's thread."""

    def _run(self, steps: Steps[_T], right: str = "") -> _T:
        return run(self._client, translate_errors(steps, right, self._context.place))
