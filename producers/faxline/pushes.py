"""What is pushed onto the intake stream: one entry, in one transaction with the documents that it needs."""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import uuid4

from faxline.faxes import Documents, Fax, Prepared, prepare
from faxline.jobs import Job, JobState
from faxline.questions import Batch, Steps, Terms, Work


def sent(terms: Terms, fax: Fax) -> Steps[Job]:
    """Check a fax and push it."""

    def check() -> tuple[Prepared, str, dict[str, bytes]]:
        documents = Documents()
        prepared = prepare(fax, terms.account, documents)
        text = terms.seals.entry("send", {"id": prepared.job.id}, prepared.text)
        return prepared, text, sealed(terms, documents.contents(prepared.documents))

    prepared, text, contents = yield Work(check)
    entry = yield from _pushed(terms, "send", text, contents)
    pushed: Job = replace(prepared.job, entry=entry)
    return pushed


def sent_again(  # noqa: PLR0917 - the line's own, and what its method is given
    terms: Terms,
    job: str,
    to: str | None,
    name: str | None,
    priority: str,
    metadata: Mapping[str, Any] | None,
) -> Steps[Job]:
    """Push a `resend`."""
    given = {"id": name or str(uuid4()), "of": job, "priority": priority, "faxNumber": to}
    entry = {k: v for k, v in (given | {"metadata": metadata}).items() if v is not None}
    pushed = yield from ready_made(terms, "resend", entry)
    return Job(
        id=str(given["id"]),
        account=terms.account,
        state=JobState.INTAKE,
        priority=priority,
        kind="resend",
        of=job,
        entry=pushed,
    )


def ready_made(terms: Terms, kind: str, payload: Mapping[str, Any]) -> Steps[str]:
    """Push an entry that was made elsewhere, checked in its form; its stream id."""
    text = yield Work(partial(_checked, terms, kind, payload))
    return (yield from _pushed(terms, kind, text, {}))


def _checked(terms: Terms, kind: str, payload: Mapping[str, Any]) -> str:
    from faxline.entries import parse_entry  # noqa: PLC0415 - needs pydantic, which takes its time to load

    text = json.dumps(payload)
    parse_entry(kind, text)
    return terms.seals.entry(kind, payload, text)


def sealed(terms: Terms, documents: Mapping[str, bytes]) -> dict[str, bytes]:
    """Documents as they are stored."""
    return {name: terms.seals.document(name, data) for name, data in documents.items()}


def _pushed(terms: Terms, kind: str, text: str, documents: Mapping[str, bytes]) -> Steps[str]:
    """One transaction: a full Redis takes the documents and the entry, or neither.

    Retried after a lost reply it may add the entry twice, which intake ignores by the id.
    """

    def fill(pipe: Any) -> None:
        queue_documents(pipe, terms, documents)
        pipe.xadd(terms.keys.intake, {kind: text})

    entry: bytes = (yield Batch(fill, transaction=True, pushes=True, confirmation=terms.confirmation))[-1]
    return entry.decode()


def queue_documents(pipe: Any, terms: Terms, documents: Mapping[str, bytes]) -> None:
    """Queue what stores each document once and prolongs its life."""
    for name, data in documents.items():
        key = terms.keys.document(name.removeprefix("sha256:"))
        pipe.set(key, data, nx=True, px=terms.document_ttl)
        pipe.pexpire(key, terms.document_ttl, gt=True)
