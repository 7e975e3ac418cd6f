"""`MemoryLine` and `AsyncMemoryLine`."""

from asyncio import get_running_loop
from collections.abc import Callable, Mapping
from typing import Any

from faxline.client.aio import AsyncFaxLine
from faxline.client.sync import FaxLine
from faxline.contract.errors import EntryRejected, JobNotFound, Rejection
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.keyring import Keyring
from faxline.testing.clients import MemoryServer
from faxline.testing.daemon import Daemon

_NOT_OF_A_RECEIPT = {
    "expired": "push the fax with an expires_at that is over",
    "operator": "let it be in doubt (`doubt`), and settle that by `resolve`",
}
"""Reasons for which a fax fails without a receipt, and how a test causes each."""


class _Outcomes:
    """The methods by which a test decides what happens to a fax.

    Each method but `reject` takes the id of a job, or the name of a group for all of its jobs in a suitable
    state. It raises `JobNotFound` if there is neither, and `ValueError` if the job's state does not allow the
    step. The methods are not awaited, also on an `AsyncMemoryLine`.
    """

    _server: MemoryServer
    _daemon: Daemon
    keys: RedisKeys

    def _begin(self, account: str, keyring: Keyring | None, *, deliver: bool) -> None:
        self._server = MemoryServer()
        keys = RedisKeys(account)
        self._daemon = Daemon(self._server.unobserved, keys, deliver=deliver, keyring=keyring)

    @property
    def entries(self) -> tuple[tuple[str, Mapping[str, Any]], ...]:
        """The entries that were pushed: the kind (send, cancel, resend) and the content of each.

        The member `user` is missing, because a Redis in memory has no users.

        Example:
            >>> line.cancel("invoice-77")
            >>> line.entries[-1]
            ('cancel', {'id': 'invoice-77'})
        """
        with self._daemon.lock:
            return tuple(
                (kind, {name: value for name, value in content.items() if name != "user"})
                for kind, content in self._daemon.intake.entries
            )

    def deliver(self, job: str, *, pages: int | None = None, transferred: int | None = None) -> None:
        """Let a fax be delivered.

        Args:
            job: the id of a job, or the name of a group.
            pages: how many pages the receipt reports. Default: those of its documents.
            transferred: how many of them arrived. Default: all.

        Raises:
            JobNotFound: there is no such job or group.
            ValueError: the job has ended.
        """
        known = transferred if transferred is not None else pages
        self._end(job, "delivered", pages=pages, transferred=known)

    def fail(
        self, job: str, *, reason: str = "no_answer", code: int | None = None, message: str = ""
    ) -> None:
        """Let a delivery fail, as iFax's receipt says.

        Args:
            job: the id of a job, or the name of a group.
            reason: the name of the cause (docs/causes.md).
            code: iFax's number.
            message: iFax's text.

        Raises:
            JobNotFound: there is no such job or group.
            ValueError: the job has ended, or no receipt has this reason. The text says how a fax can fail so.
        """
        if reason in _NOT_OF_A_RECEIPT:
            raise ValueError(f"no receipt says {reason!r}: {_NOT_OF_A_RECEIPT[reason]}")
        self._end(job, "failed", reason=reason, code=code, message=message or None)

    def reject(self, job: str, *, reason: str, member: str = "", message: str = "") -> None:
        """Let intake reject the next push of this id, for a reason that the library cannot check itself.

        Args:
            job: the id that will be pushed.
            reason: such as `backlog_full` or `host_not_allowed`; see `Rejection`.
            member: the path of the member that is at fault, if any.
            message: how to fix it.

        Raises:
            ValueError: there is no such `Rejection`.
        """
        if reason not in set(Rejection):
            raise ValueError(
                f"intake rejects nothing for the reason {reason!r}, but for {', '.join(Rejection)}"
            )
        error = EntryRejected(member, Rejection(reason), message or "the test says so")
        with self._daemon.lock:
            self._daemon.intake.refused[job] = error

    def submit(self, job: str) -> None:
        """Let iFax take a fax, which then waits for its receipt.

        Raises:
            JobNotFound: there is no such job or group.
            ValueError: the job's state does not allow it.
        """

        def taken(name: str) -> None:
            self._daemon.attempt(name)
            self._daemon.accept(name)

        self._move(job, taken, "queued")

    def doubt(self, job: str, *, reason: str = "read_timeout") -> None:
        """Put a fax in doubt, until `resolve`, `deliver` or `fail` settles it.

        Raises:
            JobNotFound: there is no such job or group.
            ValueError: the job's state does not allow it.
        """

        def doubted(name: str) -> None:
            self._daemon.attempt(name)
            self._daemon.move(name, "in_doubt", "fax.in_doubt", reason=reason)

        self._move(job, doubted, "queued")

    def unconfirm(self, job: str) -> None:
        """Let no receipt come in time for a submitted fax. A late one (`deliver`, `fail`) amends it.

        Raises:
            JobNotFound: there is no such job or group.
            ValueError: the job's state does not allow it.
        """
        self._move(job, lambda name: self._daemon.move(name, "unconfirmed", "fax.unconfirmed"), "submitted")

    def drop_events(self, keep: int = 1) -> None:
        """Drop all but the newest events, as the capped stream does. A reader may get `EventsMissed`.

        A reader notices it at the next event that it reads. A reader that begins later (a new group, or
        `after="0"`) misses nothing.

        Args:
            keep: how many events stay.
        """
        with self._daemon.lock:
            self._server.unobserved.xtrim(self.keys.events, keep, approximate=False)

    def _end(self, job: str, outcome: str, **said: Any) -> None:
        def ended(name: str) -> None:
            self._daemon.end(name, outcome, **said)

        self._move(job, ended, "queued", "submitted", "in_doubt", "unconfirmed")

    def _move(self, job: str, move: Callable[[str], None], *states: str) -> None:
        with self._daemon.lock:
            state = self._daemon.record(job).get("state")
            members = sorted(name.decode() for name in self._server.unobserved.smembers(self.keys.group(job)))
            if state is None and not members:
                raise JobNotFound(f"no job {job!r} on account {self.keys.account!r}")
            if state is not None and state not in states:
                raise ValueError(
                    f"job {job!r} is {state}; this needs a job that is {' or '.join(states)}. With "
                    f"{type(self).__name__}(deliver=False) a fax stays queued until the test moves it"
                )
            for name in [job] if state is not None else members:
                if self._daemon.record(name)["state"] in states:
                    move(name)


