"""`AsyncFaxLine`: the asyncio twin of `FaxLine`."""

from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, overload

from faxline.client.base import CONNECTION, DOCUMENT_TTL, Base
from faxline.client.sync import FaxLine
from faxline.contract.check import Check
from faxline.contract.errors import NotShared
from faxline.contract.orders import Order
from faxline.contract.sealing.keyring import Keyring
from faxline.operating.audit import AuditEntry, read_audit
from faxline.operating.dead_entries import DeadEntry, drop, read_dead_entries, redrive
from faxline.operating.erasure import Forgotten, SealedValues, count_sealed_values, forget, forget_number
from faxline.operating.operations import (
    GIVE_ORDERS,
    READ_ACCOUNTS,
    READ_AUDIT,
    READ_DEAD,
    READ_PROCESSES,
    READ_QUEUE,
    list_accounts,
    parse_resolution,
    parse_state,
    pause_or_resume,
    resolve,
    reveal,
    run_checks,
)
from faxline.operating.rollback import Recovered, Rollback, read_rollback, recover
from faxline.reading.account_reader import read_account_state
from faxline.reading.account_state import AccountState
from faxline.reading.consumer_groups import CLAIM_AFTER, RIGHT
from faxline.reading.event_iterators import AsyncEvents
from faxline.reading.event_stream import find_intake_entry, open_events
from faxline.reading.group import Each, Group
from faxline.reading.job import Job
from faxline.reading.lookup import find_group, find_job
from faxline.reading.open_jobs import read_open_jobs
from faxline.reading.processes import Process, read_processes
from faxline.sending.fax import Fax, FaxParameters, fax_of
from faxline.sending.files import File
from faxline.sending.mailing import Mailing, Progress, send_many
from faxline.sending.push import cancel_group, cancel_job, push_entry, resend_job, send_fax
from faxline.steps.commands import Steps
from faxline.steps.drivers import run_async, translate_errors
from faxline.steps.replicas import REPLICAS_TIMEOUT, Confirmation
from faxline.waiting.wait_one import wait_for

if TYPE_CHECKING:
    import redis.asyncio

_T = TypeVar("_T")
_C = TypeVar("_C", bound=type)


def _twin(cls: _C) -> _C:
    """Give each method the docstring of its twin in `FaxLine`."""
    for name, method in vars(cls).items():
        if name in {"events", "close"} or name.startswith("_"):
            continue
        method.__doc__ = getattr(FaxLine, name).__doc__
    return cls


