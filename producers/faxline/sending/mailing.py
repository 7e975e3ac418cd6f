"""Send many faxes: all are checked before the first is pushed, and pushed in chunks of one round trip."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeAlias, overload
from uuid import uuid4

from redis.exceptions import RedisError

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
"""The most entries and bytes of one chunk (a single larger fax is a chunk of its own)."""

_NAMED_LATELY = 10.0
"""Seconds; much less than FAXLINE_DOCUMENT_GRACE, because a push may have to be tried again."""

Progress: TypeAlias = Callable[[int, int], object]
"""Called with the number of faxes done and their total."""


class PushedJobs(Sequence[Job]):
    """The jobs of a mailing. Each Job is made when it is asked for, which saves memory in large mailings."""

    def __init__(self) -> None:
        self._pushed: list[tuple[Any, ...]] = []
        self._like: Job | None = None

    def add(self, jobs: Iterable[Job]) -> None:
        """Append jobs of the same account."""
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
        assert self._like is not None  # noqa: S101 - set when the first job was added
        return replace(self._like, id=name, entry=entry, priority=priority, group=group, to=to, size=size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<{plural(len(self), 'job')}>"


@dataclass(frozen=True, slots=True)
class Mailing:
    """The faxes that `send_many` pushed. Give it to `wait`.

    Example:
        >>> mailing = line.send_many(faxes, group="june")
        >>> line.wait(mailing, timeout=3600).counts

    Attributes:
        jobs: a Job for each pushed fax, in their order.
        rejected: the invalid faxes, which were left out.
    """

    jobs: Sequence[Job]
    rejected: tuple[RejectedFax, ...] = ()


@dataclass(slots=True)
class _Checked:
    """The result of checking the faxes, which are read again for the push."""

    faxes: Iterable[Fax]
    group: str | None
    ids: list[str] = field(default_factory=list)
    rejected: list[RejectedFax] = field(default_factory=list)
    documents: Documents = field(default_factory=Documents)
    members: Counter[str] = field(default_factory=Counter)
    """How many faxes of each group are pushed."""

    @property
    def total(self) -> int:
        """How many faxes are pushed."""
        return len(self.ids) - len(self.rejected)

    def each(self) -> Iterator[tuple[int, str, Fax]]:
        """Yield each fax with its place and id, also the invalid ones."""
        for i, fax in enumerate(self.faxes):
            if i == len(self.ids):
                self.ids.append(_id(fax, i, self.group))
            own = {"group": self.group} if self.group is not None and fax.get("group") is None else {}
            whole: Any = {**fax, **own, "id": self.ids[i]}
            yield i, self.ids[i], whole

    def good(self, context: Context) -> Iterator[Prepared]:
        """Yield the valid faxes, ready for the push."""
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
    """Check all faxes, then push them."""
    checked: _Checked = yield RunInThread(partial(_check_all, faxes, context, group))
    if checked.rejected and not skip:
        raise FaxesRejected(checked.rejected, len(checked.ids))
    jobs, stored = PushedJobs(), dict[str, float]()
    chunks = _chunks(checked, context)
    try:
        while chunk := (yield RunInThread(partial(next, chunks, None))):
            entries = yield from _push(context, chunk, checked.documents, stored)
            jobs.add(replace(fax.job, entry=entry) for fax, entry in zip(chunk, entries, strict=True))
            if progress is not None:
                progress(len(jobs), checked.total)
    except _OURS as error:
        raise _interrupted(_why(error, context.place), len(jobs), checked) from None
    except Exception as error:  # raised by the faxes or by `progress`: the ids would be lost with it
        if not jobs:
            raise
        raise _interrupted(f"{type(error).__name__} was raised", len(jobs), checked) from error
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
    """The id of a fax: its own, or the group and the place, so that a repeated call names the same."""
    return fax.get("id") or (f"{group}.{index + 1}" if group is not None else str(uuid4()))


def _claim(job: Job, index: int, taken: dict[str, int]) -> None:
    """Reserve the id of a job, and those of the jobs that it stands for.

    Raises:
        EntryRejected: another fax of this call has the same id.
    """
    names = [job.id, *job_ids_of(job)] if job.size else [job.id]
    for name in names:
        if name in taken:
            text = f"{name} is also the id of fax {taken[name]} (this is fax {index}); an id names one fax"
            raise EntryRejected("id", Rejection.ID_REUSED, text)
    taken.update(dict.fromkeys(names, index))


def job_ids_of(job: Job) -> list[str]:
    """Return the ids of the jobs that a pushed Job stands for: ID.1 to ID.size, or its own."""
    return [f"{job.id}.{i}" for i in range(1, job.size + 1)] if job.size else [job.id]


def _chunks(checked: _Checked, context: Context) -> Iterator[list[Prepared]]:
    """Cut the faxes into chunks. A document counts for the first fax that needs it."""
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
    """Push a chunk in one transaction, so that a full Redis takes all of it or nothing.

    A document is uploaded once, and again if no entry named it for some seconds: all faxes that needed it may
    have ended since, and then it is deleted.
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


_OURS = (RedisError, EntryRejected, NotReplicated)
"""What is raised where Redis or a file is the cause."""


def _why(error: Exception, place: str) -> str:
    return trouble(error, place) if isinstance(error, RedisError) else str(error)


def _interrupted(what: str, pushed: int, checked: _Checked) -> PushInterrupted:
    """The error for a push that did not come to its end."""
    of = plural(checked.total, "fax was", "faxes were")
    text = (
        f"{what}: {pushed} of {of} certainly pushed; pushing all again with the same ids (`ids` of this "
        "error) is safe"
    )
    return PushInterrupted(text, pushed, checked.ids)