class MemoryLine(_Outcomes, FaxLine):
    """A `FaxLine` that needs neither Redis nor the daemon, for tests.

    Args:
        account: the account's name.
        deliver: whether every fax is delivered at once. If not, it stays queued until `deliver`, `fail`,
            `submit`, `doubt` or `cancel`.
        keys: seal entries and documents before the push, as for `FaxLine`. The daemon in memory has them,
            too.
        region: as for `FaxLine`.

    Example:
        >>> line = MemoryLine()
        >>> job = line.send(to="+12345678901", files=["letter.pdf"], id="invoice-77")
        >>> line.job("invoice-77").state
        <JobState.DELIVERED: 'delivered'>
    """

    def __init__(
        self,
        account: str = "default",
        *,
        deliver: bool = True,
        keys: Keyring | str | None = None,
        region: str | None = None,
    ) -> None:
        keyring = Keyring.read(keys) if isinstance(keys, str) else keys
        self._begin(account, keyring, deliver=deliver)
        client = self._server.client(self._daemon)
        super().__init__(client, account, keys=keyring, region=region)


class AsyncMemoryLine(_Outcomes, AsyncFaxLine):
    """An `AsyncFaxLine` that needs neither Redis nor the daemon, for tests.

    Args:
        account, deliver, keys, region: as for `MemoryLine`.
    """

    def __init__(
        self,
        account: str = "default",
        *,
        deliver: bool = True,
        keys: Keyring | str | None = None,
        region: str | None = None,
    ) -> None:
        keyring = Keyring.read(keys) if isinstance(keys, str) else keys
        self._begin(account, keyring, deliver=deliver)
        client = self._server.client_async(self._daemon)
        super().__init__(client, account, keys=keyring, region=region)

    def _here(self) -> Any:
        loop = get_running_loop()  # each event loop has its own client, so any may use this line
        if loop not in self._clients:
            self._clients[loop] = self._server.client_async(self._daemon)
        return self._clients[loop]
