"""Accounts in a directory (FAXLINE_ACCOUNTS_DIR): a folder an account, with a file for each of its settings.

| file | what it holds |
|---|---|
| `token` | iFax's API token |
| `webhook_secrets`, `webhook_basic`, `webhook_path_secrets` | a JSON list of texts |
| `settings.json` | a JSON object with `caller_id`, `limits` and `ceilings`, as in the environment |

Names that begin with a dot are ignored, so a Secret that Kubernetes mounts may be the directory or a folder.
"""

import difflib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from faxline.contract.redis_keys import RedisKeys
from faxline_worker.config.accounts import (
    SHARED,
    SHORTEST,
    USABLE_KEY,
    WEBHOOK_MEMBERS,
    Account,
    account_secrets,
    secret_values,
)

SETTINGS = "settings.json"
SECRETS = ("token", *WEBHOOK_MEMBERS)
FILES = (*SECRETS, SETTINGS)
MEMBERS = tuple(name for name in Account.model_fields if name not in SECRETS)
"""What `settings.json` may hold."""
LARGEST = 100_000
"""The most bytes of a file."""

Stamp = tuple[tuple[str, int, int, int], ...]
"""What changes when a file of a folder is written, replaced, added or removed."""


class FolderError(Exception):
    """A folder makes no account. The message names the file, the member and the fix, and quotes no secret."""


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
    def broken(self) -> dict[str, str]:
        """What is wrong with each folder that cannot be read; `.` is the directory."""
        found = {name: folder.error for name, folder in self._folders.items() if folder.error}
        return found | ({".": self._lost} if self._lost else {})

    def look(self, *, at_once: bool = False) -> Changes:
        """Look at all folders, and read those that changed.

        Args:
            at_once: read a folder although no look before found the same. For the start.
        """
        try:
            data = _link(self._root / "..data")
            if data is not None and data == self._data and all(map(_settled, self._folders.values())):
                return Changes(self._accounts())  # Kubernetes replaces all of it or nothing
            names = {entry.name for entry in os.scandir(self._root) if _is_folder(entry)}
        except OSError as error:  # the accounts stay: it may be away for a moment
            lost = f"the directory cannot be read: {error.strerror}"
            new, self._lost = lost != self._lost, lost
            return Changes(self._accounts(), broken={".": lost} if new else {})
        self._data, self._lost = data, ""
        before, broken = self._accounts(), dict[str, str]()
        self._holders = {
            value: name
            for name, own in (*self._others.items(), *before.items())
            for value in secret_values(own)
        }
        for name in [name for name in self._folders if name not in names]:
            self._hold(name, self._folders.pop(name).account, None)
        for name in sorted(names):
            folder = self._folders.setdefault(name, _Folder())
            was = folder.error
            self._look_at(name, folder, at_once=at_once)
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
        except OSError:  # it is being replaced
            folder.seen = None
            return
        if stamp == folder.taken or (stamp != folder.seen and not at_once):
            folder.seen = stamp
        else:
            # A broken one is read at each look, because another folder may be at fault.
            folder.seen, folder.taken = stamp, None
            try:
                account = read_folder(name, self._root / name, [file for file, *_ in stamp])
                self._check(name, account)
            except FolderError as error:
                folder.error = str(error)
            else:
                self._hold(name, folder.account, account)
                folder.account, folder.error, folder.taken = account, "", stamp

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


def read_folder(name: str, folder: Path, files: Sequence[str]) -> Account:
    """Read one account.

    Args:
        name: the account's name.
        folder: its folder.
        files: the names of the files in it.

    Raises:
        FolderError: a file is unknown, cannot be read, or holds something that is no setting.
    """
    values: dict[str, Any] = {}
    for file in files:
        if file not in FILES:
            near = difflib.get_close_matches(file, FILES, 1, 0.7)
            fix = f"did you mean {near[0]}?" if near else f"a folder holds {', '.join(FILES)}"
            raise FolderError(f"{file} is not a file of an account: {fix}")
        text = _read(folder, file)
        values |= _settings(text) if file == SETTINGS else {file: text}
    try:
        account = Account.model_validate(values)
    except ValidationError as error:
        raise FolderError(_problem(error)) from None
    if account.token is not None and not USABLE_KEY.fullmatch(account.token.get_secret_value()):
        raise FolderError("token must hold the API token: printable ASCII without spaces")
    for variable, text in account_secrets({name: account}):
        if len(text) < SHORTEST:
            member = variable.rpartition("__")[2].lower()
            raise FolderError(f"{member}: secrets must be at least {SHORTEST} characters long")
    return account


def _settings(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise FolderError(f"{SETTINGS} is no JSON: {error}") from None
    if not isinstance(values, dict):
        raise FolderError(f'{SETTINGS} must be a JSON object, such as {{"limits": {{"requests": 500}}}}')
    for member in values:
        if member not in MEMBERS:
            near = difflib.get_close_matches(member, MEMBERS, 1, 0.7)
            fix = f"did you mean {near[0]}?" if near else f"it may hold {', '.join(MEMBERS)}"
            if member in SECRETS:
                fix = f"put it into the file {member}"
            raise FolderError(f"{SETTINGS}: {member!r} is not a setting of an account: {fix}")
    return values


def _problem(error: ValidationError) -> str:
    """The first problem as one line: the file, the member, and what it must be."""
    problem = error.errors(include_input=False, include_url=False)[0]
    path = [str(part) for part in problem["loc"]]
    message = problem["msg"].removeprefix("Value error, ")
    if path[0] in SECRETS:
        return f"{path[0]}: {message}"
    if problem["type"] == "extra_forbidden":
        known = Account.model_fields[path[0]].default.__class__.model_fields
        message = f"is not a setting: {path[0]} has {', '.join(known)}"
    return f"{SETTINGS}: {'.'.join(path)}: {message}"


def _read(folder: Path, file: str) -> str:
    try:
        with open(os.path.join(folder, file), "rb") as opened:  # noqa: PTH118, PTH123 - of thousands of files
            text = opened.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise FolderError(f"{file} is larger than {LARGEST} bytes")
        return text.decode().strip()
    except OSError as error:
        raise FolderError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FolderError(f"{file} is no text in UTF-8") from None


def _stamp(folder: Path) -> Stamp:
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                stat = entry.stat()  # of what a link leads to
                found.append((entry.name, stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(sorted(found))


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    return not entry.name.startswith(".") and entry.is_dir()


def _settled(folder: _Folder) -> bool:
    return folder.taken is not None and folder.seen == folder.taken


def _link(path: Path) -> str | None:
    try:
        return str(path.readlink())
    except OSError:
        return None
