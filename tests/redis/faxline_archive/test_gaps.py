"""Where events are missing, no fax gets what another one did, and what is not whole says so."""

import json
from collections.abc import Mapping
from datetime import UTC
from typing import Any

import pypdfium2
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from faxline.reading.archived import ArchivedFax, Verdict, Wanted
from faxline_archive.entries import read_entry
from faxline_archive.evidence import proof_of, report_of
from faxline_archive.fax_leaves import events_of
from faxline_archive.leaves import canonical_json, text_hash
from faxline_archive.progress import Read
from faxline_archive.proof import write_proof
from faxline_archive.proof_zip import unpack
from faxline_archive.records import Record
from faxline_archive.search import find, find_one, moment_of
from faxline_archive.signing_key import SigningKey
from faxline_archive.verify import verify
from faxline_archive.writer import write
from tests.stage.archives import BEGIN, StagedArchive

KEY = SigningKey(Ed25519PrivateKey.from_private_bytes(bytes(32)))
DAY = 86_400_000
NEXT = BEGIN + 40 * DAY
"""When the id is used again."""
RECEIPT = '{"jobId":999,"toNumber":"+12025550199"}'
RADIOLOGY = Record(to="+12025550123", kind="send", metadata={"for": "radiology"}, created_at=BEGIN)
BILLING = Record(
    *("+12025550199", None, "send"),
    metadata={"for": "billing"},
    created_at=NEXT,
    receipts={text_hash(RECEIPT): RECEIPT},
)
DELIVERED = {"state": "delivered", "jobId": 999, "pages": 1, "transferred": 1, "receipt": text_hash(RECEIPT)}
Event = tuple[int, str, Mapping[str, Any]]


class Stream:
    """The events of an account, as an archive reads them page by page."""

    def __init__(self, staged: StagedArchive) -> None:
        self._staged = staged
        self._mark = ""
        self._told = 0

    def page(self, *events: Event, record: Record | None = None, lost: int = 0, job: str = "daily") -> None:
        """Write a page about one job, whose record is as it is then."""
        found = []
        for number, (at, name, data) in enumerate(events, self._told):
            fields = {"event": f"fax.{name}", "job": job, "at": str(at), "data": canonical_json(data)}
            found.append(read_entry("default", "events", f"{at}-{number}", fields))
        after = f"{found[-1].id} {int((self._mark or '- 0').split()[1]) + lost + len(found)}"
        read = Read("default", "events", self._mark, after, found, lost)
        records = {("default", job): record} if record is not None else {}
        write(self._staged.engine, [read], records, {"default": self._staged.privacy()})
        self._mark = after
        self._told += len(found)


@pytest.fixture
def stream(staged: StagedArchive) -> Stream:
    return Stream(staged)


def queued(at: int) -> Event:
    return at, "queued", {"state": "queued", "attempt": 0}


def submitted(at: int, job_id: int) -> Event:
    return at + 5000, "submitted", {"state": "submitted", "attempt": 1, "jobId": job_id}


def delivered(at: int) -> Event:
    return at + 9000, "delivered", DELIVERED


def failed(at: int) -> Event:
    return at + 9000, "failed", {"state": "failed", "jobId": 111, "reason": "busy", "stage": "delivery"}


def faxes_of(staged: StagedArchive) -> list[tuple[str | None, Any, str]]:
    """The recipient, the metadata and the state of each fax, the first one queued first."""
    found: list[ArchivedFax] = list(find(staged.engine, "default", Wanted(), staged.privacy()))
    return [(fax.numbers.to, fax.metadata.get("for"), fax.state) for fax in reversed(found)]


def report(staged: StagedArchive, job: str = "daily") -> str:
    pdf = report_of(staged.engine, "default", job, staged.privacy(), zone=UTC, paper="A4", key=None)
    return str(pypdfium2.PdfDocument(pdf)[0].get_textpage().get_text_bounded())


def prove(staged: StagedArchive, job: str = "daily") -> Verdict:
    at = NEXT + DAY
    evidence = proof_of(staged.engine, "default", job, staged.privacy(), KEY, zone=UTC, now_ms=at)
    now = moment_of(at)
    assert now is not None
    return verify(unpack(write_proof(evidence, KEY, now)), KEY.public)


def shown(staged: StagedArchive) -> list[tuple[str, Any]]:
    """The events that a page shows of the last fax with the id, each with its jobId."""
    with staged.engine.connect() as connection:
        fax = find_one(connection, "default", "daily")
        assert fax is not None
        found = events_of(connection, fax, staged.privacy())
    told = [json.loads(row["body"])["fields"] for row in found]
    return [(fields["event"], json.loads(fields["data"]).get("jobId")) for fields in told]


def test_a_delivery_whose_beginning_is_in_a_gap_is_not_that_of_the_fax_before(
    staged: StagedArchive, stream: Stream
) -> None:
    stream.page(queued(BEGIN), submitted(BEGIN, 111), failed(BEGIN), record=RADIOLOGY)
    stream.page(submitted(NEXT, 999), delivered(NEXT), record=BILLING, lost=1)
    assert faxes_of(staged) == [
        ("+12025550123", "radiology", "failed"),
        ("+12025550199", "billing", "delivered"),
    ]
    assert "the archive does not have its beginning" in report(staged)
    proof = prove(staged)
    assert proof.fails == []
    assert proof.incomplete == ["The archive does not have the beginning of this fax."]
    assert (proof.recipient, proof.state, proof.began) == ("+12025550199", "delivered", None)
    assert shown(staged) == [("fax.submitted", 999), ("fax.delivered", 999)]


