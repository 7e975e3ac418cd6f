"""Check how far accounts that were removed are from being forgotten."""

from faxline.contract.check import Check, Result
from faxline.contract.wording import plural
from faxline.reading.account_state import AccountState
from faxline.reading.draining import UNDER_WAY, Drained, read_draining
from faxline.steps.commands import Steps
from faxline.steps.redis_errors import is_refusal

_DAY_US = 86_400_000_000
"""After this long, as with the alert FaxAccountDraining, somebody must look."""


def read_drained() -> Steps[dict[str, Drained]]:
    """Read which accounts are drained. A user that may not know it is told of none."""
    try:
        return (yield from read_draining())
    except Exception as error:
        if not is_refusal(error):
            raise
    return {}


def drained_check(state: AccountState, drained: Drained) -> Check:
    """Say since when an account is drained, and what of it is under way."""
    waits = plural(state.jobs.get("queued", 0), "fax waits", "faxes wait")
    left = ", ".join(f"{n} {name.replace('_', ' ')}" for name in UNDER_WAY if (n := state.jobs.get(name)))
    text = (
        f"its folder is gone since {drained.since:%Y-%m-%d %H:%M} UTC, so it takes and submits no fax; "
        f"under way: {left or 'none'}; {waits}"
    )
    if state.now - drained.since.timestamp() * 1e6 < _DAY_US:
        return Check(f"account {state.name}", Result.OK, text)
    todo = (
        "settle its faxes, or put the folder back until they have ended (ops/runbooks/FaxAccountDraining.md)"
    )
    return Check(f"account {state.name}", Result.WARN, f"{text}: {todo}")
