"""The accounts' current API keys and webhook secrets. A file that changes is read again.

A secret from a file (`…__TOKEN_FILE`, `…__WEBHOOK_SECRETS_FILE`, …) rotates without a restart: Kubernetes
changes a mounted Secret in place. A secret from a variable stays for the life of the process, and so does a
file that is never changed in place, such as a credential of systemd.
"""

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pydantic import SecretStr
from structlog.typing import FilteringBoundLogger

from faxline_worker.config.accounts import (
    CHECKS,
    SHARED,
    SHORTEST,
    USABLE_KEY,
    WEBHOOK_MEMBERS,
    account_secrets,
    account_variable,
    secret_spellings,
)
from faxline_worker.config.live_accounts import LiveAccounts, Update
from faxline_worker.config.settings import Settings
from faxline_worker.config.source import SecretFile
from faxline_worker.config.values import read_texts
from faxline_worker.ifax.webhook_access import PROOFS, WebhookSecrets
from faxline_worker.observability.pulse import Loop, Loops

PROOF_OF = dict(zip(WEBHOOK_MEMBERS, PROOFS, strict=True))
"""The proof that a setting is for."""

SHARE = 20
"""A look takes at most one of so many parts of the time, however many files there are."""

_Stamp = tuple[int, int, int]
_Text = TypeVar("_Text", str, bytes)


class UnusableError(Exception):
    """What a file holds cannot be used. The message says why and quotes nothing."""


@dataclass
class _Watched:
    file: SecretFile
    taken: _Stamp | None
    """The file as it was when its value was taken."""
    seen: _Stamp | None
    """The file at the last look. A value is taken only if two looks find the same: it may be half written."""
    text: str
    """The value in use, as it stands in the file."""
    complained: bool = False


