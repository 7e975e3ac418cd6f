"""Push one entry onto the intake stream, in one transaction with its documents."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

from faxline.contract.phone_numbers import normalize_number
from faxline.contract.states import JobState
from faxline.contract.texts import mask_number
from faxline.reading.job import Job
from faxline.reading.lookup import find_group
from faxline.reading.open_jobs import BATCH
from faxline.sending.documents import Documents
from faxline.sending.fax import Fax, Prepared, prepare, text_of
from faxline.steps.commands import Context, Pipeline, RunInThread, Steps
from faxline.steps.redis_user import redis_user


def send_fax(context: Context, fax: Fax) -> Steps[Job]:
    """Check a fax and push it."""

    def check() -> tuple[Prepared, str, dict[str, bytes]]:
        documents = Documents()
        prepared = prepare(fax, context.account, documents, region=context.region)
        text = context.seals.entry("send", {"id": prepared.job.id}, prepared.text)
        return prepared, text, uploads(context, documents, prepared.documents)

    prepared, text, contents = yield RunInThread(check)
    entry = yield from _push(context, "send", prepared.job.id, text, contents)
    pushed: Job = replace(prepared.job, entry=entry)
    return pushed


def resend_job(  # noqa: PLR0917 - the arguments of the line's method
    context: Context,
    job: str,
    to: str | None,
    name: str | None,
    priority: str,
    metadata: Mapping[str, Any] | None,
    by: str | None,
) -> Steps[Job]:
    """Push a `resend`."""
    number: str | None = None
    if to is not None:
        number = yield RunInThread(partial(normalize_number, to, context.region, "faxNumber"))
    given = {"id": name or str(uuid4()), "of": job, "priority": priority, "faxNumber": number}
    entry = {k: v for k, v in (given | {"metadata": metadata}).items() if v is not None}
    entry |= yield from _who(by)
    pushed = yield from push_entry(context, "resend", entry)
    return Job(
        id=str(given["id"]),
        account=context.account,
        state=JobState.INTAKE,
        priority=priority,
        kind="resend",
        of=job,
        to=mask_number(number) if number is not None else None,
        entry=pushed,
    )


def cancel_group(context: Context, group: str, skip: Container[str], by: str | None) -> Steps[list[str]]:
    """Push a `cancel` for each open job of a group, except for `skip`, and return their ids.

    Raises:
        GroupNotFound: no job of it is known.
    """
    asked: list[str] = []

    def look(job: Job) -> None:
        if not job.state.final and job.id not in skip:
            asked.append(job.id)

    yield from find_group(context, group, look)
    yield from cancel_jobs(context, asked, by)
    return asked


def cancel_jobs(context: Context, names: Sequence[str], by: str | None) -> Steps[None]:
    """Push a `cancel` for each of these jobs."""
    who = (yield from _who(by)) if names else {}
    for start in range(0, len(names), BATCH):
        texts = [text_of({"id": name} | who) for name in names[start : start + BATCH]]

        def fill(pipe: Any, texts: list[str] = texts) -> None:
            for text in texts:
                pipe.xadd(context.keys.intake, {"cancel": text})

        yield Pipeline(fill, transaction=True, pushes=True, confirmation=context.confirmation)


def cancel_job(context: Context, job: str, by: str | None) -> Steps[None]:
    """Push a `cancel`."""
    yield from push_entry(context, "cancel", {"id": job} | (yield from _who(by)))


def _who(by: str | None) -> Steps[dict[str, str]]:
    """The members of an entry that say who asks: `by` and the Redis user."""
    user = yield from redis_user(pushing=True)
    return {name: text[:128] for name, text in (("by", by), ("user", user)) if text}


def push_entry(context: Context, kind: str, payload: Mapping[str, Any]) -> Steps[str]:
    """Check the form of an entry, push it, and return its stream id."""
    text = yield RunInThread(partial(_check, context, kind, payload))
    return (yield from _push(context, kind, payload.get("id"), text, {}))


def _check(context: Context, kind: str, payload: Mapping[str, Any]) -> str:
    from faxline.contract.entry_reader import parse_entry  # noqa: PLC0415 - pydantic, as in fax.py

    text = text_of(payload)
    parse_entry(kind, text)
    return context.seals.entry(kind, payload, text)


def uploads(context: Context, documents: Documents, names: Iterable[str]) -> dict[str, bytes]:
    """Seal documents for the upload, each under the name that its entries have."""
    contents = documents.contents(names)
    return {documents.upload(name): context.seals.document(name, data) for name, data in contents.items()}


def _push(
    context: Context, kind: str, name: str | None, text: str, contents: Mapping[str, bytes]
) -> Steps[str]:
    """Push in one transaction, so that a full Redis takes the documents and the entry, or neither.

    If the client retries after a lost reply, the entry may be added twice. Intake ignores the second one.
    """

    def fill(pipe: Any) -> None:
        queue_uploads(pipe, context, contents)
        pipe.xadd(context.keys.intake, {kind: text})

    confirmation = context.confirmation
    replies = yield Pipeline(fill, transaction=True, pushes=True, id=name, confirmation=confirmation)
    entry: bytes = replies[-1]
    return entry.decode()


def queue_uploads(pipe: Any, context: Context, contents: Mapping[str, bytes]) -> None:
    """Queue the uploads. Intake stores each document under its digest, where producers may not write."""
    for name, data in contents.items():
        pipe.set(context.keys.upload(name), data, px=context.document_ttl)
