"""Checks an entry and turns it into an item for the script `register`."""

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from faxline.contract.entries import (
    OF_DOCUMENTS,
    CancelEntry,
    Entry,
    ResendEntry,
    SealedEntry,
    SendEntry,
)
from faxline.contract.entry_reader import known_of, open_entry, parse_entry
from faxline.contract.errors import EntryRejected
from faxline.contract.fax_rules import check_send
from faxline.contract.fingerprint import digest_of, members_of, text_of
from faxline.contract.page_count import REQUEST_BYTES, Opened, open_document
from faxline.contract.phone_numbers import number_in
from faxline_worker.intake.documents import IntakeDocuments
from faxline_worker.intake.job_items import (
    COMPACT,
    COVER,
    fields_of,
    group_of,
    job_item,
    milliseconds_of,
    order_of,
)
from faxline_worker.intake.pdfs import Pdfs
from faxline_worker.state.store import Store


@dataclass(frozen=True)
class EntryItems:
    """Reads the entries of one account.

    Attributes:
        store: the account's state.
        documents: the documents that its entries name.
        pdfs: opens PDFs.
        hosts: the hosts that a fileUrl may name; empty allows any.
        caller_id: the account's sender number, E.164.
        schedule: who holds a fax until its send_at: `provider` (iFax) or `local` (Faxline).
        beat: called before each document is opened, to show that the thread is alive.
    """

    store: Store
    documents: IntakeDocuments
    pdfs: Pdfs
    hosts: tuple[str, ...]
    caller_id: str | None
    schedule: str
    beat: Callable[[], None]

    def read(self, entry: str, fields: Mapping[bytes, bytes]) -> "dict[str, Any] | CancelEntry":
        """Turn an entry into an item for `register`: its jobs, or the reason why it is rejected.

        A cancellation is returned as it is.

        Args:
            entry: the entry's stream id.
            fields: the entry's fields.

        Raises:
            OpenLater: a PDF takes long and is to be opened on another thread.
            KeyMissing: the entry, or a document of it, is sealed with a key that is not on the keyring.
            PdfReaderUnavailable: no PDF can be opened.
            redis.RedisError: Redis is away or refuses the command.
        """
        kind, raw = next(iter(fields.items()), (b"", b""))
        name = kind.decode("utf-8", "replace")
        parsed: Entry | None = None
        try:
            parsed = parse_entry(name if len(fields) == 1 else "several fields", raw)
            written = len(raw)
            # Most entries are sends. Testing for that first saves the slower tests of the other models.
            if not isinstance(parsed, SendEntry):
                if isinstance(parsed, CancelEntry):
                    return parsed
                if isinstance(parsed, SealedEntry):
                    parsed, written = open_entry(name, parsed, self.store.seals), REQUEST_BYTES
            jobs = self._send(parsed, written) if isinstance(parsed, SendEntry) else self._resend(parsed)
        except EntryRejected as error:
            known = known_of(name, raw, parsed, self.store.seals)
            reject = {
                "job": known.id,
                "member": error.member,
                "reason": str(error.reason),
                "message": error.message,
            }
            item: dict[str, Any] = {"entry": entry, "reject": reject, **group_of(parsed, known.group)}
            if known.metadata:
                item["metadata"] = COMPACT(known.metadata)
            if error.reason in OF_DOCUMENTS and isinstance(parsed, SendEntry):
                content = digest_of(parsed)  # a repeated entry's document may be deleted by now
                item["unless"] = [{"id": job, "digest": content} for job in parsed.jobs]
            return item
        return {"entry": entry, "name": parsed.id, "jobs": jobs, **group_of(parsed), **order_of(parsed)}

    def _send(self, entry: SendEntry, written: int) -> list[dict[str, Any]]:
        uploads: dict[str, list[str]] = {}
        for file in entry.fax.faxData:
            if file.document is not None and file.upload is not None:
                uploads.setdefault(file.document, []).append(file.upload)

        def document(name: str) -> Opened | None:
            self.beat()
            return self.documents.find(name, uploads, self._open)

        pages = check_send(entry, document, self.hosts, written=written, opener=self._open)
        fax = members_of(entry.fax)
        request = text_of(fax)
        content = digest_of(entry)
        if self._prepare(entry, fax):  # most requests stay as the entry has them
            request = text_of(fax)
        files, numbers, send_at = fax["faxData"], fax["faxNumber"], entry.send_at
        sender = fax.get("callerId") or self.caller_id
        documents = [file["document"].removeprefix("sha256:") for file in files if "document" in file]
        several = isinstance(numbers, list)
        values = {
            "kind": "send",
            "group": entry.id if several else entry.group,
            "expires_at": milliseconds_of(entry.expires),
            "in_doubt": entry.in_doubt,
            "attempts": entry.attempts,
            "send_at": milliseconds_of(send_at),
            "schedule": self.schedule if send_at else None,
            "documents": ",".join(dict.fromkeys(documents)) if documents else None,
            # If the job comes in doubt, a receipt with an unknown jobId is matched by its sender. Receipts
            # have it in E.164, so it is stored in E.164.
            "sender": number_in(sender) if sender else None,
            "known_pages": pages if pages.most is not None else None,
            # A retry lowers the quality if the far end cannot receive it. iFax's default is Standard.
            "quality": quality if (quality := fax.get("faxQuality")) != "Standard" else None,
            "cover": "1" if any(map(fax.get, COVER)) else None,
        }
        fields, seal = fields_of(entry, values), self.store.seals.request
        if not several:
            fields["number"], fields["request"] = numbers, seal(entry.id, request)
            return [job_item(entry.id, content, entry, fields)]
        jobs = []
        for name, number in zip(entry.jobs, numbers, strict=True):
            own = {"number": number, "request": seal(name, text_of(fax | {"faxNumber": number}))}
            jobs.append(job_item(name, content, entry, fields | own))
        return jobs

    def _open(self, data: bytes) -> Opened:
        self.beat()
        return open_document(data, self.pdfs.count)

    def _prepare(self, entry: SendEntry, fax: dict[str, Any]) -> bool:
        """Bring a request's members into the form in which they are stored; True if that changed any."""
        changed = False
        for file in fax["faxData"]:
            if "fileData" in file:  # stored once, as bytes
                file["document"] = self.documents.keep(base64.b64decode(file.pop("fileData")))
                changed = True
        send_at = entry.send_at
        if send_at is None:
            return changed
        if self.schedule == "local":
            del fax["send_at"]
        else:  # docs/ifax.md, Calls: UTC, as its sample has it
            utc = send_at.isoformat(timespec="milliseconds")
            fax["send_at"] = utc.removesuffix("+00:00") + "Z"
        return True

    def _resend(self, entry: ResendEntry) -> list[dict[str, Any]]:
        values = {"kind": "resend", "number": entry.faxNumber, "of": entry.of}
        return [job_item(entry.id, digest_of(entry), entry, fields_of(entry, values)) | {"of": entry.of}]
