"""What became of the faxes of the plain actor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from faxline_chaos.evidence import Acceptance
from faxline_chaos.faults import Fax


@dataclass(frozen=True)
class BaselineEnd:
    """Counts of the plain actor's run.

    Attributes:
        accepted: by the sandbox.
        doubled: acceptances beyond the first of a fax.
        doubled_faxes: the faxes with some.
        lost: faxes never accepted, for which no message is queued any more.
        stranded: faxes never accepted whose message the broker still has and gives to nobody.
        faults: struck, by action.
    """

    accepted: int
    doubled: int
    doubled_faxes: int
    lost: int
    stranded: int
    faults: Mapping[str, int]


def baseline_end(
    faxes: Sequence[Fax],
    accepted: Mapping[str, Sequence[Acceptance]],
    queued: frozenset[str],
    stats: Mapping[str, Any],
) -> BaselineEnd:
    """Count; `queued` has the faxes whose message is still there."""
    counts = {fax.id: len(accepted.get(fax.id, ())) for fax in faxes}
    never = {name for name, n in counts.items() if not n}
    return BaselineEnd(
        accepted=sum(counts.values()),
        doubled=sum(n - 1 for n in counts.values() if n > 1),
        doubled_faxes=sum(n > 1 for n in counts.values()),
        lost=len(never - queued),
        stranded=len(never & queued),
        faults=stats.get("faults", {}),
    )
