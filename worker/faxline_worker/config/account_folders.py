"""Accounts in a directory (FAXLINE_ACCOUNTS_DIR): a folder an account, with a file for each of its settings.

| file | what it holds |
|---|---|
| `token` | iFax's API token |
| `webhook_secrets`, `webhook_basic`, `webhook_path_secrets` | a JSON list of texts |
| `settings.json` | a JSON object with `caller_id`, `limits` and `ceilings`, as in the environment |

Names that begin with a dot are ignored, so a Secret that Kubernetes mounts may be the directory or a folder.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.config.account_files import FolderError, read_folder
from faxline_worker.config.accounts import SHARED, Account, secret_values

GONE = "the folder is gone"
ALL_GONE = "all folders are gone at once, as when a volume is not mounted: no account is removed"
FRESH = 2.0
"""Seconds after its last change in which a folder may be half written."""
Stamp = tuple[tuple[str, int, int, int], ...]
"""What changes when a file of a folder is written, replaced, added or removed."""


@dataclass
class _Folder:
    seen: Stamp | None = None
    """The folder at the last look. It is read only if two looks find the same: it may be half written."""
    taken: Stamp | None = None
    """The folder as it was when it was read last."""
    account: Account | None = field(default=None, repr=False)
    """The account as it was read last without an error."""
    error: str = ""
    """Why it cannot be read now."""
    unseen: str = ""
    """Why the last look did not even find its files. It counts if two looks find the same."""


@dataclass(frozen=True)
class Changes:
    """What a look at the directory found.

    Attributes:
        accounts: all accounts of the directory that can be served.
        added, changed, removed: the names of those that are new, read anew, or gone.
        broken: the message about each folder that was found broken at this look.
    """

    accounts: Mapping[str, Account] = field(repr=False)
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.broken)


class AccountFolders:
    """The accounts of a directory. Use it from one thread.

    A folder that cannot be read costs no other folder. Its account keeps the settings that were read last, or
    is not served if there are none.

    Args:
        root: the directory.
        others: the accounts that are set elsewhere.
        token_needed: whether an account without a token is broken, as for a worker.
    """

    def __init__(self, root: Path, others: Mapping[str, Account], *, token_needed: bool = False) -> None:
        self._root = root
        self._others = others
        self._token_needed = token_needed
        self._folders: dict[str, _Folder] = {}
        self._holders: dict[tuple[str, str], str] = {}
        """Which account has each secret."""
        self._data: str | None = None
        self._lost = ""

    @property
    def mounted(self) -> bool:
        """Whether Kubernetes mounts the directory."""
        return _link(self._root / "..data") is not None

    @property
    def broken(self) -> dict[str, str]:
        """What is wrong with each folder that cannot be read; `.` is the directory."""
        found = {name: folder.error for name, folder in self._folders.items() if folder.error}
        return found | ({".": self._lost} if self._lost else {})

    @property
    def names(self) -> frozenset[str]:
        """The names of all folders, also of those that cannot be read."""
        return frozenset(self._folders)

    def look(self, *, at_once: bool = False, first: bool = False) -> Changes:
        """Look at all folders, and read those that changed.

        Args:
            at_once: read a folder although no look before found the same.
            first: likewise, but no folder that changed a moment ago. For the start.
        """
        try:
            data = _link(self._root / "..data")
            if data is not None and data == self._data and all(map(_settled, self._folders.values())):
                return Changes(self._accounts())  # Kubernetes replaces all of it or nothing
            with os.scandir(self._root) as entries:
                names = {entry.name for entry in entries if _is_folder(entry)}
        except OSError as error:  # the accounts stay: it may be away for a moment
            lost = f"the directory cannot be read: {error.strerror}"
            new, self._lost = lost != self._lost, lost
            return Changes(self._accounts(), broken={".": lost} if new else {})
        before, broken = self._accounts(), dict[str, str]()
        lost = ALL_GONE if before and names.isdisjoint(before) else ""
        if lost and lost != self._lost:
            broken["."] = lost
        self._data, self._lost = None if lost else data, lost
        self._holders = {
            value: name
            for name, own in (*self._others.items(), *before.items())
            for value in secret_values(own)
        }
        for name in [] if lost else self._folders.keys() - names:
            folder = self._folders[name]
            if folder.unseen == GONE:
                self._hold(name, self._folders.pop(name).account, None)
            folder.seen, folder.unseen = None, GONE
        for name in sorted(names):
            folder = self._folders.setdefault(name, _Folder())
            was = folder.error
            self._look_at(name, folder, at_once=at_once or (first and not self._is_fresh(name)))
            if folder.error and folder.error != was:
                broken[name] = folder.error
        after = self._accounts()
        return Changes(
            after,
            added=tuple(name for name in after if name not in before),
            changed=tuple(name for name in after if name in before and after[name] is not before[name]),
            removed=tuple(name for name in before if name not in after),
            broken=broken,
        )

    def _accounts(self) -> dict[str, Account]:
        return {name: own.account for name, own in self._folders.items() if own.account is not None}

    def _look_at(self, name: str, folder: _Folder, *, at_once: bool) -> None:
        try:
            stamp = _stamp(self._root / name)
        except OSError as error:  # it may be replaced just now
            unseen = f"{Path(error.filename).name} cannot be read: {error.strerror}"
            if at_once or unseen == folder.unseen:
                folder.error = unseen
            folder.seen, folder.unseen = None, unseen
            return
        folder.unseen = ""
        if stamp == folder.taken:
            folder.seen, folder.error = stamp, ""
        elif stamp == folder.seen or at_once:
            self._read(name, folder, stamp)
        else:
            folder.seen = stamp

    def _read(self, name: str, folder: _Folder, stamp: Stamp) -> None:
        """Read a folder. A broken one is read at each look, because another folder may be at fault."""
        error, account = "", None
        try:
            account = read_folder(name, self._root / name, [file for file, *_ in stamp])
            self._check(name, account)
        except FolderError as found:
            error = str(found)
        folder.seen, folder.taken = stamp, None
        if not _is_still(self._root / name, stamp):  # some of its files are older than others
            folder.seen = None
            return
        folder.error = error
        if account is not None and not error:
            self._hold(name, folder.account, account)
            folder.account, folder.taken = account, stamp

    def _is_fresh(self, name: str) -> bool:
        """Whether a folder may be half written: it changed a moment ago, and not by Kubernetes."""
        folder = self._root / name
        if self.mounted or _link(folder / "..data") is not None:
            return False
        try:
            with os.scandir(folder) as entries:
                changed = max([folder.stat().st_ctime, *(entry.stat().st_ctime for entry in entries)])
        except OSError:  # it changes just now
            return True
        return 0 <= time.time() - changed < FRESH

    def _hold(self, name: str, old: Account | None, new: Account | None) -> None:
        """Note which secrets an account has now."""
        for value in secret_values(old) if old is not None else ():
            self._holders.pop(value, None)
        self._holders |= dict.fromkeys(secret_values(new), name) if new is not None else {}

    def _check(self, name: str, account: Account) -> None:
        try:
            RedisKeys(name)
        except ValueError as error:
            raise FolderError(f"the folder's name makes no {error}") from None
        if name in self._others:
            raise FolderError("the account is in the environment, too: set it in one place")
        if self._token_needed and account.token is None:
            raise FolderError("the file token is missing: a worker calls iFax with it")
        for value in secret_values(account):
            if (other := self._holders.get(value, name)) != name:
                raise FolderError(f"{value[0].lower()} is that of account {other}, too: {SHARED[value[0]]}")


def _stamp(folder: Path) -> Stamp:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                stat = entry.stat()  # of what a link leads to
                found.append((entry.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))


def _is_still(folder: Path, stamp: Stamp) -> bool:
    try:
        return _stamp(folder) == stamp
    except OSError:
        return False


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    if entry.name.startswith("."):
        return False
    try:
        return entry.is_dir() or (entry.is_symlink() and not os.path.exists(entry.path))  # noqa: PTH110
    except OSError:  # such as a link to itself: the look at it says so, as of one that leads nowhere
        return True


def _settled(folder: _Folder) -> bool:
    return folder.taken is not None and folder.seen == folder.taken


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None
