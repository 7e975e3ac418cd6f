"""Which faxes of a mailing have the id of another fax, so that intake would reject them."""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import islice
from typing import Any

from faxline.contract.errors import EntryRejected, RejectedFax, Rejection
from faxline.reading.open_jobs import BATCH
from faxline.sending.documents import Documents
from faxline.sending.fax import Fax, compose
from faxline.steps.commands import Context, Pipeline, RunInThread, Steps
from faxline.steps.redis_errors import is_forbidden

LOST = "*"
"""The digest of a fax of which Redis lost the content: whatever is pushed under its id is a repeat."""


def find_reused(context: Context, faxes: Iterable[Fax], group: str) -> Steps[list[RejectedFax]]:
    """Find the faxes whose id a registered fax has that is made of something else.

    Only what is registered is compared, so a mailing that is new costs one command a fax. A Redis user who
    may not read jobs finds none.

    Args:
        context: of the line.
        faxes: each to one number, with its id.
        group: the name of the mailing, for those without one.
    """
    documents, found = Documents(), list[RejectedFax]()
    numbered = enumerate(faxes)
    while some := list(islice(numbered, BATCH)):
        try:
            held: list[Any] = yield Pipeline(partial(_queue_reads, context, some))
        except Exception as error:
            if is_forbidden(error):
                return []
            raise
        known = [(*one, digest.decode()) for one, digest in zip(some, held, strict=True) if digest]
        found += yield RunInThread(partial(_others, context, known, group, documents))
    return found


def _queue_reads(context: Context, faxes: Sequence[tuple[int, Fax]], pipe: Any) -> None:
    for _, fax in faxes:
        pipe.hget(context.keys.job(str(fax["id"])), "digest")


def _others(
    context: Context, known: Sequence[tuple[int, Fax, str]], group: str, documents: Documents
) -> list[RejectedFax]:
    found = []
    for index, fax, held in known:
        name, own = str(fax["id"]), _digest(context, fax, group, documents)
        if own and held not in {own, LOST}:
            text = f"{name} is the id of a fax with other content"
            found.append(RejectedFax(index, name, EntryRejected("id", Rejection.ID_REUSED, text)))
    return found


def _digest(context: Context, fax: Fax, group: str, documents: Documents) -> str:
    """What tells a fax from others; empty if it breaks a rule, which the check before the push tells."""
    from faxline.contract import entries, entry_reader, fingerprint  # noqa: PLC0415 - as `prepare`

    whole: Any = {**fax, "group": fax.get("group") or group or None}
    try:
        text = compose(whole, context.account, documents, region=context.region).text
        parsed = entry_reader.parse_entry("send", text)
    except (EntryRejected, OSError):
        return ""
    assert isinstance(parsed, entries.SendEntry)  # noqa: S101 - what its kind means
    return fingerprint.digest_of(parsed)
