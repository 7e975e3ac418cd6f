"""Recovers what Redis lost when it went back to an older state, and has the account go on."""

from collections.abc import Callable, Iterable

import structlog

from faxline.reading.account_state import OPERATOR, ROLLED_BACK
from faxline_worker.maintenance.outcome import MaintenanceBusyError, Outcome
from faxline_worker.state.lineage import Reopened
from faxline_worker.state.store import Store

PIECE = 50
"""The most lost calls and faxes that one script call recovers."""
_WEIGHT = {"": 0, "done": 0, "known": 1, "ended": 2}
"""If a job has several results, the one with the greatest weight counts; of equals, the latest."""


def recover(
    store: Store, log: structlog.typing.FilteringBoundLogger, by: str, go_on: Callable[[], None]
) -> Outcome:
    """Carry out the order to recover.

    Args:
        store: the state of the account.
        log: gets what became of the jobs.
        by: who ordered it.
        go_on: called between steps; it raises if the order is to stay.

    Raises:
        MaintenanceBusyError: a process has not yet compared its actions with the state. The order stays.
    """
    lineage = store.lineage
    if store.state().paused != ROLLED_BACK and not lineage.recovered():
        return "refused", {}
    opened = Reopened.LEFT
    while opened is Reopened.LEFT:  # a process may report more in the meantime
        fields = list(lineage.lost().items())
        for start in range(0, len(fields), PIECE):
            go_on()
            if lineage.recover(dict(fields[start : start + PIECE]), by) is None:
                raise MaintenanceBusyError
        opened = lineage.reopen()
    reply = _jobs_by_result(lineage.recovered())  # also of a dispatcher that stopped before it told them
    log.warning(
        "recovered after Redis went back",
        result=", ".join(f"{len(jobs)} {what}" for what, jobs in reply.items()),
    )
    paused = store.state().paused
    return "done", reply | {"paused": OPERATOR if paused == OPERATOR else ""}


def _jobs_by_result(recovered: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    became: dict[str, str] = {}
    for what, job in recovered:
        if _WEIGHT.get(what, 3) >= _WEIGHT.get(became.get(job, ""), 3):
            became[job] = what
    return {
        what: sorted(job for job, end in became.items() if end == what)
        for what in sorted({*became.values()} - {"done"})
    }
