"""The stores of all accounts of a process."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping

import redis

from faxline_worker.config.settings import Settings
from faxline_worker.state.recent_work import Memory
from faxline_worker.state.store import Shared, Store


class Stores(Mapping[str, Store]):
    """The stores of the accounts in the settings, each made when it is first used. Thread-safe.

    Args:
        client: a client of the state's database (bytes replies).
        settings: the daemon's settings.
        who: the name of this process, for the audit.
        memory: returns what this process did lately for an account; by default each store has its own.
        first_use: called with each new store before anybody has it, and perhaps by two threads at once. If it
            raises, the next use tries again.
    """

    def __init__(
        self,
        client: redis.Redis,
        settings: Settings,
        who: str = "",
        *,
        memory: Callable[[str], Memory] = lambda _: Memory(),
        first_use: Callable[[Store], None] = lambda _: None,
    ) -> None:
        self._client = client
        self._who = who
        self._memory = memory
        self._first_use = first_use
        self._made: dict[str, Store] = {}
        self.made: Mapping[str, Store] = self._made
        """The stores that were used so far."""
        self._retired: dict[str, Store] = {}
        self._lock = threading.RLock()
        self.follow(settings)

    def follow(self, settings: Settings, changed: Iterable[str] = ()) -> None:
        """Take new settings. Stores of accounts that are gone are forgotten, changed ones are made anew.

        A thread that still has the name of an account that is gone finds its store until the next call.

        Args:
            settings: the new settings.
            changed: the accounts whose settings changed.
        """
        with self._lock:
            self._settings = settings
            self._shared = Shared(self._client, settings, self._who)
            gone = [name for name in self._made if name not in settings.accounts]
            self._retired = {name: self._made.pop(name) for name in gone}
            for name in set(changed).intersection(self._made):
                self._made[name] = self._make(name)

    def make_all(self) -> None:
        """Make the stores of all accounts now, without `first_use`: the caller begins for all at once."""
        with self._lock:
            for name in self:
                if name not in self._made:
                    self._made[name] = self._make(name)

    def __getitem__(self, account: str) -> Store:
        while (store := self._made.get(account) or self._retired.get(account)) is None:
            with self._lock:
                settings = self._settings
                if account not in settings.accounts:
                    raise KeyError(account)
                new = self._make(account)
            self._first_use(new)  # without the lock, as it waits for Redis
            with self._lock:
                if settings is self._settings:
                    self._made.setdefault(account, new)
        return store

    def _make(self, account: str) -> Store:
        return Store(
            *(self._client, self._settings, account),
            who=self._who,
            memory=self._memory(account),
            shared=self._shared,
        )

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._settings.accounts))

    def __len__(self) -> int:
        return len(self._settings.accounts)

    def __contains__(self, account: object) -> bool:
        return account in self._settings.accounts