def test_a_fax_whose_end_is_in_a_gap_does_not_get_that_of_the_next_one(
    staged: StagedArchive, stream: Stream
) -> None:
    stream.page(queued(BEGIN), submitted(BEGIN, 111), record=RADIOLOGY)
    stream.page(queued(NEXT), submitted(NEXT, 999), delivered(NEXT), record=BILLING, lost=1)
    assert faxes_of(staged) == [
        ("+12025550123", "radiology", "submitted"),
        ("+12025550199", "billing", "delivered"),
    ]
    assert "Incomplete" not in report(staged)
    proof = prove(staged)
    assert (proof.fails, proof.incomplete, proof.recipient) == ([], [], "+12025550199")


def test_an_event_after_a_gap_is_of_a_fax_of_its_own_where_no_record_and_no_job_id_tells_whose(
    staged: StagedArchive, stream: Stream
) -> None:
    stream.page(queued(BEGIN), submitted(BEGIN, 111), record=RADIOLOGY)
    stream.page(submitted(BEGIN, 5), job="another", lost=3)
    stream.page(delivered(NEXT))  # a later page, which lacks nothing itself
    found = [fax for fax in faxes_of(staged) if fax[0] != "another"]
    assert ("+12025550123", "radiology", "submitted") in found
    assert (None, None, "delivered") in found
    assert prove(staged).recipient is None
    assert "To not known" in report(staged).replace("\r\n", " ")


def test_an_event_after_a_gap_is_of_the_fax_whose_job_id_it_has_and_the_gap_is_told(
    staged: StagedArchive, stream: Stream
) -> None:
    stream.page(queued(BEGIN), submitted(BEGIN, 999), record=RADIOLOGY)
    stream.page(delivered(BEGIN), lost=2)
    assert faxes_of(staged) == [("+12025550123", "radiology", "delivered")]
    when = "2026-10-27 11:20:05 UTC"
    assert f"events of this account were lost after {when}" in report(staged)
    proof = prove(staged)
    assert proof.good
    assert proof.incomplete == [f"Events of this account were lost after {when}, perhaps some of this fax."]


def test_a_gap_is_told_of_a_fax_that_may_have_ended_in_it_and_not_of_one_that_had_ended(
    staged: StagedArchive, stream: Stream
) -> None:
    stream.page(queued(BEGIN), submitted(BEGIN, 5), record=RADIOLOGY, job="open")
    stream.page(queued(BEGIN), submitted(BEGIN, 111), failed(BEGIN), record=RADIOLOGY)
    stream.page(queued(NEXT), lost=9, record=BILLING, job="later")
    assert "Incomplete" in report(staged, "open")
    assert len(prove(staged, "open").incomplete) == 1
    for job in ("daily", "later"):
        assert "Incomplete" not in report(staged, job)
        assert prove(staged, job).incomplete == []


def test_a_rejected_entry_is_no_fax_where_a_record_has_its_id(staged: StagedArchive, stream: Stream) -> None:
    """The archive was switched on while the fax was under way."""
    entry = {"state": "rejected", "reason": "id_reused", "metadata": {"for": "billing"}}
    own = Record(to="+12025550123", kind="send", metadata={"for": "radiology"}, created_at=BEGIN)
    stream.page((BEGIN + 1000, "rejected", entry), delivered(BEGIN), record=own)
    assert faxes_of(staged) == [("+12025550123", "radiology", "delivered")]
    assert len(prove(staged).incomplete) == 1


def test_a_rejected_entry_whose_fax_has_no_record_any_more_does_not_become_that_fax(
    staged: StagedArchive, stream: Stream
) -> None:
    entry = {"state": "rejected", "reason": "id_reused", "metadata": {"for": "billing"}}
    stream.page((BEGIN + 1000, "rejected", entry), delivered(BEGIN))
    assert faxes_of(staged) == [(None, "billing", "rejected"), (None, None, "delivered")]
    assert prove(staged).good


def test_a_fax_of_which_redis_had_lost_the_record_goes_on(staged: StagedArchive, stream: Stream) -> None:
    stream.page(queued(BEGIN), record=RADIOLOGY)
    again = Record(kind="resend", created_at=BEGIN + 3000)  # as `recover` makes it for a lost call
    stream.page(submitted(BEGIN, 999), delivered(BEGIN), record=again)
    assert faxes_of(staged) == [("+12025550123", "radiology", "delivered")]
    assert prove(staged).incomplete == []


def test_a_call_that_was_archived_ahead_of_its_fax_is_in_its_proof_and_no_call_of_another_one(
    staged: StagedArchive, stream: Stream
) -> None:
    """The archive is behind: it reads the audit ahead of the events."""

    def calls(mark: str, *moments: int) -> None:
        found = [
            read_entry("default", "audit", f"{at}-0", {"at": str(at), "what": "fax-send", "job": "daily"})
            for at in moments
        ]
        read = Read("default", "audit", mark, f"{moments[-1]}-0 {moments[-1]}", found)
        write(staged.engine, [read], {}, {"default": staged.privacy()})

    calls("", BEGIN + 4000, NEXT + 4000)
    stream.page(queued(BEGIN), submitted(BEGIN, 111), failed(BEGIN), record=RADIOLOGY)
    stream.page(queued(NEXT), submitted(NEXT, 999), delivered(NEXT), record=BILLING)
    at = NEXT + DAY
    evidence = proof_of(staged.engine, "default", "daily", staged.privacy(), KEY, zone=UTC, now_ms=at)
    assert [entry.leaf for entry in evidence.entries] == [1, 5, 6, 7]
    assert prove(staged).good
