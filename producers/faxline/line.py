"""`FaxLine`: push faxes and follow them."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

import redis
from redis.backoff import ExponentialWithJitterBackoff
from redis.retry import Retry

from faxline.account import AccountState, read_account_state
from faxline.checks import check_send
from faxline.connections import connect
from faxline.documents import digest
from faxline.entries import SendEntry, parse_entry
from faxline.errors import JobNotFound, WaitTimeout
from faxline.events import Event, EventName
from faxline.forecast import read_forecast
from faxline.health import Check, examine
from faxline.jobs import Job, JobState
from faxline.keys import ACCOUNTS, AccountKeys
from faxline.listing import OPEN, read_jobs
from faxline.operators import Operators
from faxline.orders import Order, give_order
from faxline.replies import asked, at_one_moment, entries_of

DOCUMENT_TTL = 7 * 86400
"""Seconds that a document is kept from its last push."""
_BLOCK = 5.0
_PAGE = 1000

File = str | Path | tuple[str, bytes]
"""A path, an http or https URL, or a name with its content."""


class FaxLine(Operators):
    """One account's line. Thread-safe.

    Args:
        redis_url: such as redis://localhost:6379/0 or redis+sentinel://host1,host2/service/0 (all forms:
            `faxline.connections`), or a `redis.Redis` client with bytes replies.
        account: the account's name.
        document_ttl: seconds that a document is kept from its last push.

    Raises:
        ValueError: the client decodes replies (documents are bytes), or the account's name is not one.
    """

    def __init__(
        self, redis_url: "str | redis.Redis", account: str = "default", *, document_ttl: float = DOCUMENT_TTL
    ) -> None:
        self.account = account
        self.keys = AccountKeys(account)
        self._own = isinstance(redis_url, str)
        self._client: Any = (
            connect(
                redis_url,
                socket_connect_timeout=5,
                socket_timeout=_BLOCK + 10,
                protocol=2,  # no HELLO, which a confined user may lack
                retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=1.0), 3),
            )
            if isinstance(redis_url, str)
            else redis_url
        )
        if self._client.get_encoder().decode_responses:
            raise ValueError("give a client with bytes replies (decode_responses=False): documents are bytes")
        self._document_ttl = round(document_ttl * 1000)
        patience = self._client.get_connection_kwargs().get("socket_timeout")
        self._longest = min(_BLOCK, patience / 2) if patience else _BLOCK  # a quiet stream is no dead server

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
        files: Sequence[File],
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
            files: paths of local files, http or https URLs that iFax can reach, or (name, bytes).
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
        entry_id = self._push("send", text, documents)
        return Job(
            id=parsed.id,
            account=self.account,
            state=JobState.INTAKE,
            priority=priority,
            group=None if isinstance(to, str) else parsed.id,
            entry=entry_id,
        )

    def push(self, kind: str, payload: Mapping[str, Any]) -> str:
        """Push a ready-made entry, checked in its form; the entry's id in the intake stream.

        Its documents are not opened and must be stored already. Pushing the same again is ignored by intake.

        Raises:
            EntryRejected: the entry breaks a rule; nothing was pushed.
            QueueUnavailable: Redis did not take it.
        """
        text = json.dumps(payload)
        parse_entry(kind, text)
        return self._push(kind, text, {})

    def cancel(self, job: str) -> None:
        """Ask that a job is not sent; `fax.canceled` or `fax.cancel_refused` answers."""
        self.push("cancel", {"id": job})

    def resend(
        self,
        job: str,
        *,
        to: str | None = None,
        id: str | None = None,  # noqa: A002 - as above
        priority: str = "normal",
        metadata: Mapping[str, Any] | None = None,
    ) -> Job:
        """Send a job again, to the same number or another, as a job of its own."""
        name = id or str(uuid4())
        entry = {"id": name, "of": job, "priority": priority, "faxNumber": to, "metadata": metadata}
        entry_id = self.push("resend", {k: v for k, v in entry.items() if v is not None})
        return Job(
            id=name,
            account=self.account,
            state=JobState.INTAKE,
            priority=priority,
            kind="resend",
            of=job,
            entry=entry_id,
        )

    def job(self, job: str) -> Job:
        """The record of a job; of a queued one with what holds it and when it is expected to start.

        Raises:
            JobNotFound: there is none.
            QueueUnavailable: Redis did not answer.
        """

        def questions(pipe: Any) -> None:
            pipe.hgetall(self.keys.job(job))
            pipe.zscore(self.keys.submitted, job)
            pipe.zscore(self.keys.in_doubt, job)
            pipe.hget(self.keys.account_state, "then")

        record, *deadlines, then = asked(lambda: at_one_moment(self._client, questions))
        found = self._read(job, record)
        if found.state is JobState.QUEUED:
            return replace(found, forecast=asked(lambda: read_forecast(self._client, self.keys, job)))
        until = next((at for at in deadlines if at is not None), None)
        return found.waiting(until, then.decode() if then else None)

    def jobs(self, *, state: str | None = None, limit: int = 100) -> list[Job]:
        """The jobs that have not come to their end, without their metadata, history and forecast.

        In doubt first (those held for an operator before the others), then submitting, submitted (the next
        deadline first) and queued (the next in line first, then those that wait for a retry).

        Args:
            state: in_doubt, submitting, submitted or queued; all of them when not given.
            limit: how many at most.

        Raises:
            ValueError: there is no list of that state, or the limit is below 1.
            QueueUnavailable: Redis did not answer.
        """
        if state is not None and state not in OPEN:
            raise ValueError(f"no list of {state!r}; there is one of {', '.join(OPEN)}")
        if limit < 1:
            raise ValueError("the limit is 1 or more")
        states = OPEN if state is None else (JobState(state),)
        return asked(lambda: read_jobs(self._client, self.keys, states, limit))

    def account_state(self) -> AccountState:
        """The account as a whole: its limits and what is used of them, its backlog, what holds it.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return asked(lambda: read_account_state(self._client, self.keys))

    def accounts(self) -> list[str]:
        """The names of all accounts that a dispatcher has run for, on this Redis.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        return sorted(name.decode() for name in asked(lambda: self._client.smembers(ACCOUNTS)))

    def checks(self) -> list[Check]:
        """What may be wrong with Redis, the dispatchers and the accounts, and what to do about it.

        Raises:
            QueueUnavailable: Redis did not answer.
        """
        names = sorted({*self.accounts(), self.account})
        return asked(lambda: list(examine(self._client, names)))

    def pause(self, *, by: str, timeout: float = 5.0) -> AccountState:
        """Close the account until `resume`: its jobs stay queued. The account's state after that.

        Args:
            by: who orders it, for the dispatcher's log.
            timeout: seconds to wait for a dispatcher.

        Raises:
            OrderTimeout: no dispatcher carried it out in time; the order stays for one that comes.
            QueueUnavailable: Redis did not answer.
        """
        give_order(self._client, self.keys, Order.PAUSE, by, timeout=timeout, longest=self._longest)
        return self.account_state()

    def resume(self, *, by: str, timeout: float = 5.0) -> AccountState:
        """Open a paused account, whatever the pause's reason. As `pause`."""
        give_order(self._client, self.keys, Order.RESUME, by, timeout=timeout, longest=self._longest)
        return self.account_state()

    def _record(self, job: str) -> Job:
        return self._read(job, asked(lambda: self._client.hgetall(self.keys.job(job))))

    def _read(self, job: str, record: Mapping[bytes, bytes]) -> Job:
        if not record:
            raise JobNotFound(f"no job {job!r} on account {self.account!r}")
        return Job.from_record(self.account, job, {k.decode(): v.decode() for k, v in record.items()})

    def wait(self, job: "str | Job", timeout: float) -> Job:
        """Wait until a job has come to its end.

        Raises:
            JobRejected: intake rejected its entry.
            WaitTimeout: it did not end in the time (seconds) given.
            QueueUnavailable: Redis did not answer.
            ValueError: the Job stands for several numbers: wait for `ID.1`, `ID.2` and so on.
        """
        name, pushed = (job, None) if isinstance(job, str) else (job.id, job.entry)
        if isinstance(job, Job) and job.group == name:
            raise ValueError(f"{name!r} is a group of jobs: wait for {name}.1, {name}.2 and so on")
        after = self._newest()  # before the look at the record, so that no event falls between
        found = self._found(name)
        if found is None or pushed is not None:
            self._raise_if_rejected(name, pushed)
        if found is not None and found.state.final:
            return found
        for event in self._tail(after, time.monotonic() + timeout):
            if event.job != name:
                continue
            if event.name == EventName.REJECTED and event.concerns(pushed):
                raise event.rejection()
            found = self._found(name)
            if found is not None and found.state.final:
                return found
        raise WaitTimeout(f"job {name!r} did not end within {timeout:g} s")

    def _found(self, job: str) -> Job | None:
        try:
            return self._record(job)
        except JobNotFound:
            return None

    def events(
        self,
        *,
        after: str = "$",
        group: str | None = None,
        consumer: str = "consumer",
        timeout: float | None = None,
    ) -> Iterator[Event]:
        """Follow the events, from the moment of this call on (not of the first `next`).

        Raises QueueUnavailable, here or while iterating, when Redis does not answer.

        Args:
            after: a stream id, `0` for all that are kept, `$` for those to come. Not used with a group.
            group: read in a consumer group, from where it left off; an event is acknowledged when the next
                one is asked for, so one that was being worked on when the process died comes again.
            consumer: this reader's name in the group.
            timeout: seconds after which the iteration ends; None never.
        """
        until = time.monotonic() + timeout if timeout is not None else None
        if group is not None:
            self._make_group(group)
            return self._group_events(group, consumer, until)
        return self._tail(self._newest() if after == "$" else after, until)

    def _newest(self) -> str:
        newest = asked(lambda: self._client.xrevrange(self.keys.events, count=1))
        return newest[0][0].decode() if newest else "0-0"

    def _tail(self, after: str, until: float | None) -> Iterator[Event]:
        last: Any = after
        while (block := self._block(until)) is not None:
            reply = asked(partial(self._client.xread, {self.keys.events: last}, count=_PAGE, block=block))
            for entry, fields in entries_of(reply):
                last = entry
                yield Event.from_entry(entry, fields)

    def _make_group(self, group: str) -> None:
        def create() -> None:
            try:
                self._client.xgroup_create(self.keys.events, group, id="0", mkstream=True)
            except redis.ResponseError as error:
                if "BUSYGROUP" not in str(error):
                    raise

        asked(create)

    def _group_events(self, group: str, consumer: str, until: float | None) -> Iterator[Event]:
        since = "0"  # first what was delivered and not acknowledged
        while (block := self._block(until)) is not None:
            streams = {self.keys.events: since}
            reply = asked(
                partial(self._client.xreadgroup, group, consumer, streams, count=_PAGE, block=block)
            )
            entries = entries_of(reply)
            if not entries:
                since = ">"
            for entry, fields in entries:
                if fields:
                    yield Event.from_entry(entry, fields)
                asked(partial(self._client.xack, self.keys.events, group, entry))

    def _block(self, until: float | None) -> int | None:
        """Milliseconds for the next blocking read; None when the time is over."""
        left = self._longest if until is None else until - time.monotonic()
        return max(1, round(min(left, self._longest) * 1000)) if left > 0 else None

    def _file(self, file: File, documents: dict[str, bytes]) -> dict[str, str]:
        if isinstance(file, str) and file.startswith(("http://", "https://")):
            return {"fileName": file.rsplit("/", 1)[-1].split("?")[0] or "document", "fileUrl": file}
        name, data = file if isinstance(file, tuple) else (Path(file).name, Path(file).read_bytes())
        documents[digest(data)] = data
        return {"fileName": name, "document": digest(data)}

    def _push(self, kind: str, text: str, documents: Mapping[str, bytes]) -> str:
        """One transaction: a full Redis takes the documents and the entry, or neither.

        Retried after a lost reply it may add the entry twice, which intake ignores by the id.
        """

        def push() -> str:
            with self._client.pipeline(transaction=True) as pipe:
                for name, data in documents.items():
                    key = self.keys.document(name.removeprefix("sha256:"))
                    pipe.set(key, data, nx=True, px=self._document_ttl)
                    pipe.pexpire(key, self._document_ttl, gt=True)
                pipe.xadd(self.keys.intake, {kind: text})
                entry: bytes = pipe.execute()[-1]
                return entry.decode()

        return asked(push)

    def _raise_if_rejected(self, job: str, pushed: str | None) -> None:
        """Look back through the kept events, to the time of the push if it is known, for the rejection."""
        before, since = "+", pushed.partition("-")[0] if pushed else "-"
        while entries := asked(partial(self._client.xrevrange, self.keys.events, before, since, count=_PAGE)):
            for entry, fields in entries:
                if fields[b"job"] == job.encode() and fields[b"event"] == b"fax.rejected":
                    event = Event.from_entry(entry, fields)
                    if event.concerns(pushed):
                        raise event.rejection()
            before = "(" + entries[-1][0].decode()
