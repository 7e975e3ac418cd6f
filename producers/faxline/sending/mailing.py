"""Many faxes at once: all are checked before any is pushed, and then they go in chunks of one round trip."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias, overload
from uuid import uuid4

from faxline.contract.errors import (
    EntryRejected,
    FaxesRejected,
    NotReplicated,
    PushInterrupted,
    RejectedFax,
    Rejection,
)
from faxline.contract.wording import plural
from faxline.reading.job import Job
from faxline.sending.documents import Documents
from faxline.sending.fax import Fax, Prepared, compose, prepare
from faxline.sending.push import queue_uploads, uploads
from faxline.steps.commands import Context, Pipeline, RunInThread, Steps
from faxline.steps.redis_errors import trouble

_ENTRIES, _BYTES = 300, 16_000_000
"""Of one chunk, at most (but for one fax that is larger)."""

_NAMED_LATELY = 10.0
"""Seconds; much less than FAXLINE_DOCUMENT_GRACE, for a push may have to be tried again."""

Progress: TypeAlias = Callable[[int, int], object]
"""Is called with how many are done, and of how many."""


class PushedJobs(Sequence[Job]):
    """The jobs of a mailing, each made when it is asked for, which saves the memory of a hundred thousand."""

    def __init__(self, jobs: Iterable[Job] = ()) -> None:
        self._pushed: list[tuple[Any, ...]] = []
        self._like: Job | None = None
        self.add(jobs)

    def add(self, jobs: Iterable[Job]) -> None:
        """Put these behind the others; they are of one account."""
        for job in jobs:
            self._like = self._like or job
            self._pushed.append((job.id, job.entry, job.priority, job.group, job.to, job.size))

    def __len__(self) -> int:
        return len(self._pushed)

    @overload
    def __getitem__(self, index: int) -> Job: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Job, ...]: ...

    def __getitem__(self, index: int | slice) -> Job | tuple[Job, ...]:
        if isinstance(index, slice):
            return tuple(map(self._job, self._pushed[index]))
        return self._job(self._pushed[index])

    def _job(self, pushed: tuple[Any, ...]) -> Job:
        name, entry, priority, group, to, size = pushed
        assert self._like is not None  # noqa: S101 - it was there when the first was added
        return replace(self._like, id=name, entry=entry, priority=priority, group=group, to=to, size=size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{plural(len(self), 'job')}>"


@dataclass(frozen=True, slots=True)
class Mailing:
    """What `send_many` pushed; `wait` takes it.

    Attributes:
        jobs: a Job for each fax that was pushed, in the order of the faxes.
        rejected: the faxes that break a rule and were left out.
    """

    jobs: Sequence[Job]
    rejected: tuple[RejectedFax, ...] = ()


@dataclass(slots=True)
class _Checked:
    """What the check leaves of the faxes, which are read again for the push."""

    faxes: Iterable[Fax]
    group: str | None
    ids: list[str] = field(default_factory=list)
    rejected: list[RejectedFax] = field(default_factory=list)
    documents: Documents = field(default_factory=Documents)
    members: Counter[str] = field(default_factory=Counter)
    """How many are pushed with a group's name."""

    @property
    def total(self) -> int:
        """How many are pushed."""
        return len(self.ids) - len(self.rejected)

    def each(self) -> Iterator[tuple[int, str, Fax]]:
        """Each fax with its place and its id, also those that break a rule."""
        for i, fax in enumerate(self.faxes):
            if i == len(self.ids):
                self.ids.append(_id(fax, i, self.group))
            own = {"group": self.group} if self.group is not None and fax.get("group") is None else {}
            whole: Any = {**fax, **own, "id": self.ids[i]}
            yield i, self.ids[i], whole

    def good(self, context: Context) -> Iterator[Prepared]:
        """Those that break none, ready for the push."""
        left_out = {fax.index for fax in self.rejected}
        for i, _, fax in self.each():
            if i not in left_out:
                size = self.members.get(fax.get("group") or "")
                yield compose(
                    fax,
                    context.account,
                    self.documents,
                    region=context.region,
                    size=None if _several(fax) else size,
                )


def send_many(
    context: Context, faxes: Iterable[Fax], group: str | None, *, skip: bool, progress: Progress | None
) -> Steps[Mailing]:
    """Check them all, then push them: what can be gone through twice is not copied."""
    checked: _Checked = yield RunInThread(partial(_check_all, faxes, context, group))
    if checked.rejected and not skip:
        raise FaxesRejected(checked.rejected, len(checked.ids))
    jobs, stored = PushedJobs(), dict[str, float]()
    chunks = _chunks(checked, context)
    while chunk := (yield RunInThread(partial(next, chunks, None))):
        try:
            entries = yield from _push(context, chunk, checked.documents, stored)
        except Exception as error:
            if interrupted := _interrupted(error, len(jobs), checked.total, checked.ids, context.place):
                raise interrupted from None
            raise
        jobs.add(replace(fax.job, entry=entry) for fax, entry in zip(chunk, entries, strict=True))
        if progress is not None:
            progress(len(jobs), checked.total)
    return Mailing(jobs, tuple(checked.rejected))


