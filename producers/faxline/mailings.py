"""Many faxes at once: all are checked before any is pushed, and then they go in chunks of one round trip."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeAlias
from uuid import uuid4

from faxline.errors import (
    EntryRejected,
    FaxesRejected,
    NotReplicated,
    PushInterrupted,
    RejectedFax,
    Rejection,
)
from faxline.faxes import Documents, Fax, Prepared, prepare
from faxline.jobs import Job
from faxline.pushes import queue_uploads, uploads
from faxline.questions import Batch, Steps, Terms, Work
from faxline.replies import trouble

_ENTRIES, _BYTES = 300, 16_000_000
"""Of one chunk, at most (but for one fax that is larger)."""

_NAMED_LATELY = 10.0
"""Seconds; much less than FAXLINE_DOCUMENT_GRACE, for a push may have to be tried again."""

Progress: TypeAlias = Callable[[int, int], object]
"""Is called with how many are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Mailing:
    """What `send_many` pushed; `wait` takes it.

    Attributes:
        jobs: a Job for each fax that was pushed, in the order of the faxes.
        rejected: the faxes that break a rule and were left out.
    """

    jobs: tuple[Job, ...]
    rejected: tuple[RejectedFax, ...] = ()


@dataclass(frozen=True, slots=True)
class _Checked:
    ids: tuple[str, ...]
    faxes: list[Prepared]
    rejected: list[RejectedFax]
    documents: Documents


def sent_many(
    terms: Terms, faxes: Iterable[Fax], group: str | None, *, skip: bool, progress: Progress | None
) -> Steps[Mailing]:
    """Check them all, then push them."""
    given = list(faxes)
    checked: _Checked = yield Work(partial(_check_all, given, terms, group))
    if checked.rejected and not skip:
        raise FaxesRejected(checked.rejected, len(given))
    total, jobs = len(checked.faxes), list[Job]()
    stored: dict[str, float] = {}
    for chunk in _chunks(checked):
        try:
            entries = yield from _pushed(terms, chunk, checked.documents, stored)
        except Exception as error:
            if interrupted := _interrupted(error, len(jobs), total, checked.ids):
                raise interrupted from None
            raise
        jobs += [replace(fax.job, entry=entry) for fax, entry in zip(chunk, entries, strict=True)]
        if progress is not None:
            progress(len(jobs), total)
    return Mailing(tuple(jobs), tuple(checked.rejected))


def _check_all(faxes: Sequence[Fax], terms: Terms, group: str | None) -> _Checked:
    checked = _Checked(tuple(_id(fax, i, group) for i, fax in enumerate(faxes)), [], [], Documents())
    taken: dict[str, int] = {}
    for i, (fax, name) in enumerate(zip(faxes, checked.ids, strict=True)):
        own = {"group": group} if group is not None and fax.get("group") is None else {}
        try:
            prepared = prepare(
                {**fax, **own, "id": name}, terms.account, checked.documents, region=terms.region
            )
            _claim(prepared.job, i, taken)
        except EntryRejected as error:
            checked.rejected.append(RejectedFax(i, name, error))
        except OSError as error:
            text = f"cannot read {error.filename}: {error.strerror}"
            told = EntryRejected("fax.faxData", Rejection.BAD_DOCUMENT, text)
            checked.rejected.append(RejectedFax(i, name, told))
        else:
            checked.faxes.append(prepared)
    return checked


def _id(fax: Fax, index: int, group: str | None) -> str:
    """The one given; else the group's name and the place, so that the same call again names the same jobs."""
    return fax.get("id") or (f"{group}.{index + 1}" if group is not None else str(uuid4()))


def _claim(job: Job, index: int, taken: dict[str, int]) -> None:
    """Take the id and those of the jobs that it stands for.

    Raises:
        EntryRejected: another fax of this call has one of them.
    """
    names = [job.id, *names_of(job)] if job.size else [job.id]
    for name in names:
        if name in taken:
            text = f"{name} is also the id of fax {taken[name]} (this is fax {index}); an id names one fax"
            raise EntryRejected("id", Rejection.ID_REUSED, text)
    taken.update(dict.fromkeys(names, index))


def names_of(job: Job) -> list[str]:
    """The ids of the jobs that a pushed Job stands for: ID.1 to ID.size, or its own."""
    return [f"{job.id}.{i}" for i in range(1, job.size + 1)] if job.size else [job.id]


def _chunks(checked: _Checked) -> Iterator[list[Prepared]]:
    """So many faxes, or fewer where they bring much content: a document weighs on the first that needs it."""
    chunk, size, seen = list[Prepared](), 0, set[str]()
    for fax in checked.faxes:
        weight = sum(checked.documents.size(name) for name in fax.documents if name not in seen)
        if chunk and (len(chunk) == _ENTRIES or (weight and size + weight > _BYTES)):
            yield chunk
            chunk, size = [], 0
        chunk.append(fax)
        size += weight
        seen.update(fax.documents)
    if chunk:
        yield chunk


def _pushed(
    terms: Terms, chunk: Sequence[Prepared], documents: Documents, stored: dict[str, float]
) -> Steps[list[str]]:
    """One transaction, as of a single fax: a full Redis takes all of the chunk, or nothing.

    A document's content is uploaded once, and again where no entry named it for some seconds: the faxes of
    those before may all have ended since, and it is gone soon after the last of them.
    """
    needed = dict.fromkeys(name for fax in chunk for name in fax.documents)
    now = time.monotonic()
    old = now - min(_NAMED_LATELY, terms.document_ttl / 4000)

    def contents() -> tuple[dict[str, bytes], list[str]]:
        fresh = [name for name in needed if stored.get(name, old) <= old]
        texts = [terms.seals.entry("send", {"id": fax.job.id}, fax.text) for fax in chunk]
        return uploads(terms, documents, fresh), texts

    fresh, texts = yield Work(contents)

    def fill(pipe: Any) -> None:
        queue_uploads(pipe, terms, fresh)
        for text in texts:
            pipe.xadd(terms.keys.intake, {"send": text})

    replies: list[Any] = yield Batch(fill, transaction=True, pushes=True, confirmation=terms.confirmation)
    stored.update(dict.fromkeys(needed, now))
    return [entry.decode() for entry in replies[-len(chunk) :]]


def _interrupted(error: Exception, pushed: int, total: int, ids: Sequence[str]) -> PushInterrupted | None:
    """What it means that a chunk could not be pushed; None for what is neither Redis' fault nor a file's."""
    from redis.exceptions import RedisError  # noqa: PLC0415 - `import faxline` is to be quick

    if not isinstance(error, RedisError | EntryRejected | NotReplicated):
        return None
    what = trouble(error) if isinstance(error, RedisError) else str(error)
    text = (
        f"{what}: {pushed} of {total} faxes were pushed for certain; push all again with the same ids "
        "(`ids` of this error), and none goes twice"
    )
    return PushInterrupted(text, pushed, ids)
