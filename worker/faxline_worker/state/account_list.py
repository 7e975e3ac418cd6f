"""The accounts in Redis: which are served, which directory has the folder of each, and which are drained.

A folder that is gone leaves nothing behind. So a process that starts after its account was removed finds the
account here, and drains it.
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import redis
from structlog.typing import FilteringBoundLogger

from faxline.contract.connections.cluster_client import clock_of
from faxline.contract.redis_keys import ACCOUNT_NAME, ACCOUNTS, DRAINING, FOLDERS
from faxline.reading.draining import note_of, parse_draining
from faxline_worker.state import scripts


class AccountList:
    """Keeps the list. A write that is repeated changes nothing. All methods may raise redis.RedisError.

    Args:
        client: a client of the state's database (bytes replies).
        log: gets one warning if the Redis user may not note folders, with an older ops/redis/users.acl.
        directory: where the folders are (`LiveAccounts.place`); empty without any.
        has_folder: whether an account comes from the directory.
        unnamed: the directory alone, as it was noted before the deployment had a name.
    """

    def __init__(
        self,
        client: redis.Redis,
        log: FilteringBoundLogger,
        directory: str = "",
        has_folder: Callable[[str], bool] = lambda _: False,
        unnamed: str = "",
    ) -> None:
        self._client = client
        self._log = log
        self._directory = directory
        self._has_folder = has_folder
        self._own = {directory, unnamed or directory}
        self._add = scripts.register(client, "register_accounts")
        self._told = False

    def serve(self, names: Collection[str]) -> None:
        """Note accounts that take faxes, so that they are not drained (any more); a hundred at most."""
        self._add(keys=[ACCOUNTS], args=list(names))
        folders = {name: self._directory for name in names if self._has_folder(name)}
        others = [name for name in names if name not in folders]
        with suppress(redis.OutOfMemoryError), self._noting() as pipe:  # folders are noted again in a minute
            pipe.hdel(DRAINING, *names)
            if folders:
                pipe.hset(FOLDERS, mapping=folders)
            if others:
                pipe.hdel(FOLDERS, *others)

    def drain(self, account: str) -> None:
        """Note that an account is drained, unless it is noted already."""
        self._client.sadd(ACCOUNTS, account)
        note = note_of(clock_of(self._client, DRAINING), self._directory)
        with self._noting() as pipe:
            pipe.hsetnx(DRAINING, account, note)

    def leave(self, account: str) -> bool:
        """Forget an account that was drained, and return whether it was on the list."""
        listed = bool(self._client.srem(ACCOUNTS, account))
        with self._noting() as pipe:
            pipe.hdel(DRAINING, account)
            pipe.hdel(FOLDERS, account)
        return listed

    def drained(self) -> list[str]:
        """The accounts of the directory that are drained."""
        noted: Any = self._client.hgetall(DRAINING)
        return [
            name
            for name, one in parse_draining(noted).items()
            if one.directory in self._own and ACCOUNT_NAME.fullmatch(name)
        ]

    def drain_missing(self, present: Collection[str], *, empty: bool = False) -> bool:
        """Drain the accounts whose folders went while no dispatcher ran.

        Args:
            present: the accounts that are there.
            empty: whether the directory has no folder at all. Then only its last account counts as removed.

        Returns:
            Whether it is known which went: not if several did and nothing is there, as without the volume.
        """
        had: Any = self._client.hgetall(FOLDERS)
        missing = [
            name.decode()
            for name, directory in had.items()
            if directory.decode() == self._directory and name.decode() not in present
        ]
        if empty and len(missing) > 1:
            return False
        for name in missing:
            self.drain(name)
        return True

    @contextmanager
    def _noting(self) -> Iterator[Any]:
        """Run the commands that are queued in the block, all of one slot.

        Not in a transaction, in which a full Redis refuses also what frees memory.
        """
        try:
            with self._client.pipeline(transaction=False) as pipe:
                yield pipe
                pipe.execute()
        except redis.exceptions.NoPermissionError:
            if not self._told:
                text = "the Redis user may not note the folders of accounts: one that is removed may be lost"
                self._log.warning(text, error="load ops/redis/users.acl anew")
            self._told = True
