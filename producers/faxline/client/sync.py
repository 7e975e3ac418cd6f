"""`FaxLine`: push faxes and follow them."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self, Unpack, overload

from faxline.client.base import CONNECTION, DOCUMENT_TTL
from faxline.client.sync_operator import Operators
from faxline.contract.sealing.keyring import Keyring
from faxline.reading.consumer_groups import CLAIM_AFTER, RIGHT
from faxline.reading.event_iterators import Events
from faxline.reading.event_stream import open_events
from faxline.reading.group import Each, Group
from faxline.reading.job import Job
from faxline.reading.lookup import find_group, find_job
from faxline.sending.fax import Fax, FaxParameters, fax_of
from faxline.sending.files import File
from faxline.sending.mailing import Mailing, Progress, send_many
from faxline.sending.push import cancel_group, cancel_job, push_entry, resend_job, send_fax
from faxline.steps.drivers import translate_errors
from faxline.steps.replicas import REPLICAS_TIMEOUT, Confirmation
from faxline.waiting.wait_one import wait_for

if TYPE_CHECKING:
    import redis

__all__ = ["DOCUMENT_TTL", "FaxLine"]


class FaxLine(Operators):
    """One account's line. Thread-safe, also across a fork; one that was made from a URL can be pickled.

    While Redis hangs, a call takes no longer than the timeout that it is given, or 5 s where it has none and
    a second for each megabyte that it sends; then it raises `QueueUnavailable`. A client of your own keeps
    its own timeouts and retries.

    Args:
        redis_url: such as redis://localhost:6379/0 or redis+sentinel://host1,host2/service/0 (all forms:
            `faxline.contract.redis_url`), or a `redis.Redis` client with bytes replies.
        account: the account's name.
        document_ttl: seconds that a document is kept from its last push, at most: it goes once no fax that
            needs it is under way (FAXLINE_DOCUMENT_GRACE).
        keys: seal entries and documents before the push, as the daemon's FAXLINE_SEALING_KEYS does (lines
            `id:base64`, the current key first). By default nothing is sealed.
        replicas: how many replicas of Redis must have what is pushed (FAXLINE_REDIS_REPLICAS of the daemon);
            a push that fewer confirm raises `NotReplicated`.
        replicas_timeout: seconds that a push waits for them.
        region: the country of numbers that name none, by its two letters, such as DE.

    Raises:
        ValueError: the client decodes replies (documents are bytes), the account's name is not one, the keys
            are none, replicas is negative, or there is no such region.
    """

    def __init__(
        self,
        redis_url: "str | redis.Redis",
        account: str = "default",
        *,
        document_ttl: float = DOCUMENT_TTL,
        keys: Keyring | str | None = None,
        replicas: int = 0,
        replicas_timeout: float = REPLICAS_TIMEOUT,
        region: str | None = None,
    ) -> None:
        url = redis_url if isinstance(redis_url, str) else None
        client: Any = _connected(redis_url) if isinstance(redis_url, str) else redis_url
        confirmation = Confirmation(replicas, replicas_timeout)
        self._set_up(client, account, document_ttl, keys, confirmation, region=region, url=url)

    def close(self) -> None:
        """Close the connections that this line opened."""
        if self._url is not None:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
        """Check a fax, store its documents once, and push it. Pushing the same again is ignored by intake.

        Args:
            to: a number with its country code as people write it (or without, within the line's `region`;
                `normalize_number` tells how it is understood), or up to 15: one job each, `ID.1` and so on, a
                group of the id's name, and the Job stands for all of them.
            files: one or a list: paths of local files, http or https URLs that iFax can reach, or (name,
                content). A URL's file name is the last part of its path, or that of ("a.pdf", URL). Some
                pages only: `Selection(file="a.pdf", pages=["1-5", "7"])`.
            id: the idempotency key; a UUID when not given.
            priority: urgent, normal or bulk.
            expires_at: ISO 8601 with an offset: not submitted by then, it fails.
            in_doubt: hold, resend or fail.
            attempts: most deliveries tried.
            group: the name of a mailing that the job belongs to; not with several numbers.
            metadata: up to 4 KB, echoed in every event.
            fax: further parameters of fax-send, by their documented names.

        Raises:
            EntryRejected: the fax breaks a rule; nothing was pushed.
            OSError: a file cannot be read.
            PdfReaderUnavailable: the process that opens PDFs cannot be started.
            QueueUnavailable: Redis did not take it.
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
        """Push many faxes, hundreds in one round trip. Each distinct file is read, opened and stored once.

        All are checked before any is pushed. A fax without an id gets one: GROUP.N where a group is given, N
        being its place from 1, so that the same call again pushes nothing twice; else a UUID.

        Args:
            faxes: each the keyword arguments of `send`, such as `Fax(to="+12345678901", files=["a.pdf"])`.
                They are gone through twice: an iterator is copied to a list first, anything else is not.
            group: the mailing's name, for those that have none; `group(name)` then tells how far it is.
            skip_rejected: push the others where some break a rule; `Mailing.rejected` tells which.
            progress: is called with how many are pushed, and of how many, after each round trip.

        Raises:
            FaxesRejected: some break a rule, cannot be read, or have the id of another; nothing was pushed.
            PushInterrupted: Redis went away in the middle; it tells how many were pushed, and all the ids,
                with which it is safe to push all of them again.
        """
        return self._run(send_many(self._context, faxes, group, skip=skip_rejected, progress=progress))

    def push(self, kind: str, payload: Mapping[str, Any]) -> str:
        """Push a ready-made entry, checked in its form; the entry's id in the intake stream.

        Its documents are not opened and must be stored already. Pushing the same again is ignored by intake.

        Raises:
            EntryRejected: the entry breaks a rule; nothing was pushed.
            QueueUnavailable: Redis did not take it.
        """
        return self._run(push_entry(self._context, kind, payload))

    def cancel(self, job: str, *, by: str | None = None) -> None:
        """Ask that a job is not sent; `fax.canceled` or `fax.cancel_refused` answers.

        Args:
            job: its id.
            by: who orders it, for the audit, which has the Redis user beside it.

        Raises:
            EntryRejected: the id is none.
            QueueUnavailable: Redis did not take it.
        """
        self._run(cancel_job(self._context, job, by))

    def cancel_group(self, name: str, *, skip: Container[str] = (), by: str | None = None) -> list[str]:
        """Ask that no fax of a group is sent: the ids of its jobs that had not ended, which were asked for.

        An event answers for each, as after `cancel`. A fax that intake has not taken yet is not among them
        (`group(name).counts` has such as `intake`): ask again once it is.

        Args:
            name: the group's.
            skip: ids of jobs that are not asked for, such as those that were.
            by: who orders it, for the audit.

        Raises:
            GroupNotFound: no job of it is registered (yet), or the retention of all is over.
            QueueUnavailable: Redis did not take it; some may be asked for. To ask again is safe.
        """
        return self._run(cancel_group(self._context, name, skip, by))

    def resend(
        self,
        job: str,
        *,
        to: str | None = None,
        id: str | None = None,  # noqa: A002 - as above
        priority: str = "normal",
        metadata: Mapping[str, Any] | None = None,
        by: str | None = None,
    ) -> Job:
        """Send a job again, to the same number or another, as a job of its own.

        Args:
            job: the id of the one that iFax has taken.
            to: another number; the same when not given.
            id: the new job's; a UUID when not given.
            priority: urgent, normal or bulk.
            metadata: up to 4 KB, echoed in every event.
            by: who orders it, for the audit, which has the Redis user beside it.

        Raises:
            EntryRejected: the entry breaks a rule; nothing was pushed.
            QueueUnavailable: Redis did not take it.
        """
        return self._run(resend_job(self._context, job, to, id, priority, metadata, by))

    def job(self, job: str) -> Job:
        """The record of a job; of a queued one with what holds it and when it is expected to start.

        Where no job has this id and a group has this name, it is the `Group`.

        Raises:
            JobNotFound: there is neither.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(find_job(self._context, job))

    def group(self, name: str, *, each: Each | None = None) -> Group:
        """A group as it is now: how many of its jobs are in each state, the jobs, and what was rejected.

        Args:
            name: the group's.
            each: is given each of its jobs, in the order of their ids; the Group then holds none of them,
                which saves the memory of a mailing to a hundred thousand.

        Raises:
            GroupNotFound: no job of it is registered (yet), or the retention of all is over.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(find_group(self._context, name, each))

    @overload
    def wait(
        self,
        job: Mailing | Group,
        timeout: float,
        *,
        progress: Progress | None = None,
        each: Each | None = None,
    ) -> Group: ...

    @overload
    def wait(
        self, job: str | Job, timeout: float, *, progress: Progress | None = None, each: Each | None = None
    ) -> Job: ...

    def wait(
        self,
        job: str | Job | Mailing,
        timeout: float,
        *,
        progress: Progress | None = None,
        each: Each | None = None,
    ) -> Job:
        """Wait until a job has come to its end; of several jobs, until all have: their `Group`.

        A Job that `send` made of several numbers, and a Mailing, are known whole: all of their jobs are
        waited for, registered or not. So are those of a group that `send_many` pushed, asked for by its
        name. Of another group it is the jobs that are registered now or meanwhile: one whose entry still
        waits in intake when the last of the others ends is missed.

        Args:
            job: an id, a group's name, or what a push returned.
            timeout: seconds.
            progress: is called with how many jobs have ended, and of how many, whenever that changes.
            each: of several jobs, is given each at the end; the Group then holds none of them.

        Raises:
            JobRejected: intake rejected the entry. Of a Mailing it ends nothing: `Group.rejected` has them.
            WaitTimeout: it did not end in the time given: it says how far it is and who is not at work.
            QueueUnavailable: Redis did not answer.
        """
        return self._run(wait_for(self._context, job, timeout, progress, each))

    def events(
        self,
        *,
        after: str = "$",
        group: str | None = None,
        consumer: str | None = None,
        claim_after: float = CLAIM_AFTER,
        timeout: float | None = None,
    ) -> Events:
        """Follow the events, from the moment of this call on (not of the first `next`).

        The stream keeps about FAXLINE_EVENTS_CAP events. Where some were dropped before they were read,
        iterating raises `EventsMissed`, once: ask the records of the jobs that matter, and iterate again.

        A group shares its events among its readers. An event is done when the next one is asked for. Every
        event is seen at least once: what a reader that died had not finished goes to another after
        `claim_after` seconds, with the events of up to a second that it had done and not acknowledged.

        Args:
            after: a stream id, `0` for all that are kept, `$` for those to come. Not used with a group.
            group: read in this consumer group, from where it left off; a new one begins with all there are.
            consumer: this reader's name in the group, which no other reader may have; by default one is made
                of the host, the process and a random part.
            claim_after: seconds; more than twice what the work on one event takes.
            timeout: seconds after which the iteration ends; None never.

        Raises:
            EventsMissed: while iterating; see above.
            NotAllowed: here or while iterating, when this Redis user may not read in a group.
            QueueUnavailable: likewise, when Redis does not answer.
        """
        right = RIGHT if group is not None else ""
        following = self._run(open_events(self._context, after, group, consumer, claim_after, timeout), right)
        return Events(self._client, translate_errors(following, right, self._context.place))


def _connected(url: str) -> Any:
    from redis.retry import Retry  # noqa: PLC0415 - `import faxline` is to be quick

    from faxline.contract.deadlines import Backoff  # noqa: PLC0415 - as above
    from faxline.contract.redis_url import connect  # noqa: PLC0415 - as above

    return connect(url, **CONNECTION, retry=Retry(Backoff(base=0.05, cap=1.0), 3))
