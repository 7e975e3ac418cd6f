"""A line that looks at many accounts and ends."""

from collections.abc import Iterable, Iterator
from typing import Any

from faxline.client.sync import FaxLine
from faxline.contract.connections.cluster_client import wait_once
from faxline.contract.errors import NotAllowed, QueueUnavailable
from faxline.contract.redis_keys import RedisKeys
from faxline.doctor.draining_checks import read_drained
from faxline.operating.operations import READ_QUEUE
from faxline.reading.account_reader import read_account_state
from faxline.reading.account_state import AccountState
from faxline.reading.draining import Drained


class Glance(FaxLine):
    """Of a cluster, it waits once for a node that is away, and not for each account that the node has."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        wait_once(self._client)

    def states(self, accounts: Iterable[RedisKeys]) -> Iterator[AccountState | tuple[str, QueueUnavailable]]:
        """The state of each of these accounts; or its name, and why Redis did not answer.

        Raises:
            NotAllowed: this Redis user may not read them.
        """
        for keys in accounts:
            try:
                yield self._run(read_account_state(keys), READ_QUEUE)
            except NotAllowed:
                raise
            except QueueUnavailable as error:
                yield keys.account, error

    def drained(self) -> dict[str, Drained]:
        """The accounts that were removed and are drained."""
        return self._run(read_drained())