def _check_all(faxes: Iterable[Fax], context: Context, group: str | None) -> _Checked:
    checked = _Checked(list(faxes) if isinstance(faxes, Iterator) else faxes, group)
    taken: dict[str, int] = {}
    for i, name, fax in checked.each():
        try:
            prepared = prepare(fax, context.account, checked.documents, region=context.region)
            _claim(prepared.job, i, taken)
        except EntryRejected as error:
            checked.rejected.append(RejectedFax(i, name, error))
        except OSError as error:
            text = f"cannot read {error.filename}: {error.strerror}"
            unreadable = EntryRejected("fax.faxData", Rejection.BAD_DOCUMENT, text)
            checked.rejected.append(RejectedFax(i, name, unreadable))
        else:
            if prepared.job.group and not prepared.job.size:
                checked.members[prepared.job.group] += 1
    return checked


def _several(fax: Fax) -> bool:
    return not isinstance(fax.get("to"), str)


def _id(fax: Fax, index: int, group: str | None) -> str:
    """The one given; else the group's name and the place, so that the same call again names the same jobs."""
    return fax.get("id") or (f"{group}.{index + 1}" if group is not None else str(uuid4()))


def _claim(job: Job, index: int, taken: dict[str, int]) -> None:
    """Take the id and those of the jobs that it stands for.

    Raises:
        EntryRejected: another fax of this call has one of them.
    """
    names = [job.id, *job_ids_of(job)] if job.size else [job.id]
    for name in names:
        if name in taken:
            text = f"{name} is also the id of fax {taken[name]} (this is fax {index}); an id names one fax"
            raise EntryRejected("id", Rejection.ID_REUSED, text)
    taken.update(dict.fromkeys(names, index))


def job_ids_of(job: Job) -> list[str]:
    """The ids of the jobs that a pushed Job stands for: ID.1 to ID.size, or its own."""
    return [f"{job.id}.{i}" for i in range(1, job.size + 1)] if job.size else [job.id]


def _chunks(checked: _Checked, context: Context) -> Iterator[list[Prepared]]:
    """So many faxes, or fewer where they bring much content: a document weighs on the first that needs it."""
    chunk, size, seen = list[Prepared](), 0, set[str]()
    for fax in checked.good(context):
        weight = sum(checked.documents.size(name) for name in fax.documents if name not in seen)
        if chunk and (len(chunk) == _ENTRIES or (weight and size + weight > _BYTES)):
            yield chunk
            chunk, size = [], 0
        chunk.append(fax)
        size += weight
        seen.update(fax.documents)
    if chunk:
        yield chunk


def _push(
    context: Context, chunk: Sequence[Prepared], documents: Documents, stored: dict[str, float]
) -> Steps[list[str]]:
    """One transaction, as of a single fax: a full Redis takes all of the chunk, or nothing.

    A document's content is uploaded once, and again where no entry named it for some seconds: the faxes of
    those before may all have ended since, and it is gone soon after the last of them.
    """
    needed = dict.fromkeys(name for fax in chunk for name in fax.documents)
    now = time.monotonic()
    old = now - min(_NAMED_LATELY, context.document_ttl / 4000)

    def contents() -> tuple[dict[str, bytes], list[str]]:
        fresh = [name for name in needed if stored.get(name, old) <= old]
        texts = [context.seals.entry("send", {"id": fax.job.id}, fax.text) for fax in chunk]
        return uploads(context, documents, fresh), texts

    fresh, texts = yield RunInThread(contents)

    def fill(pipe: Any) -> None:
        queue_uploads(pipe, context, fresh)
        for text in texts:
            pipe.xadd(context.keys.intake, {"send": text})

    replies: list[Any] = yield Pipeline(
        fill, transaction=True, pushes=True, confirmation=context.confirmation
    )
    stored.update(dict.fromkeys(needed, now))
    return [entry.decode() for entry in replies[-len(chunk) :]]


def _interrupted(
    error: Exception, pushed: int, total: int, ids: Sequence[str], place: str
) -> PushInterrupted | None:
    """What it means that a chunk could not be pushed; None for what is neither Redis' fault nor a file's."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - `import faxline` is to be quick

    if not isinstance(error, RedisError | EntryRejected | NotReplicated):
        return None
    what = trouble(error, place) if isinstance(error, RedisError) else str(error)
    of = plural(total, "fax was", "faxes were")
    text = (
        f"{what}: {pushed} of {of} pushed for certain; push all again with the same ids "
        "(`ids` of this error), and none goes twice"
    )
    return PushInterrupted(text, pushed, ids)
