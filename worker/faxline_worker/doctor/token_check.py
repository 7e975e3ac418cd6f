"""Does iFax take the key? A call that costs nothing, under the same limits as any other.

It is fax-cancel of a jobId that no fax has: a good key meets -5, "Resource not found" (ifax-api, Response
Codes), a bad one 401, -3 or -3009. It takes a permit by `knock`; a 429 closes the gate as ever. A key
that is refused pauses nobody, for the workers may have another; one that is taken ends a pause.
"""

import random
from uuid import uuid4

from faxline.contract.check import Check, Result
from faxline_worker.ifax import Answer, Decision, Endpoint, IfaxClient
from faxline_worker.ifax.requests import job_body
from faxline_worker.state.results import Held, Mark
from faxline_worker.state.store import NO_JOB, Store
from faxline_worker.submission.submitter import RESULTS, LeaseLostError

_NOT_FOUND = -5
_FIXES = {
    "authentication_failed": "write the right key to the account's TOKEN or its file",
    "invalid_key": "write the right key to the account's TOKEN or its file",
    "insufficient_balance": "the key is good; top up the account at iFax",
    "plan_inactive": "the key is good; renew the account's plan at iFax",
    "no_permission": "use the key of the account's primary user",
}


def key_check(store: Store, client: IfaxClient, token: str) -> Check:
    """Ask iFax about an account's key.

    Raises:
        redis.RedisError: Redis is away, or refuses.
    """
    name = f"key of {store.account}"
    asked = store.knock(uuid4().hex)
    if isinstance(asked, Held):
        return Check(name, Result.SKIP, _unasked(store.account, asked.limit))

    def mark() -> None:
        if store.mark(asked) is Mark.LOST:
            raise LeaseLostError

    try:
        answer = client.call(Endpoint.CANCEL, token, job_body(NO_JOB), mark)
    except LeaseLostError:
        return Check(name, Result.SKIP, "it took too long until the call could begin: look again")
    store.report(asked, _told(answer))
    return _judged(name, answer)


def _unasked(account: str, limit: str) -> str:
    """Why no call was made; a pause is ended by an operator or a probe, not by waiting for room."""
    if limit == "paused":
        return (
            "not asked, for the account is paused: `faxline accounts` says why; once that is mended, "
            f"`faxline accounts resume {account}`, and look again"
        )
    return f"the limit {limit} leaves no room for a call now: look again later"


def _told(answer: Answer) -> dict[str, object]:
    """The answer as `report` takes it; times in milliseconds."""
    return {
        "decision": str(answer.decision),
        "code": answer.code,
        "reason": answer.reason,
        "seconds": answer.seconds,
        "gate": round(answer.retry_after * 1000) if answer.retry_after is not None else None,
        "jitter": random.uniform(1.0, 1.5),  # noqa: S311 - of a backoff
        "silent": answer.silent or None,
        "call": str(Endpoint.CANCEL),
        "outcome": RESULTS[answer.decision],
        "status": answer.http_status,
        "ms": round(answer.seconds * 1000),
    }


def _judged(name: str, answer: Answer) -> Check:
    return Check(name, *_verdict(answer))


def _verdict(answer: Answer) -> tuple[Result, str]:  # noqa: PLR0911 - one sentence a decision
    match answer.decision:
        case Decision.REFUSE if answer.code == _NOT_FOUND:
            return Result.OK, "iFax takes it"
        case Decision.REFUSE:
            text = f"no word on it: {answer.reason}, HTTP {answer.http_status}; is FAXLINE_IFAX_URL iFax's?"
            return Result.WARN, text
        case Decision.UNREACHABLE if answer.http_status is not None:
            return Result.WARN, f"no word on it, but {answer.message}: is FAXLINE_IFAX_URL iFax's?"
        case Decision.UNKNOWN:
            text = f"refused, with a code that is not documented, {answer.code}: {answer.message}; ask iFax"
            return Result.FAIL, text
        case Decision.ACCEPTED:
            text = "iFax takes it, but says that it canceled a fax that does not exist: is the URL iFax's?"
            return Result.WARN, text
        case Decision.PAUSE:
            fix = _FIXES.get(answer.reason, "write it anew")
            return Result.FAIL, f"refused, {answer.reason}: {fix}"
        case Decision.DEFER:
            text = "iFax answered 429, so somebody else uses the key; the account waits: find out who"
            return Result.WARN, text
        case _:
            text = f"no clear answer ({answer.reason}): {answer.message}; look at the check `ifax`"
            return Result.FAIL, text
