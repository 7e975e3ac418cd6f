"""Which rows of a mailing went in another one of the last day: a mended file has those of the first, too."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from faxline_console.mailings.rows import Draft, Looked
from faxline_console.mailings.sent_lately import SentLately


def note_rows(lately: SentLately, draft: Draft, looked: Looked) -> None:
    """Note the rows that are about to be pushed."""
    sent = [str(fax["id"]) for fax in looked.faxes]
    lately.note(draft.account, zip(_marks(lately, draft, looked), sent, strict=True), looked.name)


def sent_before(lately: SentLately, draft: Draft, looked: Looked) -> Sequence[tuple[str, datetime, int]]:
    """The other mailings that had the same number with the same documents, for the same department.

    Returns:
        Of each its name, when it was pushed, and how many rows of this one it had.
    """
    marks = _marks(lately, draft, looked)
    found = lately.find(marks)
    sent = [found[mark] for mark in marks if mark in found]
    counts = Counter((one.mailing, one.at) for one in sent if one.mailing != looked.name)
    return [(name, at, count) for (name, at), count in counts.most_common()]


def _marks(lately: SentLately, draft: Draft, looked: Looked) -> list[str]:
    digests = draft.digests
    rows: Any = looked.faxes
    faxes = [(fax["to"], [digests[name] for name, _ in fax["files"]]) for fax in rows]
    return lately.marks(draft.account, f"mailings of {draft.department}", faxes)
