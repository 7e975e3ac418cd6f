"""How a fax ended, as its page says it on top."""

from faxline.reading.archived import ArchivedFax
from faxline_console.archive.jobs import job_of
from faxline_console.showing.formats import Times, plural
from faxline_console.showing.words import ended_by, state_of


def ended_sentence(fax: ArchivedFax, times: Times) -> str:
    """How a fax ended, and when.

    Example:
        >>> ended_sentence(fax, times)
        'All 6 pages arrived at 13:18:55 EST.'
    """
    at = times.moment(fax.call_ended_at or fax.ended_at)
    if fax.state == "delivered" and fax.partial:
        return f"{fax.transferred} of {fax.pages} pages arrived at {at}."
    if fax.state == "delivered":
        if fax.pages == 1:
            return f"The one page arrived at {at}."
        return f"All {fax.pages} pages arrived at {at}." if fax.pages else f"It arrived at {at}."
    why = ended_by(fax.reason, fax.code)
    word = state_of(job_of(fax))[1]
    return f"{word} at {times.moment(fax.ended_at)}" + (
        f": {why}." if why and fax.state != "canceled" else "."
    )


def ended_words(fax: ArchivedFax, times: Times) -> list[str]:
    """How a fax ended, and what proves it."""
    receipt = "iFax's signed receipt is kept." if fax.receipt else ""
    failed = f"{plural(fax.deliveries, 'delivery', 'deliveries')} failed before." if fax.deliveries else ""
    more = failed if fax.state == "delivered" else ""
    return [text for text in (ended_sentence(fax, times), " ".join(filter(None, [more, receipt]))) if text]
