"""What both lines are made of: an account, a client, and the terms on which the steps rest."""

from collections.abc import Mapping
from typing import Any, TypeVar

from faxline.contract.errors import NotShared
from faxline.contract.phone_numbers import check_region
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import Keyring
from faxline.contract.sealing.seals import Seals
from faxline.steps.commands import Context, Steps
from faxline.steps.drivers import run, translate_errors
from faxline.steps.replicas import Confirmation

DOCUMENT_TTL = 7 * 86400
"""Seconds that a document is kept from its last push."""
BLOCK = 5.0
"""Seconds that one read may block."""
CONNECTION: Mapping[str, Any] = {
    "socket_connect_timeout": 5,
    "socket_timeout": BLOCK + 10,
    "protocol": 2,  # no HELLO, which a confined user may lack
}
"""What a connection of ours is made with, beside its retries: three, after short random pauses, for as long
as the question may take (deadlines.py)."""

_T = TypeVar("_T")


class Base:
    """An account and a client with bytes replies.

    Raises:
        ValueError: the client decodes replies (documents are bytes), or the account's name is not one, or
            the keys are none, or there is no such region.
    """

    account: str
    keys: RedisKeys
    _client: Any
    _url: str | None
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
        self._made = (account, document_ttl, keys, confirmation, region)
        self.account = account
        self.keys = RedisKeys(account)
        self._client = client
        if client.get_encoder().decode_responses:
            raise ValueError("give a client with bytes replies (decode_responses=False): documents are bytes")
        patience = client.get_connection_kwargs().get("socket_timeout")
        longest = min(BLOCK, patience / 2) if patience else BLOCK  # a quiet stream is no dead server
        keyring = Keyring.read(keys) if isinstance(keys, str) else keys
        self._context = Context(
            self.keys,
            round(document_ttl * 1000),
            longest,
            Seals(keyring, account),
            confirmation,
            region=check_region(region),
            place=_place(client),
        )

    def __reduce__(self) -> tuple[Any, ...]:
        if self._url is None:
            raise NotShared(
                f"a {type(self).__name__} without a URL stays in its process: make it from a URL, or one in "
                "each process"
            )
        return _made_again, (type(self), self._url, *self._made)


def _made_again(  # noqa: PLR0917 - as pickle gives them
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


class Driven(Base):
    """One whose steps are driven in the caller's thread."""

    def _run(self, steps: Steps[_T], right: str = "") -> _T:
        return run(self._client, translate_errors(steps, right, self._context.place))


def _place(client: Any) -> str:
    from faxline.contract.redis_url import address  # noqa: PLC0415 - `import faxline` is to be quick

    return address(client)
