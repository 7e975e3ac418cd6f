"""Reads the files of one account's folder (account_folders.py)."""

import difflib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from faxline_worker.config.accounts import SHORTEST, USABLE_KEY, WEBHOOK_MEMBERS, Account, account_secrets
from faxline_worker.config.values import HALF

SETTINGS = "settings.json"
SECRETS = ("token", *WEBHOOK_MEMBERS)
FILES = (*SECRETS, SETTINGS)
MEMBERS = tuple(name for name in Account.model_fields if name not in SECRETS)
"""What `settings.json` may hold."""
LARGEST = 100_000
"""The most bytes of a file."""


class FolderError(Exception):
    """A folder makes no account. The message names the file, the member and the fix, and quotes no secret."""


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


def changed_files(old: Account, new: Account) -> list[str]:
    """The names of the files in which two readings of a folder differ."""
    members = [name for name in Account.model_fields if getattr(old, name) != getattr(new, name)]
    return sorted({name if name in SECRETS else SETTINGS for name in members})


def _settings(text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise FolderError(f"{SETTINGS} is no JSON: {error}") from None
    except RecursionError:
        raise FolderError(f"{SETTINGS} is nested too deeply") from None
    if HALF.search(json.dumps(values, ensure_ascii=False)):
        raise FolderError(f"{SETTINGS} holds half a character (\\ud800 to \\udfff alone)")
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


def _at_once(path: str, flags: int) -> int:
    """Open a file; where a pipe is in its place, do not wait for whoever writes."""
    return os.open(path, flags | os.O_NONBLOCK)


def _read(folder: Path, file: str) -> str:
    try:
        with open(os.path.join(folder, file), "rb", opener=_at_once) as opened:  # noqa: PTH118 - of thousands
            text = opened.read(LARGEST + 1)
        if len(text) > LARGEST:
            raise FolderError(f"{file} is larger than {LARGEST} bytes")
        return text.decode().strip()
    except OSError as error:
        raise FolderError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FolderError(f"{file} is no text in UTF-8") from None
