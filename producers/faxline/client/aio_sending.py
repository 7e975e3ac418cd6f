"""The methods of `AsyncFaxLine` that push something: faxes, cancellations, resends."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Unpack

from faxline.client.aio_base import Asynchronous, twin_of
from faxline.client.sync_sending import Sending
from faxline.reading.job import Job
from faxline.sending.fax import Fax, FaxParameters, fax_of
from faxline.sending.files import File
from faxline.sending.mailing import Mailing, Progress, send_many
from faxline.sending.push import cancel_group, cancel_job, push_entry, resend_job, send_fax


@twin_of(Sending)
class AsyncSending(Asynchronous):
    """Send, cancel and resend faxes."""

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
        id: str | None = None,  # noqa: A002 - the contract's name
        priority: str = "normal",
        metadata: Mapping[str, Any] | None = None,
        by: str | None = None,
    ) -> Job:
        return await self._run(resend_job(self._context, job, to, id, priority, metadata, by))
