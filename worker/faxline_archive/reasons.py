"""The reasons that a fax may have, and which of them resemble one that does not exist."""

from difflib import get_close_matches

from faxline_worker.processes.common import failure_labels

_OF_STATE = {
    *("no_receipt", "canceled_at_ifax", "canceled_before_sending"),
    *("worker_lost", "other_failed", "other_number"),
}
"""What the scripts of the state say of a fax that has not failed."""
REASONS = frozenset({reason for *_, reason in failure_labels()} | _OF_STATE)


def why_unknown(reason: str) -> str:
    """Say that no fax can have this reason, and which are like it; empty if one can.

    Example:
        >>> why_unknown("bussy")
        'There is no reason bussy. Did you mean busy?'
    """
    if reason in REASONS:
        return ""
    near = get_close_matches(reason, sorted(REASONS))
    meant = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"There is no reason {reason}.{meant}"
