"""What a report says, in words for people. No layout."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from faxline.contract.wording import plural, reason_in_words
from faxline.reading.archived import ArchivedFax
from faxline_archive.report_fonts import BASES, FALLBACKS

_MOST_DOCUMENTS, _MOST_METADATA, _MOST_GAPS = 3, 3, 3


@dataclass(frozen=True, slots=True)
class Delivery:
    """One try: iFax's call to the recipient, or a request that iFax refused.

    Attributes:
        at: when its outcome was known.
        outcome: in words, such as `no answer` or `delivered`.
        pages: such as `3 of 3`.
        job_id: iFax's jobId.
    """

    at: datetime
    outcome: str
    pages: str = ""
    job_id: int | None = None


@dataclass(frozen=True, slots=True)
class Seal:
    """Where the fax is in the archive.

    Attributes:
        first, last: the numbers of its first and last leaf.
        size, root, at: the checkpoint.
        key: the SHA-256 of the public key, as hexadecimal digits.
    """

    first: int
    last: int
    size: int
    root: str
    at: datetime
    key: str


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says.

    Attributes:
        fax: the fax, with its full numbers and names.
        deliveries: in their order.
        zone: in which times are shown.
        made_at: when the report is made.
        seal: its place in the archive, if a checkpoint has it.
        begun: whether the archive has the event by which it began.
        gaps: where events may be missing: the times after which some of the account were lost; None if that
            is not known.
    """

    fax: ArchivedFax
    deliveries: Sequence[Delivery]
    zone: tzinfo
    made_at: datetime
    seal: Seal | None = None
    begun: bool = True
    gaps: Sequence[datetime | None] = ()
    bases: tuple[tuple[str, str], ...] = field(default=BASES, repr=False)
    fallbacks: tuple[str, ...] = field(default=FALLBACKS, repr=False)


def outcome_of(fax: ArchivedFax) -> tuple[str, str]:
    """How a fax ended: one word, and one sentence."""
    why = f" ({reason_in_words(fax.reason)})" if fax.reason else ""
    if fax.state == "delivered":
        if fax.pages is None:
            return "Delivered", "The recipient's machine received the fax."
        if fax.partial:
            return "Partly delivered", f"The recipient's machine received {pages_of(fax)} pages."
        all_of = "the one page" if fax.pages == 1 else f"all of {plural(fax.pages, 'page', 'pages')}"
        return "Delivered", f"The recipient's machine received {all_of}."
    return {
        "failed": ("Failed", f"The fax was not delivered{why}."),
        "canceled": ("Canceled", "The fax was canceled before it was sent."),
        "unconfirmed": ("Unconfirmed", "iFax took the fax. No receipt came, so its end is not known."),
        "in_doubt": ("In doubt", "It is not known whether iFax took the fax."),
        "submitted": ("On its way", "iFax took the fax. Its end is not known yet."),
    }.get(fax.state, ("Not sent yet", "The fax waits to be sent."))


def pages_of(fax: ArchivedFax) -> str:
    """The pages that were sent, of all: `3 of 3`."""
    if fax.pages is None and fax.transferred is None:
        return ""
    known = ["…" if count is None else str(count) for count in (fax.transferred, fax.pages)]
    return " of ".join(known)


def duration_of(fax: ArchivedFax) -> str:
    """How long the call took, as the receipt says: `1 min 12 s`."""
    if fax.call_started_at is None or fax.call_ended_at is None:
        return ""
    seconds = max(0, round((fax.call_ended_at - fax.call_started_at).total_seconds()))
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def moment(at: datetime | None, zone: tzinfo) -> str:
    """A time with its zone: `2026-11-30 14:03:12 CET (UTC+01:00)`."""
    if at is None:
        return ""
    local = at.astimezone(zone)
    offset = f"{local:%z}"
    name = local.tzname() or ""
    shown = f"UTC{offset[:3]}:{offset[3:5]}"
    return f"{local:%Y-%m-%d %H:%M:%S} " + (
        name if name == "UTC" else f"{name} ({shown})" if name.isalpha() else shown
    )


def facts(report: Report) -> list[tuple[str, str]]:
    """What the report says about the fax: a label and a value each; empty values are left out."""
    fax, numbers = report.fax, report.fax.numbers
    shown = list(fax.metadata.items())[:_MOST_METADATA]
    more = len(fax.metadata) - len(shown)
    return [
        *missing(report),
        ("To", numbers.to or "not known"),
        ("Recipient", numbers.to_name or ""),
        ("From", numbers.sender or ""),
        ("Sender", numbers.from_name or ""),
        ("Pages sent", pages_of(fax)),
        ("Call began", moment(fax.call_started_at, report.zone)),
        ("Call lasted", duration_of(fax)),
        ("Queued", moment(fax.queued_at if report.begun else None, report.zone)),
        ("Scheduled for", moment(fax.send_at, report.zone)),
        ("Taken by iFax", moment(fax.submitted_at, report.zone)),
        ("Ended", moment(fax.ended_at, report.zone)),
        ("Fax id", fax.id),
        ("Resend of", fax.of or ""),
        ("Group", fax.group or ""),
        *((str(name)[:24], str(value)) for name, value in shown),
        ("", f"and {plural(more, 'more member', 'more members')} of metadata" if more else ""),
    ]


def missing(report: Report) -> list[tuple[str, str]]:
    """What the archive lacks, in the same form. Of many gaps the first ones."""
    told = [] if report.begun else ["the archive does not have its beginning"]
    for at in report.gaps[:_MOST_GAPS]:
        when = f"after {moment(at, report.zone)}" if at else "at an unknown time"
        told.append(f"events of this account were lost {when}")
    if more := len(report.gaps) - _MOST_GAPS:
        told += [f"and {plural(more, 'more time', 'more times')}"] if more > 0 else []
    return [("" if number else "Incomplete", text) for number, text in enumerate(told)]


def digests(report: Report) -> list[tuple[str, str]]:
    """The fingerprints, in the same form."""
    fax, seal = report.fax, report.seal
    documents = fax.documents[:_MOST_DOCUMENTS]
    more = len(fax.documents) - len(documents)
    rows = [
        (f"Document {number}" if len(fax.documents) > 1 else "Document", digest)
        for number, digest in enumerate(documents, start=1)
    ]
    rows.append(("", f"and {plural(more, 'more document', 'more documents')}" if more else ""))
    rows.append(("Receipt", fax.receipt or ""))
    if seal is not None:
        rows += [
            ("Archive", f"entries {seal.first} to {seal.last}, in the tree of {seal.size}"),
            ("Tree", seal.root),
            ("Signed", moment(seal.at, report.zone)),
            ("Key", seal.key),
        ]
    return rows
