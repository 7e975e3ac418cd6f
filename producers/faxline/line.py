"""`FaxLine`: push faxes and follow them."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from faxline.checks import check_send
from faxline.documents import digest
from faxline.entries import SendEntry, parse_entry
from faxline.errors import JobNotFound, JobRejected, QueueUnavailable, Rejection, WaitTimeout
from faxline.events import Event, EventName
from faxline.jobs import Job, JobState
from faxline.keys import AccountKeys

DOCUMENT_TTL = 7 * 86400
"""Seconds that a document is kept from its last push."""
_BLOCK = 5.0
_PAGE = 1000


class FaxLine:
    """One account's line. Thread-safe.

    Args:
        redis_url: such as redis://localhost:6379/0, or a `redis.Redis` client with bytes replies.
        account: the account's name.
    """

    def __init__(self, redis_url: "str | redis.Redis", account: str = "default") -> None:
        self.account = account
        self.keys = AccountKeys(account)
        self._own = isinstance(redis_url, str)
        self._client: Any = (
            redis.Redis.from_url(
                redis_url,
                socket_connect_timeout=5,
                socket_timeout=_BLOCK + 10,
                retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), 3),
            )
            if isinstance(redis_url, str)
            else redis_url
        )

    def close(self) -> None:
        """Close the connections that this line opened."""
        if self._own:
            self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(
        self,
        *,
        to: str | Sequence[str],
        files: Sequence[str | Path],
        id: str | None = None,  # noqa: A002 - the contract's name
        priority: str = "normal",
        expires_at: str | None = None,
        in_doubt: str | None = None,
        attempts: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        **fax: Any,
    ) -> Job:
        """Check a fax, store its documents once, and push it. Pushing the same again is ignored by intake.

        Args:
            to: an E.164 number, or up to 15 (one job each, `ID.1` and so on).
            files: paths of local files, and http or https URLs that iFax can reach.
            id: the idempotency key; a UUID when not given.
            priority: urgent, normal or bulk.
            expires_at: ISO 8601 with an offset: not submitted by then, it fails.
            in_doubt: hold, resend or fail.
            attempts: most deliveries tried.
            metadata: up to 4 KB, echoed in every event.
            fax: further parameters of fax-send, by their documented names.

        Raises:
            EntryRejected: the fax breaks a rule; nothing was pushed.
            QueueUnavailable: Redis did not take it.
        """
        documents: dict[str, bytes] = {}
        items = [self._file(file, documents) for file in files]
        entry: dict[str, Any] = {
            "id": id or str(uuid4()),
            "priority": priority,
            "expires_at": expires_at,
            "in_doubt": in_doubt,
            "attempts": attempts,
            "metadata": dict(metadata) if metadata else None,
            "fax": {"faxNumber": to if isinstance(to, str) else list(to), "faxData": items, **fax},
        }
        text = json.dumps({k: v for k, v in entry.items() if v is not None}, ensure_ascii=False)
        parsed = parse_entry("send", text)
        assert isinstance(parsed, SendEntry)  # noqa: S101 - what its kind means
        check_send(parsed, documents.get)
        self._push("send", text, documents)
        return Job(id=parsed.id, account=self.account, state=JobState.INTAKE, priority=priority)

    def cancel(self, job: str) -> None:
        """Ask that a job is not sent; `fax.canceled` or `fax.cancel_refused` answers."""
        self._push_checked("cancel", {"id": job})

    def resend(self, job: str, *, to: str | None = None, id: str | None = None) -> Job:  # noqa: A002 - as above
        """Send a job again, to the same number or another, as a job of its own."""
        entry = {"id": id or str(uuid4()), "of": job, **({"faxNumber": to} if to else {})}
        self._push_checked("resend", entry)
        return Job(id=entry["id"], account=self.account, state=JobState.INTAKE, kind="resend", of=job)

    def job(self, job: str) -> Job:
        """The record of a job.

        Raises:
            JobNotFound: there is none.
        """
        record = self._client.hgetall(self.keys.job(job))
        if not record:
            raise JobNotFound(f"no job {job!r} on account {self.account!r}")
        return Job.from_record(self.account, job, {k.decode(): v.decode() for k, v in record.items()})

    def wait(self, job: "str | Job", timeout: float) -> Job:
        """Wait until a job has come to its end.

        Raises:
            JobRejected: intake rejected its entry.
            WaitTimeout: it did not end in the time (seconds) given.
        """
        name = job if isinstance(job, str) else job.id
        newest = self._client.xrevrange(self.keys.events, count=1)
        after = newest[0][0].decode() if newest else "0-0"
        try:
            found = self.job(name)
            if found.state.final:
                return found
        except JobNotFound:
            self._raise_if_rejected(name)
        for event in self.events(after=after, timeout=timeout):
            if event.job != name:
                continue
            if event.name == EventName.REJECTED:
                raise _rejected(event)
            found = self.job(name)
            if found.state.final:
                return found
        raise WaitTimeout(f"job {name!r} did not end within {timeout:g} s")

    def events(
        self,
        *,
        after: str = "$",
        group: str | None = None,
        consumer: str = "consumer",
        timeout: float | None = None,
    ) -> Iterator[Event]:
        """Follow the events.

        Args:
            after: a stream id, `0` for all that are kept, `$` for those to come. Not used with a group.
            group: read in a consumer group, from where it left off; an event is acknowledged when the next
                one is asked for, so one that was being worked on when the process died comes again.
            consumer: this reader's name in the group.
            timeout: seconds after which the iteration ends; None never.
        """
        until = time.monotonic() + timeout if timeout is not None else None
        if group is not None:
            yield from self._group_events(group, consumer, until)
            return
        last: Any = after
        if last == "$":
            newest = self._client.xrevrange(self.keys.events, count=1)
            last = newest[0][0] if newest else "0-0"
        while (block := _block(until)) is not None:
            for _, entries in self._client.xread({self.keys.events: last}, count=_PAGE, block=block) or []:
                for entry, fields in entries:
                    last = entry
                    yield Event.from_entry(entry, fields)

    def _group_events(self, group: str, consumer: str, until: float | None) -> Iterator[Event]:
        try:
            self._client.xgroup_create(self.keys.events, group, id="0", mkstream=True)
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        since = "0"  # first what was delivered and not acknowledged
        while (block := _block(until)) is not None:
            reply = self._client.xreadgroup(
                group, consumer, {self.keys.events: since}, count=_PAGE, block=block
            )
            entries = reply[0][1] if reply else []
            if not entries:
                since = ">"
            for entry, fields in entries:
                if fields:
                    yield Event.from_entry(entry, fields)
                self._client.xack(self.keys.events, group, entry)

    def _file(self, file: str | Path, documents: dict[str, bytes]) -> dict[str, str]:
        if isinstance(file, str) and file.startswith(("http://", "https://")):
            return {"fileName": file.rsplit("/", 1)[-1].split("?")[0] or "document", "fileUrl": file}
        path = Path(file)
        data = path.read_bytes()
        documents[digest(data)] = data
        return {"fileName": path.name, "document": digest(data)}

    def _push_checked(self, kind: str, entry: Mapping[str, Any]) -> None:
        text = json.dumps(entry)
        parse_entry(kind, text)
        self._push(kind, text, {})

    def _push(self, kind: str, text: str, documents: Mapping[str, bytes]) -> None:
        try:
            with self._client.pipeline(transaction=False) as pipe:
                for name, data in documents.items():
                    key = self.keys.document(name.removeprefix("sha256:"))
                    pipe.set(key, data, nx=True, ex=DOCUMENT_TTL)
                    pipe.expire(key, DOCUMENT_TTL, gt=True)
                pipe.xadd(self.keys.intake, {kind: text})
                pipe.execute()
        except redis.OutOfMemoryError:
            raise QueueUnavailable(
                "Redis is full and took nothing; push again later, with the same id"
            ) from None
        except redis.RedisError as error:
            raise QueueUnavailable(
                f"Redis did not answer ({type(error).__name__}); push again with the same id, which is safe"
            ) from None

    def _raise_if_rejected(self, job: str) -> None:
        """Look back through the kept events for the rejection of a job that has no record."""
        before = "+"
        while entries := self._client.xrevrange(self.keys.events, max=before, count=_PAGE):
            for entry, fields in entries:
                if fields[b"job"] == job.encode() and fields[b"event"] == b"fax.rejected":
                    raise _rejected(Event.from_entry(entry, fields))
            before = "(" + entries[-1][0].decode()


def _rejected(event: Event) -> JobRejected:
    data = event.data
    return JobRejected(data.get("member", ""), Rejection(data["reason"]), data.get("message", ""))


def _block(until: float | None) -> int | None:
    """Milliseconds for the next blocking read; None when the time is over."""
    if until is None:
        return round(_BLOCK * 1000)
    left = until - time.monotonic()
    return max(1, round(min(left, _BLOCK) * 1000)) if left > 0 else None
