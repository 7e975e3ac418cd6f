"""Intake, in memory: entries become jobs or are rejected, by the daemon's rules."""

import base64
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from faxline.contract.entries import OF_DOCUMENTS, CancelEntry, ResendEntry, SealedEntry, SendEntry
from faxline.contract.entry_members import milliseconds
from faxline.contract.entry_reader import known_of, open_entry, parse_entry
from faxline.contract.errors import EntryRejected, Rejection, SealBroken
from faxline.contract.fax_rules import check_send
from faxline.contract.fingerprint import digest_of
from faxline.contract.page_count import check_digest, digest
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.seals import Seals

if TYPE_CHECKING:
    from faxline.testing.daemon import Daemon


class _ReusedError(EntryRejected):
    """The id belongs to another job."""

    def __init__(self, job: str) -> None:
        text = "this id belongs to a job with other content; take a new id"
        super().__init__("id", Rejection.ID_REUSED, text)
        self.job = job


class Intake:
    """Takes the entries of one account.

    Args:
        client: a client of the line's Redis.
        keys: the account's Redis keys.
        seals: open sealed entries.
        daemon: keeps the jobs.
    """

    def __init__(self, client: Any, keys: RedisKeys, seals: Seals, daemon: "Daemon") -> None:
        self.entries: list[tuple[str, dict[str, Any]]] = []
        """The entries that were pushed: the kind and the content of each."""
        self.refused: dict[str, EntryRejected] = {}
        """Why the next push of an id is rejected."""
        self._client = client
        self._keys = keys
        self._seals = seals
        self._daemon = daemon

    def take(self, entry: str, fields: Mapping[bytes, bytes]) -> None:
        """Register or reject an entry.

        Raises:
            KeyMissing: it is sealed with a key that is not on the keyring. The daemon would set it aside.
        """
        field, raw = next(iter(fields.items()))
        kind, parsed = field.decode("utf-8", "replace"), None
        self._note(kind, raw)
        try:
            parsed = parse_entry(kind if len(fields) == 1 else "several fields", raw)
            if isinstance(parsed, SealedEntry):
                parsed = open_entry(kind, parsed, self._seals)
                self.entries[-1] = (kind, parsed.model_dump(mode="json", exclude_unset=True))
            if not isinstance(parsed, CancelEntry) and (refused := self.refused.pop(parsed.id, None)):
                raise refused
            match parsed:
                case SendEntry():
                    self._send(parsed)
                case ResendEntry():
                    self._resend(parsed)
                case CancelEntry():
                    self._daemon.cancel(parsed)
        except EntryRejected as error:
            if error.reason in OF_DOCUMENTS and isinstance(parsed, SendEntry) and self._is_repeat(parsed):
                return
            known = known_of(kind, raw, parsed, self._seals)
            job = error.job if isinstance(error, _ReusedError) else known.id
            said = {"member": error.member, "reason": str(error.reason), "message": error.message}
            self._daemon.reject(known._replace(id=job), entry, said)

    def _note(self, kind: str, raw: bytes) -> None:
        with suppress(ValueError, RecursionError):
            content = json.loads(raw)
            if isinstance(content, dict):
                self.entries.append((kind, content))

    def _send(self, entry: SendEntry) -> None:
        if entry.group and entry.group_size:
            size = self._keys.group_size(entry.group)
            self._client.delete(size)
            self._client.sadd(size, entry.group_size)
        uploads: dict[str, list[str]] = {}
        for file in entry.fax.faxData:
            if file.document is not None and file.upload is not None:
                uploads.setdefault(file.document, []).append(file.upload)
        pages = check_send(entry, lambda name: self._document(name, uploads.get(name, ())))
        documents = [file.document for file in entry.fax.faxData]
        for i, file in enumerate(entry.fax.faxData):
            if file.fileData is not None:
                data = base64.b64decode(file.fileData)
                documents[i] = name = digest(data)
                self._client.set(self._stored(name), self._seals.document(name, data))
        digests = [name.removeprefix("sha256:") for name in dict.fromkeys(filter(None, documents))]
        numbers = entry.fax.faxNumber
        several = isinstance(numbers, list)
        fresh = self._fresh(entry.jobs, entry)
        for job, number in zip(entry.jobs, numbers if isinstance(numbers, list) else [numbers], strict=True):
            if job in fresh:
                more = {
                    "kind": "send",
                    "number": number,
                    "group": entry.id if several else entry.group,
                    "expires_at": milliseconds(entry.expires) if entry.expires else None,
                    "send_at": milliseconds(entry.send_at) if entry.send_at else None,
                    "in_doubt": str(entry.in_doubt) if entry.in_doubt else None,
                    "known_pages": pages.least or 1,
                }
                self._daemon.store(job, entry, digest_of(entry), more, digests)

    def _stored(self, name: str) -> str:
        return self._keys.document(name.removeprefix("sha256:"))

    def _document(self, name: str, uploads: Iterable[str]) -> bytes | None:
        """The bytes of a document. An upload is stored under its digest."""
        uploaded = [self._client.getdel(self._keys.upload(upload)) for upload in uploads]
        for stored in (self._client.get(self._stored(name)), *uploaded):
            if stored is None:
                continue
            try:
                data = self._seals.open_document(name, stored)
            except SealBroken as error:
                raise EntryRejected("fax.faxData", Rejection.SEAL_BROKEN, str(error)) from None
            check_digest(name, data)
            self._client.set(self._stored(name), stored)
            return data
        return None

    def _resend(self, entry: ResendEntry) -> None:
        for job in self._fresh([entry.id], entry):
            origin = self._daemon.record(entry.of)
            if not origin.get("job_id"):
                why = "that job has no iFax jobId to resend" if origin else "no such job on this account"
                raise EntryRejected("of", Rejection.UNKNOWN_JOB, why)
            number = entry.faxNumber or origin["number"]
            more = {"kind": "resend", "number": number, "of": entry.of, "known_pages": origin["known_pages"]}
            self._daemon.store(job, entry, digest_of(entry), more)

    def _is_repeat(self, entry: SendEntry) -> bool:
        """Whether all of the entry's jobs exist, so that its documents are not needed."""
        return {self._daemon.record(job).get("digest") for job in entry.jobs} == {digest_of(entry)}

    def _fresh(self, jobs: Iterable[str], entry: SendEntry | ResendEntry) -> list[str]:
        """The jobs of an entry that do not exist yet.

        Raises:
            EntryRejected: a job exists with other content.
        """
        content = digest_of(entry)
        held = {job: self._daemon.record(job).get("digest") for job in jobs}
        for job, known in held.items():
            if known not in {None, content}:
                raise _ReusedError(job)
        return [job for job, known in held.items() if known is None]
