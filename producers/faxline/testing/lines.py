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
"""Reasons for which a fax fails without a receipt, and how."""


class _Outcomes:
    """What a test says becomes of a fax.

    Each but `reject` takes a job's id, or a group's name for those of its jobs that can come to that. It
    raises `JobNotFound` where there is neither, and `ValueError` where the job's state is none from which it
    can. They are called, and not awaited, on an `AsyncMemoryLine` too.
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
        """What was pushed: each kind (send, cancel, resend) with its content, as intake read it.

        Without `user`, the Redis user who pushed it: here there is none.
        """
        with self._daemon.lock:
            return tuple(
                (kind, {name: value for name, value in content.items() if name != "user"})
                for kind, content in self._daemon.intake.entries
            )

    def deliver(self, job: str, *, pages: int | None = None, transferred: int | None = None) -> None:
        """It is delivered, with so many pages (None: those of its documents), all or fewer transferred."""
        known = transferred if transferred is not None else pages
        self._end(job, "delivered", pages=pages, transferred=known)

    def fail(
        self, job: str, *, reason: str = "no_answer", code: int | None = None, message: str = ""
    ) -> None:
        """It fails by iFax's receipt, for this reason.

        Raises:
            ValueError: the reason is none of iFax's; the text says how a fax fails for it.
        """
        if reason in _NOT_OF_A_RECEIPT:
            raise ValueError(f"no receipt says {reason!r}: {_NOT_OF_A_RECEIPT[reason]}")
        self._end(job, "failed", reason=reason, code=code, message=message or None)

    def reject(self, job: str, *, reason: str, member: str = "", message: str = "") -> None:
        """Intake will reject the next push of this id, as the daemon does for what the library cannot know.

        Args:
            job: the id that is to be pushed.
            reason: such as `backlog_full` or `host_not_allowed`; see `Rejection`.
            member: which member of the entry it is about, where it is about one.
            message: how to mend it.

        Raises:
            ValueError: intake rejects nothing for such a reason.
        """
        if reason not in set(Rejection):
            raise ValueError(
                f"intake rejects nothing for the reason {reason!r}, but for {', '.join(Rejection)}"
            )
        error = EntryRejected(member, Rejection(reason), message or "the test says so")
        with self._daemon.lock:
            self._daemon.intake.refused[job] = error

    def submit(self, job: str) -> None:
        """It is taken by iFax and waits for its receipt."""

        def taken(name: str) -> None:
            self._daemon.attempt(name)
            self._daemon.accept(name)

        self._move(job, taken, "queued")

    def doubt(self, job: str, *, reason: str = "read_timeout") -> None:
        """Nobody knows whether iFax took it; `resolve`, `deliver` and `fail` settle it."""

        def doubted(name: str) -> None:
            self._daemon.attempt(name)
            self._daemon.move(name, "in_doubt", "fax.in_doubt", reason=reason)

        self._move(job, doubted, "queued")

    def unconfirm(self, job: str) -> None:
        """No receipt came in time of a fax that was submitted; a late one (`deliver`, `fail`) amends it."""
        self._move(job, lambda name: self._daemon.move(name, "unconfirmed", "fax.unconfirmed"), "submitted")

    def drop_events(self, keep: int = 1) -> None:
        """The capped stream drops all but the newest events; who had not read the others gets `EventsMissed`.

        A reader notices it by the next event that it reads: with none kept, only once there is a new one. Who
        begins later (a new group, or `after="0"`) missed nothing.

        Args:
            keep: how many stay.
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
                    f"job {job!r} is {state}, and this becomes of one that is {' or '.join(states)}: a "
                    f"{type(self).__name__}(deliver=False) leaves a fax queued until it is told otherwise"
                )
            for name in [job] if state is not None else members:
                if self._daemon.record(name)["state"] in states:
                    move(name)


class MemoryLine(_Outcomes, FaxLine):
    """A `FaxLine` that needs neither Redis nor the daemon, for tests.

    Args:
        account: the account's name.
        deliver: whether every fax is delivered at once; else it stays queued until `deliver`, `fail`,
            `submit`, `doubt` or `cancel`.
        keys: what is sealed by them before the push; the daemon in memory has the same.
        region: as of `FaxLine`.
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
    """An `AsyncFaxLine` of the same kind.

    Args:
        account: as of `MemoryLine`.
        deliver, keys, region: likewise.
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
        loop = get_running_loop()  # any loop may use this line: each has a client of its own
        if loop not in self._clients:
            self._clients[loop] = self._server.client_async(self._daemon)
        return self._clients[loop]