@_twin
class AsyncFaxLine(Base):
    """One account's line, for asyncio: `FaxLine` with its methods awaited, and told there.

    Files are read and PDFs opened in a thread, off the event loop. A `wait` may be canceled. A line
    that was made from a URL may be used on several event loops, one after the other or in threads, and has
    connections of its own on each: close it on each.

    Args:
        redis_url: as of `FaxLine`, or a `redis.asyncio.Redis` client with bytes replies.
        account: the account's name.
        document_ttl: as of `FaxLine`.
        keys, replicas, replicas_timeout, region: likewise.

    Raises:
        ValueError: as of `FaxLine`.
    """

    def __init__(
        self,
        redis_url: "str | redis.asyncio.Redis",
        account: str = "default",
        *,
        document_ttl: float = DOCUMENT_TTL,
        keys: Keyring | str | None = None,
        replicas: int = 0,
        replicas_timeout: float = REPLICAS_TIMEOUT,
        region: str | None = None,
    ) -> None:
        self._url = redis_url if isinstance(redis_url, str) else None
        self._clients: dict[AbstractEventLoop, Any] = {}
        self._used = False
        client: Any = _connected(redis_url) if isinstance(redis_url, str) else redis_url
        confirmation = Confirmation(replicas, replicas_timeout)
        self._set_up(client, account, document_ttl, keys, confirmation, region=region, url=self._url)

    def _here(self) -> Any:
        """The client of this event loop; one that was given belongs to the loop that used it first."""
        loop = get_running_loop()
        if loop not in self._clients:
            if self._used and self._url is None:
                raise NotShared(
                    "the client of this line belongs to another event loop: make the line from a URL, or one "
                    "in each loop"
                )
            open_ones = {each: client for each, client in self._clients.items() if not each.is_closed()}
            if self._used and self._url is not None:
                self._client = _connected(self._url)
            self._clients, self._used = open_ones | {loop: self._client}, True
        return self._clients[loop]

    def _is_open(self, client: Any) -> bool:
        return self._url is None or self._clients.get(get_running_loop()) is client

    async def close(self) -> None:
        """Close the connections that this line opened on this event loop."""
        client = self._clients.pop(get_running_loop(), None)
        if self._url is not None and client is not None:
            await client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, steps: Steps[_T], right: str = "") -> _T:
        return await run_async(self._here(), translate_errors(steps, right, self._context.place))

    async def send(
        self,
        *,
        to: str | Sequence[str],
        files: File | Sequence[File],
        id: str | None = None,  # noqa: A002 - the contract's name
        priority: str = "normal",
        expires_at: str | None = None,
        in_doubt: str | None = None,
        attempts: int | None = None,
        group: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **fax: Unpack[FaxParameters],
    ) -> Job:
        given = fax_of(to, files, id, priority, expires_at, in_doubt, attempts, group, metadata, fax)
        return await self._run(send_fax(self._context, given))

    async def send_many(
        self,
        faxes: Iterable[Fax],
        *,
        group: str | None = None,
        skip_rejected: bool = False,
        progress: Progress | None = None,
    ) -> Mailing:
        return await self._run(send_many(self._context, faxes, group, skip=skip_rejected, progress=progress))

    async def push(self, kind: str, payload: Mapping[str, Any]) -> str:
        return await self._run(push_entry(self._context, kind, payload))

    async def cancel(self, job: str, *, by: str | None = None) -> None:
        await self._run(cancel_job(self._context, job, by))

    async def cancel_group(self, name: str, *, skip: Container[str] = (), by: str | None = None) -> list[str]:
        return await self._run(cancel_group(self._context, name, skip, by))

    async def resend(
        self,
        job: str,
        *,
        to: str | None = None,
        id: str | None = None,  # noqa: A002 - as above
        priority: str = "normal",
        metadata: Mapping[str, Any] | None = None,
        by: str | None = None,
    ) -> Job:
        return await self._run(resend_job(self._context, job, to, id, priority, metadata, by))

    async def job(self, job: str) -> Job:
        return await self._run(find_job(self._context, job))

    async def group(self, name: str, *, each: Each | None = None) -> Group:
        return await self._run(find_group(self._context, name, each))

    @overload
    async def wait(
        self, job: Mailing | Group, timeout: float, *, progress: Progress | None = None
    ) -> Group: ...

    @overload
    async def wait(
        self, job: str | Job, timeout: float, *, progress: Progress | None = None, each: Each | None = None
    ) -> Job: ...

    async def wait(
        self,
        job: str | Job | Mailing,
        timeout: float,
        *,
        progress: Progress | None = None,
        each: Each | None = None,
    ) -> Job:
        return await self._run(wait_for(self._context, job, timeout, progress, each))

    def events(
        self,
        *,
        after: str = "$",
        group: str | None = None,
        consumer: str | None = None,
        claim_after: float = CLAIM_AFTER,
        timeout: float | None = None,
    ) -> AsyncEvents:
        """Follow the events, from the first one that is asked for on, or at once: `await line.events()`.

        The arguments and what is raised are those of `FaxLine.events`.
        """
        words = partial(translate_errors, right=RIGHT if group is not None else "", place=self._context.place)
        begin = open_events(self._context, after, group, consumer, claim_after, timeout)
        return AsyncEvents(self._here, begin, words, self._is_open)

    async def jobs(self, *, state: str | None = None, limit: int = 100) -> list[Job]:
        return await self._run(read_open_jobs(self.keys, parse_state(state, limit), limit), READ_QUEUE)

    async def intake_entry(self, job: str) -> str | None:
        return await self._run(find_intake_entry(self._context, job), READ_QUEUE)

    async def account_state(self) -> AccountState:
        return await self._run(read_account_state(self.keys), READ_QUEUE)

    async def accounts(self) -> list[str]:
        return await self._run(list_accounts(), READ_ACCOUNTS)

    async def processes(self) -> list[Process]:
        return await self._run(read_processes(), READ_PROCESSES)

    async def checks(self) -> list[Check]:
        return await self._run(run_checks(self._context), READ_ACCOUNTS)

    async def pause(self, *, by: str, timeout: float = 5.0) -> AccountState:
        return await self._run(pause_or_resume(self._context, Order.PAUSE, by, timeout), GIVE_ORDERS)

    async def resume(self, *, by: str, timeout: float = 5.0) -> AccountState:
        return await self._run(pause_or_resume(self._context, Order.RESUME, by, timeout), GIVE_ORDERS)

    async def rollback(self) -> Rollback | None:
        return await self._run(read_rollback(self._context), READ_QUEUE)

    async def recover(self, *, by: str, timeout: float = 60.0) -> Recovered:
        return await self._run(recover(self._context, by, timeout), GIVE_ORDERS)

    async def resolve(
        self,
        job: str,
        *,
        accepted: int | None = None,
        resend: bool = False,
        fail: bool = False,
        by: str,
        timeout: float = 5.0,
    ) -> Job:
        how = parse_resolution(accepted, resend=resend, fail=fail)
        return await self._run(resolve(self._context, job, accepted, how, by, timeout), GIVE_ORDERS)

    async def audit(
        self, *, after: str | datetime | None = None, before: datetime | None = None, limit: int = 1000
    ) -> list[AuditEntry]:
        return await self._run(read_audit(self._context, after, before, limit), READ_AUDIT)

    async def dead(self, limit: int = 100) -> list[DeadEntry]:
        return await self._run(read_dead_entries(self._context, limit), READ_DEAD)

    async def redrive(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        await self._run(redrive(self._context, entry, by, timeout), GIVE_ORDERS)

    async def drop(self, entry: str, *, by: str, timeout: float = 5.0) -> None:
        await self._run(drop(self._context, entry, by, timeout), GIVE_ORDERS)

    async def reveal(self, jobs: Iterable[str], *, by: str, timeout: float = 5.0) -> dict[str, str]:
        return await self._run(reveal(self._context, jobs, by, timeout), GIVE_ORDERS)

    async def forget(self, job: str, *, by: str, timeout: float = 60.0) -> Forgotten:
        return await self._run(forget(self._context, job, by, timeout))

    async def forget_number(self, number: str, *, by: str, timeout: float = 600.0) -> Forgotten:
        return await self._run(forget_number(self._context, number, by, timeout))

    async def sealed_values(self, *, by: str, timeout: float = 600.0) -> SealedValues:
        return await self._run(count_sealed_values(self._context, Order.KEYS, by, timeout))

    async def rotate_keys(self, *, by: str, timeout: float = 600.0) -> SealedValues:
        return await self._run(count_sealed_values(self._context, Order.ROTATE, by, timeout))


def _connected(url: str) -> Any:
    from redis.asyncio.retry import Retry  # noqa: PLC0415 - `import faxline` is to be quick

    from faxline.contract.deadlines import Backoff  # noqa: PLC0415 - as above
    from faxline.contract.redis_url import connect_async  # noqa: PLC0415 - as above

    return connect_async(url, **CONNECTION, retry=Retry(Backoff(base=0.05, cap=1.0), 3))
