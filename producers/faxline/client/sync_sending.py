"""The methods of `FaxLine` that push something: faxes, cancellations, resends."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Unpack

from faxline.client.base import Blocking
from faxline.reading.job import Job
from faxline.sending.fax import Fax, FaxParameters, fax_of
from faxline.sending.files import File
from faxline.sending.mailing import Mailing, Progress, send_many
from faxline.sending.push import cancel_group, cancel_job, push_entry, resend_job, send_fax


class Sending(Blocking):
    """Send, cancel and resend faxes."""

    def send(
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
        """Check a fax, store its documents, and push it.

        Sending the same fax again under the same id is safe: it is faxed once.

        Example:
            >>> job = line.send(to="+12345678901", files=["letter.pdf"], id="invoice-77")
            >>> job.id
            'invoice-77'

        Args:
            to: one fax number with its country code, in any common spelling, or without the code if the line
                has a `region` (`normalize_number` shows how it is read); or a list of up to 15 numbers. A
                list makes one job for each number, `ID.1` and so on, in a group named ID. The returned Job
                stands for all of them.
            files: one file or a list: the path of a local file, an http or https URL that iFax can reach, or
                (name, content). A URL's file name is the last part of its path; ("a.pdf", URL) sets another.
                `Selection(file="a.pdf", pages=["1-5", "7"])` sends some of the pages.
            id: the idempotency key, 1 to 128 of `A-Z a-z 0-9 . _ : -`. Default: a random UUID.
            priority: urgent, normal or bulk.
            expires_at: an ISO 8601 time with an offset. A fax that is not submitted by then fails.
            in_doubt: what to do if nobody knows whether iFax took the fax: hold, resend or fail. Default: the
                daemon's setting.
            attempts: how many deliveries to try at most. Default: the daemon's setting.
            group: the name of the mailing that the job belongs to. Not with several numbers.
            metadata: up to 4 KB of your own data, repeated in every event.
            fax: further parameters of iFax's fax-send, by their documented names.

        Raises:
            EntryRejected: the fax breaks a rule. Nothing was pushed.
            OSError: a file cannot be read.
            PdfReaderUnavailable: the process that opens PDFs cannot be started.
            QueueUnavailable: Redis did not take the fax. Sending it again with the same id is safe.
        """
        given = fax_of(to, files, id, priority, expires_at, in_doubt, attempts, group, metadata, fax)
        return self._run(send_fax(self._context, given))

    def send_many(
        self,
        faxes: Iterable[Fax],
        *,
        group: str | None = None,
        skip_rejected: bool = False,
        progress: Progress | None = None,
    ) -> Mailing:
        """Push many faxes, hundreds in one round trip. Each distinct file is read, checked and stored once.

        All faxes are checked before the first one is pushed. A fax without an id gets `GROUP.N` if there is a
        group (N counts from 1), so that calling again pushes nothing twice, and a random UUID otherwise.

        Example:
            >>> numbers = ["+12345678901", "+12345678902"]
            >>> mailing = line.send_many((Fax(to=n, files=["june.pdf"]) for n in numbers), group="june")
            >>> line.wait(mailing, timeout=3600).counts

        Args:
            faxes: the keyword arguments of `send` for each fax, such as
                `Fax(to="+12345678901", files=["a.pdf"])`. They are read twice, so an iterator is copied into
                a list first.
            group: the name of the mailing, for the faxes without one. `group(name)` shows its progress.
            skip_rejected: push the valid faxes even if others are invalid; `Mailing.rejected` lists those.
            progress: called after each round trip with the number of faxes pushed and their total.

        Raises:
            FaxesRejected: some faxes are invalid, cannot be read, or share an id. Nothing was pushed.
            PushInterrupted: Redis went away in the middle, or the faxes or `progress` raised. The error has
                the number of faxes pushed and all ids; pushing everything again with these ids is safe. A
                call that is canceled tells no ids: give a group, or the faxes ids, where that may happen.
        """
        return self._run(send_many(self._context, faxes, group, skip=skip_rejected, progress=progress))

    def push(self, kind: str, payload: Mapping[str, Any]) -> str:
        """Push an entry that you built yourself, and return its id in the intake stream.

        The form of the entry is checked. Its documents are not opened and must already be stored. Pushing the
        same entry again is safe.

        Example:
            >>> line.push("cancel", {"id": "invoice-77"})
            '1718000000000-0'

        Args:
            kind: send, cancel or resend.
            payload: the entry's members, as docs/library.md and the schema of the intake stream name them.

        Raises:
            EntryRejected: the entry breaks a rule. Nothing was pushed.
            QueueUnavailable: Redis did not take the entry.
        """
        return self._run(push_entry(self._context, kind, payload))

    def cancel(self, job: str, *, by: str | None = None) -> None:
        """Ask the daemon not to send a job. The event `fax.canceled` or `fax.cancel_refused` answers.

        Example:
            >>> line.cancel("invoice-77", by="alice")

        Args:
            job: the id of the job.
            by: who asks, for the audit. The audit also has the Redis user.

        Raises:
            EntryRejected: this is not a valid id.
            QueueUnavailable: Redis did not take the entry.
        """
        self._run(cancel_job(self._context, job, by))

    def cancel_group(self, name: str, *, skip: Container[str] = (), by: str | None = None) -> list[str]:
        """Ask the daemon not to send any fax of a group, and return the ids of the jobs concerned.

        These are the jobs that have not ended. One event answers for each, as after `cancel`. Faxes that are
        still on the intake stream (`intake` in `group(name).counts`) are not among them: call again later.

        Example:
            >>> line.cancel_group("june", by="alice")
            ['june.17', 'june.18']

        Args:
            name: the name of the group.
            skip: ids to leave out, such as those already canceled.
            by: who asks, for the audit.

        Raises:
            GroupNotFound: no job of the group is registered yet, or all records have expired.
            QueueUnavailable: Redis failed, perhaps after some cancellations. Calling again is safe.
        """
        return self._run(cancel_group(self._context, name, skip, by))

    def resend(
        self,
        job: str,
        *,
        to: str | None = None,
        id: str | None = None,  # noqa: A002 - the contract's name
        priority: str = "normal",
        metadata: Mapping[str, Any] | None = None,
        by: str | None = None,
    ) -> Job:
        """Send a fax again, as a new job, to the same number or to another.

        Example:
            >>> line.resend("invoice-77", to="+12345678902", id="invoice-77-b")

        Args:
            job: the id of the job to repeat. iFax must have taken it.
            to: another number. Default: the same number.
            id: the id of the new job. Default: a random UUID.
            priority: urgent, normal or bulk.
            metadata: up to 4 KB of your own data, repeated in every event.
            by: who asks, for the audit. The audit also has the Redis user.

        Raises:
            EntryRejected: the entry breaks a rule. Nothing was pushed.
            QueueUnavailable: Redis did not take the entry.
        """
        return self._run(resend_job(self._context, job, to, id, priority, metadata, by))