class Secrets:
    """The secrets in use. The mappings are live: they always hold the current values. Thread-safe.

    Args:
        settings: the values at the start, and `secrets_poll`, the time between two looks at a file.
        files: which secrets came from files.
        log: gets a line for a new value and for a file that cannot be used, never what it holds.
        learn: gets new values before they are used, so that the logs' redactor hides them.
        live: follows the directory of the accounts; None if only `settings` has accounts.
    """

    tokens: Mapping[str, str]
    """The API key of each account that has one. A worker requires it."""
    webhooks: Mapping[str, WebhookSecrets]
    """What lets each account's webhooks in."""

    def __init__(
        self,
        settings: Settings,
        files: Iterable[SecretFile],
        log: FilteringBoundLogger,
        learn: Callable[[Iterable[str]], None],
        live: LiveAccounts | None = None,
    ) -> None:
        accounts = settings.accounts
        self._live = live
        if live is not None:
            live.listen(self._follow)
        self._every = self.looks = settings.secrets_poll.total_seconds()
        """Seconds between two looks; `looks`: as it is now, from the begin of one to that of the next."""
        self._log = log
        self._learn = learn
        self._tokens = {
            name: own.token.get_secret_value() for name, own in accounts.items() if own.token is not None
        }
        self._webhooks = {name: own.webhook for name, own in accounts.items()}
        self.tokens, self.webhooks = self._tokens, self._webhooks
        self._watched = [_Watched(file, None, None, file.text) for file in files]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, loops: Loops | None = None) -> None:
        """Watch the files from now on, in a thread that beats. Without files there is no thread."""
        if (self._watched or (self._live is not None and self._live.watched)) and self._thread is None:
            loop = (loops or Loops()).add("secrets", self._every)
            self._thread = threading.Thread(target=self._run, args=(loop,), name="secrets", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> None:
        """Look at each file once, and take a new value that has not changed since the look before.

        A value that cannot be used is logged once, and the last good value stays.
        """
        if self._live is not None:
            self._live.look()
        for watched in self._watched:
            try:
                self._look_at(watched)
            except (OSError, UnicodeDecodeError, UnusableError) as error:
                if not watched.complained:
                    watched.complained = True
                    self._log.warning(
                        "a secret's file cannot be used, the last good value stays",
                        member=watched.file.variable,
                        error=_why(error),
                    )

    def _run(self, loop: Loop) -> None:
        loop.well()
        wait = self._every
        while not self._stop.wait(wait):
            began = time.monotonic()
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - its text, or a traceback, may hold a secret
                self._log.error("the accounts' files could not be looked at", error=type(error).__name__)
            took = time.monotonic() - began
            wait = max(self._every, SHARE * took)
            self.looks = took + wait
            loop.well()

    def _follow(self, update: Update) -> None:
        """Take the secrets of accounts that came or changed, and forget those of accounts that went."""
        new = {name: update.settings.accounts[name] for name in update.renewed}
        self._learn([text for _, text in account_secrets(new)])
        for name, account in new.items():
            self._webhooks[name] = account.webhook
            if account.token is not None:
                self._tokens[name] = account.token.get_secret_value()
        for name in update.removed:
            self._tokens.pop(name, None)
            self._webhooks.pop(name, None)

    def _look_at(self, watched: _Watched) -> None:
        stamp = _stamp(watched.file.path)
        if stamp == watched.taken:
            watched.seen, watched.complained = stamp, False
            return
        if stamp != watched.seen:
            watched.seen = stamp
            return
        with open(watched.file.path, encoding="utf-8") as file:  # noqa: PTH123 - the operator's own path
            text = file.read().strip()
        if text != watched.text:
            self._take(watched.file, text)
            watched.text = text
            self._log.info("a secret was read again", member=watched.file.variable)
        watched.taken, watched.complained = stamp, False

    def _take(self, file: SecretFile, text: str) -> None:
        if file.member == "token":
            if not USABLE_KEY.fullmatch(text):
                raise UnusableError("it must hold the API key: printable ASCII without spaces")
            _refuse_short([text])
            _refuse_shared(file, [text], {name: [token] for name, token in self._tokens.items()})
            self._learn([text])
            self._tokens[file.account] = text
            self._tell(file, SecretStr(text))
            return
        try:
            secrets = read_texts(text)
            for secret in secrets:
                CHECKS.get(file.member, str)(secret)
        except ValueError as error:
            raise UnusableError(str(error)) from None
        if not secrets:
            raise UnusableError('must hold at least one secret, such as ["first"]')
        spellings = [spelling for secret in secrets for spelling in secret_spellings(file.member, secret)]
        _refuse_short(spellings)
        encoded, proof = tuple(secret.encode() for secret in secrets), PROOF_OF[file.member]
        _refuse_shared(file, encoded, {name: getattr(own, proof) for name, own in self._webhooks.items()})
        self._learn(spellings)
        self._webhooks[file.account] = replace(self._webhooks[file.account], **{proof: encoded})
        self._tell(file, tuple(map(SecretStr, secrets)))

    def _tell(self, file: SecretFile, value: SecretStr | tuple[SecretStr, ...]) -> None:
        if self._live is not None:
            self._live.rotated(file.account, file.member, value)


def _why(error: OSError | UnicodeDecodeError | UnusableError) -> str:
    """Why a file cannot be used: nothing of what it holds."""
    if isinstance(error, UnusableError):
        return str(error)
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__


def _refuse_short(secrets: Sequence[str]) -> None:
    if any(len(secret) < SHORTEST for secret in secrets):
        raise UnusableError(f"secrets must be at least {SHORTEST} characters long")


def _refuse_shared(file: SecretFile, new: Sequence[_Text], held: Mapping[str, Sequence[_Text]]) -> None:
    """Refuse a value that another account has."""
    member = file.member.upper()
    for name, theirs in held.items():
        if name != file.account and not set(new).isdisjoint(theirs):
            raise UnusableError(f"{account_variable(name, member)} is the same: {SHARED[member]}")


def _stamp(path: str) -> _Stamp:
    """What changes when a file is written or replaced, even behind a symbolic link."""
    found: Any = os.stat(path)  # noqa: PTH116 - as above
    return found.st_ino, found.st_size, found.st_mtime_ns
