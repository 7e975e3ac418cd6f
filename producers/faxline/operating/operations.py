"""What operators do: pause and resume, settle doubts, ask iFax, reveal numbers, list accounts, run checks."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from faxline.contract.check import Check, Result
from faxline.contract.errors import (
    ContentLost,
    JobIdTaken,
    JobNotFound,
    NotAsked,
    NotInDoubt,
    NotSettled,
    PauseChanged,
    StateRolledBack,
)
from faxline.contract.orders import MOST_DIGITS, Order
from faxline.contract.redis_keys import ACCOUNTS, RedisKeys
from faxline.contract.states import JobState
from faxline.doctor.examination import examination
from faxline.operating.orders import issue_order, token_of
from faxline.reading.account_reader import read_account_state
from faxline.reading.account_state import AccountState
from faxline.reading.job import Job
from faxline.reading.lookup import find_job, read_record
from faxline.reading.open_jobs import OPEN
from faxline.steps.commands import Command, Context, Pipeline, Steps
from faxline.steps.redis_errors import is_refusal, trouble

_REVEALED = 500
"""How many jobs one order reveals."""
GIVE_ORDERS = "give orders"
READ_QUEUE = "read the queue, its limits and what waits in it"
READ_ACCOUNTS = "read the names of the accounts"
READ_AUDIT = "read the audit"
READ_DEAD = "read what was set aside"
READ_PROCESSES = "read the heartbeats of the daemon's processes"
"""The rights that an operator's Redis user has and a producer's lacks, as error messages name them."""
_NOT_SETTLED = {
    "sent_again": "of job {job!r} attempt {attempt} is in doubt, not the one named; look that one up",
    "pushed_again": "job {job!r} is another fax by now: the id was pushed again since; look that one up",
    "other_number": "jobId {accepted} is of a fax to another number than that of job {job!r}",
    "told_failed": "jobId {accepted} is of an older call of job {job!r}, whose delivery failed",
    "word_waits": "a receipt that may settle job {job!r} is being matched; try again in a minute",
}
_NOT_SO = "the dispatcher does not settle job {job!r} so: {why}"
"""Why an order does not settle a doubt, by the reason in its reply."""


def pause_or_resume(
    context: Context, order: Order, by: str, timeout: float, pause: str = ""
) -> Steps[AccountState]:
    """Pause or resume the account, and return its state after that."""
    yield from about_pause(context, order, by, timeout, pause)
    return (yield from read_account_state(context.keys))


def about_pause(context: Context, order: Order, by: str, timeout: float, pause: str = "") -> Steps[str]:
    """Pause, resume or probe the account, and return the result."""
    more = {"seen": pause} if pause else {}
    result = (yield from issue_order(context, order, by, timeout, **more))["result"]
    if result == "rolled_back":
        raise StateRolledBack(
            "Redis went back to an older state and may not know what was sent: see "
            f"`faxline accounts rollback {context.account}`, then use its --resume"
        )
    if result == "changed":
        state = yield from read_account_state(context.keys)
        by_whom = f" by {state.paused_by}" if state.paused_by else ""
        raise PauseChanged(f"account {state.name} is paused otherwise by now: {state.paused}{by_whom}")
    return result


def ask(context: Context, job: str, by: str, timeout: float) -> Steps[bool]:
    """Have iFax asked how a job stands, and return whether this order does it."""
    reply = yield from issue_order(context, Order.ASK, by, timeout, job=job)
    match reply["result"], reply.get("state", ""):
        case "refused", "":
            raise JobNotFound(f"no job {job!r} on account {context.account!r}")
        case "refused", state:
            unknown = state in {JobState.SUBMITTED, JobState.IN_DOUBT, JobState.UNCONFIRMED}
            why = " and its jobId is not known" if unknown else ""
            raise NotAsked(f"iFax cannot be asked how job {job!r} stands: it is {state}{why}", state)
    return reply["result"] == "done"


def resolve(  # noqa: PLR0917 - the arguments of the line's method
    context: Context,
    job: str,
    accepted: int | None,
    how: str,
    attempt: int | None,
    created_at: datetime | None,
    by: str,
    timeout: float,
) -> Steps[Job]:
    """Settle a doubt, and return the job after that.

    Who gives the same order again after an OrderTimeout, while the doubt is the same, gives no second one.
    """
    more = {"job": job, "how": how} | ({"jobId": str(accepted)} if accepted is not None else {})
    more |= {"attempt": str(attempt)} if attempt is not None else {}
    more |= {"created_at": str(round(created_at.timestamp() * 1000))} if created_at is not None else {}
    token, found = None, (yield from read_record(context, job))
    same = found is not None and attempt in {None, found.attempt} and created_at in {None, found.created_at}
    if found is not None and same and found.state is JobState.IN_DOUBT:
        token = token_of(Order.RESOLVE, job, found.created_at, found.attempt, how, accepted)
    reply = yield from issue_order(context, Order.RESOLVE, by, timeout, token, **more)
    match reply["result"]:
        case "taken":
            raise JobIdTaken(f"jobId {accepted} belongs to job {reply['job']!r}", reply["job"])
        case "lost":
            raise ContentLost(
                f"Redis lost the content of job {job!r}, so it cannot be sent again: push it under another id"
            )
        case "refused" if why := reply.get("why"):
            raise NotSettled(_NOT_SETTLED.get(why, _NOT_SO).format(job=job, accepted=accepted, **reply), why)
        case "refused" if not reply["state"]:
            raise JobNotFound(f"no job {job!r} on account {context.account!r}")
        case "refused":
            raise NotInDoubt(f"job {job!r} is not in doubt: it is {reply['state']}", reply["state"])
    return (yield from find_job(context, job))


def parse_resolution(accepted: int | None, *, resend: bool, fail: bool) -> str:
    """Return which of the three settles a doubt: accepted, resend or fail.

    Raises:
        ValueError: none or several were given, or the jobId is invalid.
    """
    if (accepted is not None) + resend + fail != 1:
        raise ValueError("give exactly one of accepted, resend and fail")
    if accepted is not None:
        if not 0 <= accepted < 10**MOST_DIGITS:
            raise ValueError("a jobId is a whole number from 0 on")
        return "accepted"
    return "resend" if resend else "fail"


def reveal(context: Context, jobs: Iterable[str], by: str, timeout: float) -> Steps[dict[str, str]]:
    """Read the numbers of jobs, after the audit has recorded that they are shown."""
    names, found = list(dict.fromkeys(jobs)), dict[str, str]()
    for start in range(0, len(names), _REVEALED):
        some = names[start : start + _REVEALED]
        numbers: list[bytes | None] = yield Pipeline(partial(_numbers, context.keys, some))
        known = {name: number.decode() for name, number in zip(some, numbers, strict=True) if number}
        if known:
            reply = yield from issue_order(context, Order.REVEAL, by, timeout, jobs=" ".join(known))
            found |= known if reply["result"] == "done" else {}
    return found


def _numbers(keys: RedisKeys, jobs: Sequence[str], pipe: Any) -> None:
    for job in jobs:
        pipe.hget(keys.job(job), "number")


def list_accounts() -> Steps[list[str]]:
    """List the names of all accounts, in order."""
    return sorted(name.decode() for name in (yield Command(lambda client: client.smembers(ACCOUNTS))))


def run_checks(context: Context) -> Steps[list[Check]]:
    """Run the checks of the doctor that need Redis only."""
    lacking = list[Check]()
    try:
        names = yield from list_accounts()
    except Exception as error:
        if not is_refusal(error):
            if not context.in_cluster:
                raise
            text = (
                f"only {context.account} is looked at, which others there are is not known: {trouble(error)}"
            )
            lacking.append(Check("accounts", Result.FAIL, text))
        names = []
    accounts = [context.account, *sorted({*names} - {context.account})]
    checks = examination(context.seals, accounts, context.confirmation, in_cluster=context.in_cluster)
    return [*lacking, *(yield from checks)]


def parse_state(state: str | None, limit: int) -> tuple[JobState, ...]:
    """Return the states to list.

    Raises:
        ValueError: jobs of this state are not listed, or the limit is below 1.
    """
    if state is not None and state not in OPEN:
        raise ValueError(f"no list of {state!r}; there is one of {', '.join(OPEN)}")
    if limit < 1:
        raise ValueError("the limit is 1 or more")
    return OPEN if state is None else (JobState(state),)
