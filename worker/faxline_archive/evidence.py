"""Collects what the archive has of one fax, for its report and its proof."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping

from faxline.contract.errors import JobNotFound
from faxline.contract.wording import reason_in_words
from faxline_archive.fax_leaves import check_fax, leaves_of, private_of
from faxline_archive.gaps import Gap, gaps_about
from faxline_archive.merkle import leaf_hash, verify_consistency, verify_inclusion
from faxline_archive.privacy import Privacy
from faxline_archive.proof import Evidence, ProvedEntry, Signed
from faxline_archive.proof_story import BEGINNINGS
from faxline_archive.report import write_report
from faxline_archive.report_text import Delivery, Report, Seal
from faxline_archive.schema import EVENTS
from faxline_archive.search import fax_of, find_one, moment_of, opened
from faxline_archive.signing_key import SigningKey
from faxline_archive.tree_heads import ArchiveAltered, key_id, sign_head, signed_head, tree_of


def report_of(
    engine: Engine,
    account: str,
    job: str,
    privacy: Privacy,
    *,
    zone: tzinfo,
    paper: str,
    key: SigningKey | None,
) -> bytes:
    """The report of a fax.

    Args:
        engine: of `open_database`.
        account: the account's name.
        job: the fax' id.
        privacy: the account's.
        zone: in which times are shown.
        paper: A4 or Letter.
        key: the archive's key, so that the report names a checkpoint that has the fax.

    Raises:
        JobNotFound: the archive has no such fax, or it was erased.
        ArchiveAltered: the database was changed.
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    with engine.connect() as connection:
        fax, rows = _fax(connection, account, job, privacy)
        gaps = gaps_about(connection, fax, rows)
        head = signed_head(connection, account, key, above=rows[-1]["leaf"]) if key and rows else None
    return _report(fax, rows, gaps, privacy, zone, seal=_seal(rows, head, key), paper=paper)


def proof_of(
    engine: Engine, account: str, job: str, privacy: Privacy, key: SigningKey, *, zone: tzinfo, now_ms: int
) -> Evidence:
    """All that the proof of a fax holds. A checkpoint is signed first, so that it has each entry.

    Args:
        engine: of `open_database` with `writes`.
        account: the account's name.
        job: the fax' id.
        privacy: the account's.
        key: the archive's key.
        zone: in which the report shows times.
        now_ms: the time now, in milliseconds since 1970.

    Raises:
        JobNotFound: the archive has no such fax, or it was erased.
        ArchiveAltered: the database was changed.
        SigningKeyInvalid: another key signed the archive's newest checkpoint.
        sqlalchemy.exc.DBAPIError: the database is away or refuses.
    """
    head = sign_head(engine, account, key, now_ms, same_key=True)
    with engine.connect() as connection:
        fax, rows = _fax(connection, account, job, privacy)
        rows = [row for row in rows if head is not None and row["leaf"] < head.checkpoint.size]
        if head is None or not rows:
            raise JobNotFound(f"the archive of account {account} has no entries of {job}")
        gaps = gaps_about(connection, fax, rows)
        tree = tree_of(connection, account, head.checkpoint.size)
        proved = tuple(
            ProvedEntry(
                row["leaf"],
                row["body"].encode(),
                told.encode() if told else None,
                tree.inclusion(row["leaf"]),
            )
            for row, told in ((row, private_of(row, privacy)) for row in rows)
        )
        older = signed_head(connection, account, key, above=rows[-1]["leaf"])
        earlier = None
        if older is not None and older.checkpoint.size < head.checkpoint.size:
            earlier = (older, tree.consistency(older.checkpoint.size))
    if earlier is not None:
        then, path = earlier[0].checkpoint, earlier[1]
        if not verify_consistency(then.size, then.root, head.checkpoint.size, head.checkpoint.root, path):
            raise ArchiveAltered(
                f"the tree of account {account} did not grow from its checkpoint of {then.size} entries: "
                "somebody changed the database. Restore it from a backup, and compare their checkpoints"
            )
    for entry in proved:
        if not verify_inclusion(
            head.checkpoint.root, head.checkpoint.size, entry.leaf, leaf_hash(entry.body), entry.path
        ):
            raise ArchiveAltered(
                f"entry {entry.leaf} of account {account} is not the one that was archived: somebody changed "
                "the database. Restore it from a backup, and compare their checkpoints"
            )
    receipts = _receipts(opened(fax, privacy))
    report = _report(fax, rows, gaps, privacy, zone, seal=_seal(rows, older or head, key), paper="A4")
    return Evidence(account, job, proved, head, earlier, receipts, report, gaps)


def _fax(
    connection: Connection, account: str, job: str, privacy: Privacy
) -> tuple[RowMapping, list[RowMapping]]:
    """The row of a fax, and its entries in their order, which tell the same."""
    fax = find_one(connection, account, job)
    if fax is None:
        raise JobNotFound(f"the archive of account {account} has no fax {job}")
    rows = leaves_of(connection, fax, privacy)
    check_fax(fax, rows, opened(fax, privacy), privacy)
    return fax, rows


def _report(
    fax: RowMapping,
    rows: Sequence[RowMapping],
    gaps: Sequence[Gap],
    privacy: Privacy,
    zone: tzinfo,
    *,
    seal: Seal | None,
    paper: str,
) -> bytes:
    told = [_delivery(row["body"]) for row in rows if row["stream"] == EVENTS]
    tries = [found for found in told if found is not None]
    missing = [moment_of(gap.since) for gap in gaps]
    first = next((row["kind"] for row in rows if row["stream"] == EVENTS), None)
    begun = first in BEGINNINGS
    report = Report(fax_of(fax, privacy), tries, zone, datetime.now(UTC), seal, begun=begun, gaps=missing)
    return write_report(report, paper)


def _seal(rows: Sequence[RowMapping], head: Signed | None, key: SigningKey | None) -> Seal | None:
    if head is None or key is None or not rows:
        return None
    found = head.checkpoint
    return Seal(rows[0]["leaf"], rows[-1]["leaf"], found.size, found.root.hex(), found.at, key_id(key.public))


def _delivery(body: str) -> Delivery | None:
    """A try that an event tells of: a delivery that failed or succeeded, or a call that iFax refused."""
    fields = json.loads(body)["fields"]
    data = json.loads(fields.get("data") or "{}")
    event, reason = fields.get("event"), reason_in_words(str(data.get("reason") or ""))
    at = datetime.fromtimestamp(int(fields["at"]) / 1000, UTC)
    pages = f"{data.get('transferred') or 0} of {data['pages']}" if data.get("pages") is not None else ""
    if event == "fax.delivered":
        outcome = "partly delivered" if data.get("partial") else "delivered"
    elif event in {"fax.retrying", "fax.failed"}:
        outcome = reason if data.get("stage") == "delivery" else f"not taken by iFax: {reason}"
    elif event in {"fax.unconfirmed", "fax.in_doubt", "fax.canceled"}:
        outcome = reason_in_words(event.removeprefix("fax."))
    else:
        return None
    return Delivery(at, outcome, pages, data.get("jobId"))


def _receipts(private: Mapping[str, Any]) -> dict[str, bytes]:
    found = private.get("receipts")
    return {digest: text.encode() for digest, text in found.items()} if isinstance(found, dict) else {}
