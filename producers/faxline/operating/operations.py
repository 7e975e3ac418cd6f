"""Operators' words: about an account, a doubt, an entry that was set aside."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from faxline.contract.check import Check
from faxline.contract.errors import (
    ContentLost,
    JobIdTaken,
    JobNotFound,
    NotInDoubt,
    StateRolledBack,
)
from faxline.contract.orders import MOST_DIGITS, Order
from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline.contract.states import JobState
from faxline.operating.orders import issue_order
from faxline.reading.account_reader import read_account_state
from faxline.reading.account_state import AccountState
from faxline.reading.job import Job
from faxline.reading.lookup import find_job
from faxline.reading.open_jobs import OPEN
from faxline.steps.commands import Command, Context, Pipeline, Steps
from faxline.steps.redis_errors import is_refusal

_REVEALED = 500
"""Jobs that one order reveals."""
GIVE_ORDERS = "give orders"
READ_QUEUE = "read the queue, its limits and what waits in it"
READ_ACCOUNTS = "read the names of the accounts"
READ_AUDIT = "read the audit"
READ_DEAD = "read what was set aside"
READ_PROCESSES = "read the heartbeats of the daemon's processes"
"""The rights that an operator's Redis user has and a producer's has not, as an error names them."""


def pause_or_resume(context: Context, order: Order, by: str, timeout: float) -> Steps[AccountState]:
    """Pause or resume the account; its state after that."""
    reply = yield from issue_order(context, order, by, timeout)
    if reply["result"] == "rolled_back":
        raise StateRolledBack(
            f"Redis went back, and does not know what was sent: look with `faxline accounts rollback "
            f"{context.account}`, then resume with its --resume"
        )
    return (yield from read_account_state(context.keys))


def resolve(  # noqa: PLR0917 - the line's own, and what its method is given
    context: Context, job: str, accepted: int | None, how: str, by: str, timeout: float
) -> Steps[Job]:
    """Settle a doubt; the job after that."""
    more = {"job": job, "how": how} | ({"jobId": str(accepted)} if accepted is not None else {})
    reply = yield from issue_order(context, Order.RESOLVE, by, timeout, **more)
    match reply["result"]:
        case "taken":
            raise JobIdTaken(f"jobId {accepted} belongs to job {reply['job']!r}", reply["job"])
        case "lost":
            raise ContentLost(
                f"Redis lost the content of job {job!r}, so it cannot be sent again: push it under another id"
            )
        case "refused" if not reply["state"]:
            raise JobNotFound(f"no job {job!r} on account {context.account!r}")
        case "refused":
            raise NotInDoubt(f"job {job!r} is not in doubt: it is {reply['state']}", reply["state"])
    return (yield from find_job(context, job))


def parse_resolution(accepted: int | None, *, resend: bool, fail: bool) -> str:
    """Which of the three settles a doubt.

    Raises:
        ValueError: none or several of them, or the jobId is none.
    """
    if (accepted is not None) + resend + fail != 1:
        raise ValueError("one of accepted, resend and fail settles a doubt")
    if accepted is not None:
        if not 0 <= accepted < 10**MOST_DIGITS:
            raise ValueError("a jobId is a whole number that is not negative")
        return "accepted"
    return "resend" if resend else "fail"


def reveal(context: Context, jobs: Iterable[str], by: str, timeout: float) -> Steps[dict[str, str]]:
    """The numbers of jobs, once the audit has it that they are shown."""
    names, found = list(dict.fromkeys(jobs)), dict[str, str]()
    for start in range(0, len(names), _REVEALED):
        some = names[start : start + _REVEALED]
        numbers: list[bytes | None] = yield Pipeline(partial(_numbers, context.keys, some))
        known = {name: number.decode() for name, number in zip(some, numbers, strict=True) if number}
        if known:
            yield from issue_order(context, Order.REVEAL, by, timeout, jobs=" ".join(known))
        found |= known
    return found


def _numbers(keys: RedisKeys, jobs: Sequence[str], pipe: Any) -> None:
    for job in jobs:
        pipe.hget(keys.job(job), "number")


def list_accounts() -> Steps[list[str]]:
    """The names of all accounts, in order."""
    return sorted(name.decode() for name in (yield Command(lambda client: client.smembers(ACCOUNTS))))


def run_checks(context: Context) -> Steps[list[Check]]:
    """What may be wrong with the line."""
    from faxline.doctor.examination import examination  # noqa: PLC0415 - `import faxline` is to be quick

    try:
        names = yield from list_accounts()
    except Exception as error:
        if not is_refusal(error):
            raise
        names = []
    accounts = [context.account, *sorted({*names} - {context.account})]
    return (yield from examination(context.seals, accounts, context.confirmation))


def parse_state(state: str | None, limit: int) -> tuple[JobState, ...]:
    """The states that are to be listed.

    Raises:
        ValueError: there is no list of that state, or the limit is below 1.
    """
    if state is not None and state not in OPEN:
        raise ValueError(f"no list of {state!r}; there is one of {', '.join(OPEN)}")
    if limit < 1:
        raise ValueError("the limit is 1 or more")
    return OPEN if state is None else (JobState(state),)
