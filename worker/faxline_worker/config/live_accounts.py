"""The accounts of a process as they are now: those of the environment, and those of a directory.

An account that is removed from the directory is drained: nothing is submitted any more, calls under way end,
and its receipts are taken until a dispatcher finds that none of its faxes is under way, and takes it off the
list of accounts in Redis. Time alone ends no draining: iFax may keep a fax for a date that is months away. A
process that starts meanwhile finds in Redis which accounts are drained.
"""

import hashlib
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import SecretStr
from structlog.typing import FilteringBoundLogger

from faxline_worker.config.account_files import changed_files
from faxline_worker.config.account_folders import AccountFolders
from faxline_worker.config.accounts import Account, account_secrets
from faxline_worker.config.settings import Settings

MOUNTED = 120.0
"""Seconds that Kubernetes may take to change a mounted directory on all nodes."""


@dataclass(frozen=True)
class Update:
    """How the accounts of a process changed.

    Attributes:
        settings: the settings with the accounts that are served now, those that are drained among them.
        added: accounts that are new, or back.
        changed: accounts with other settings or secrets than before.
        drained: accounts that are drained from now on. This process may not have known them.
        removed: accounts that were drained, and are now forgotten.
    """

    settings: Settings
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    drained: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()

    @property
    def renewed(self) -> tuple[str, ...]:
        """Accounts that were added or changed. One that was drained may be back with other settings."""
        return (*self.added, *self.changed)


class LiveAccounts:
    """Follows the directory. `look` is called by one thread; everything else may be read by any.

    Args:
        settings: the settings, with the accounts of the environment.
        role: dispatcher, worker, webhook or migrate.
        log: gets a line for each account that changes, and for each folder that cannot be read.
        clock: monotonic seconds.
    """

    listed: Callable[[Sequence[str]], Collection[str]] = staticmethod(lambda names: names)
    """Which of these accounts Redis lists, so that they are drained on (`drain_by_redis`)."""
    noted: Callable[[], Collection[str]] = staticmethod(lambda: ())
    """Which accounts of the directory are drained by what Redis notes (`find_drained`)."""

    def __init__(
        self,
        settings: Settings,
        role: str,
        log: FilteringBoundLogger,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._own = dict(settings.accounts)
        self._log = log
        self._clock = clock
        self._folders = (
            AccountFolders(settings.accounts_dir, self._own, token_needed=role == "worker")
            if settings.accounts_dir is not None
            else None
        )
        self._present = dict(self._own)
        self._draining: dict[str, tuple[Account, float]] = {}
        self.settings = settings
        """The settings, with all accounts that are served or drained."""
        self._listeners: list[Callable[[Update], None]] = []
        self.look(first=True)

    @property
    def group(self) -> str:
        """What processes have in common whose settings name the same accounts: a few hexadecimal digits."""
        accounts = " ".join([self.place, *sorted(self._own)])
        return hashlib.sha1(accounts.encode()).hexdigest()[:8]  # noqa: S324

    @property
    def place(self) -> str:
        """Where the folders are, apart from another deployment with the same path; empty without any."""
        directory, deployment = str(self.settings.accounts_dir or ""), self.settings.deployment
        return f"{deployment}:{directory}" if deployment and directory else directory

    @property
    def watched(self) -> bool:
        """Whether there is a directory to look at."""
        return self._folders is not None

    @property
    def _mounted(self) -> bool:
        """Whether Kubernetes mounts the directory."""
        return self._folders is not None and self._folders.mounted

    @property
    def broken(self) -> dict[str, str]:
        """What is wrong with each folder that cannot be read."""
        return self._folders.broken if self._folders is not None else {}

    @property
    def draining(self) -> frozenset[str]:
        """The accounts that are drained."""
        return frozenset(self._draining)

    @property
    def read(self) -> bool:
        """Whether the directory could be read, so that a folder that is not there is gone."""
        return self._folders is not None and "." not in self._folders.broken

    @property
    def empty(self) -> bool:
        """Whether the directory has no folder of an account."""
        return self._folders is None or not self._folders.names

    @property
    def known(self) -> frozenset[str]:
        """The accounts of the environment, and all that have a folder, also one that cannot be read."""
        return frozenset(self._own).union(self._folders.names if self._folders is not None else ())

    def has_folder(self, account: str) -> bool:
        """Whether an account that is served comes from the directory."""
        return account in self._present and account not in self._own

    def __iter__(self) -> Iterator[str]:
        """The accounts that are served."""
        return iter(self._present)

    def takes_faxes(self, account: str) -> bool:
        """Whether the account is there and not drained."""
        return account in self._present

    def listen(self, listener: Callable[[Update], None]) -> None:
        """Have a function called with each update, by the thread that looks."""
        self._listeners.append(listener)

    def secrets(self) -> Iterable[str]:
        """Every spelling of each secret of the accounts."""
        return (text for _, text in account_secrets(self.settings.accounts))

    def rotated(self, account: str, member: str, value: SecretStr | tuple[SecretStr, ...]) -> None:
        """Note the new secret of an account of the environment: no folder may have it.

        Call it from the thread that looks.
        """
        self._own[account] = self._own[account].model_copy(update={member: value})

    def drained(self, account: str, slowest: float = 0.0) -> bool:
        """Whether an account with which nothing is under way may be forgotten.

        Args:
            account: its name.
            slowest: the longest that a worker takes from one look to the next, in seconds.

        Returns:
            False while a worker may not know of the removal and begin a call: ask again later.
        """
        if (found := self._draining.get(account)) is None:
            return True
        late = 2 * max(0.0, slowest - self.settings.secrets_poll.total_seconds())
        least = self.settings.drain_least.total_seconds() + late + (MOUNTED if self._mounted else 0.0)
        return self._clock() >= found[1] + least

    def look(self, *, first: bool = False) -> None:
        """Look at the directory, and tell the listeners what changed."""
        if self._folders is None:
            return
        changes = self._folders.look(first=first)
        for folder, error in changes.broken.items():
            self._log.error("an account's folder cannot be read", path=folder, error=error)
        found = [name for name in self.noted() if not self._knows(name) and name not in changes.added]
        ripe = [name for name in self._draining if self.drained(name) and name not in changes.added]
        listed = self.listed(ripe) if ripe else ()
        removed = tuple(name for name in ripe if name not in listed)
        if not (changes.added or changes.changed or changes.removed or removed or found):
            return
        for name in (*removed, *changes.added):
            self._draining.pop(name, None)
        for name in changes.removed:
            self._draining[name] = self._present[name], self._clock()
        for name in found:
            self._draining[name] = Account(), self._clock()
        files = {name: changed_files(self._present[name], changes.accounts[name]) for name in changes.changed}
        self._present = {**self._own, **changes.accounts}
        accounts = {**{name: own for name, (own, _) in self._draining.items()}, **self._present}
        self.settings = self.settings.model_copy(update={"accounts": accounts})
        drained = (*changes.removed, *found)
        update = Update(self.settings, changes.added, changes.changed, drained, removed)
        for listener in self._listeners:
            listener(update)
        if not first:
            self._tell(update, files)

    def _knows(self, account: str) -> bool:
        return account in self._present or account in self._draining

    def _tell(self, update: Update, files: Mapping[str, Sequence[str]]) -> None:
        for name in update.changed:
            self._log.info("account changed", account=name, member=", ".join(files[name]))
        for names, text in (
            (update.added, "account added"),
            (update.drained, "account removed: it is drained"),
            (update.removed, "account forgotten: nothing of it is under way"),
        ):
            for name in names:
                self._log.info(text, account=name)
