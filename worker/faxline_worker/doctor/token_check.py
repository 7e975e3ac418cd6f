"""The doctor's check of an account's key, by a call that costs nothing and is under the usual limits.

The call is fax-lists and, if that is unknown or answers oddly, the list of numbers (docs/ifax.md, fact 8). A
good key gets status 1, a bad one 12001, -3 or -3009. Each call takes a permit (`acquire_check_permit`), and a
429 starts the cooldown. A refused key pauses nothing, because the workers may have another. An accepted key
ends a pause. Only iFax's own code proves a key bad; any other answer proves nothing about it.
"""

import random
from collections.abc import Sequence
from uuid import uuid4

from faxline.contract.check import Check, Result
from faxline_worker.ifax import Answer, Decision, Endpoint, IfaxClient
from faxline_worker.state.results import Admitted, Held, Mark
from faxline_worker.state.store import Store
from faxline_worker.submission.caller import LeaseLostError
from faxline_worker.submission.outcomes import RESULTS

_ENDPOINTS = (Endpoint.LISTS, Endpoint.NUMBERS)
_EMPTY = b"{}"
_FIXES = {
    "authentication_failed": "set the right key in the account's TOKEN or its file",
    "invalid_key": "set the right key in the account's TOKEN or its file",
    "insufficient_balance": "the key is good; top up the account at iFax",
    "plan_inactive": "the key is good; renew the account's plan at iFax",
    "no_permission": "use the key of the account's primary user",
}


def check_token(store: Store, client: IfaxClient, token: str) -> Check:
    """Ask iFax about an account's key.

    Raises:
        redis.RedisError: Redis is away, or refuses.
    """
    name = f"key of {store.account}"
    odd: list[str] = []
    for endpoint in _ENDPOINTS:
        asked = store.submission.acquire_check_permit(uuid4().hex)
        if isinstance(asked, Held):
            held = _why_not_asked(store.account, asked.limit)
            return Check(name, Result.WARN, _could_not_tell(odd)) if odd else Check(name, Result.SKIP, held)
        answer = _ask(store, client, token, asked, endpoint)
        if answer is None:
            return Check(name, Result.SKIP, "not asked: the call could not begin in time. Try again")
        if (verdict := _verdict(answer)) is not None:
            return Check(name, *verdict)
        odd.append(f"to {endpoint}, HTTP {answer.http_status}, {answer.reason}: {answer.message}")
    return Check(name, Result.WARN, _could_not_tell(odd))


def _ask(store: Store, client: IfaxClient, token: str, asked: Admitted, endpoint: Endpoint) -> Answer | None:
    """Make one call. None means that it could not begin in time."""

    def mark() -> None:
        if store.submission.mark(asked) is Mark.LOST:
            raise LeaseLostError

    try:
        answer = client.call(endpoint, token, _EMPTY, mark)
    except LeaseLostError:
        return None
    store.submission.report(asked, _as_reported(answer, endpoint))
    return answer


def _could_not_tell(odd: Sequence[str]) -> str:
    return f"could not tell: iFax answered {'; '.join(odd)}. Is FAXLINE_IFAX_URL iFax's?"


def _why_not_asked(account: str, limit: str) -> str:
    """Why no call was made. Only an operator or a probe ends a pause; waiting for room does not."""
    if limit == "paused":
        return (
            "not asked: the account is paused, and `faxline accounts` says why. Once that is fixed, run "
            f"`faxline accounts resume {account}` and try again"
        )
    return f"not asked: no room for a call ({limit.replace('_', ' ')}). Try again later"


def _as_reported(answer: Answer, endpoint: Endpoint) -> dict[str, object]:
    """The answer as `report` takes it, in ms. A good answer accepts no fax; `refuse` ends a pause too."""
    decision = Decision.REFUSE if answer.decision is Decision.ACCEPTED else answer.decision
    return {
        "decision": str(decision),
        "code": answer.code,
        "reason": answer.reason,
        "seconds": answer.seconds,
        "cooldown": round(answer.retry_after * 1000) if answer.retry_after is not None else None,
        "jitter": random.uniform(1.0, 1.5),  # noqa: S311 - of a backoff
        "silent": answer.silent or None,
        "call": str(endpoint),
        "outcome": RESULTS[answer.decision],
        "status": answer.http_status,
        "ms": round(answer.seconds * 1000),
    }


def _verdict(answer: Answer) -> tuple[Result, str] | None:
    """What an answer says about the key. None means nothing, and another call may say more."""
    match answer.decision:
        case Decision.ACCEPTED:
            return Result.OK, "iFax accepts it"
        case Decision.PAUSE if answer.code is not None or answer.http_status is None:
            fix = _FIXES.get(answer.reason, "set it again")
            code = "" if answer.code is None else f" ({answer.code}: {answer.message})"
            return Result.FAIL, f"refused, {answer.reason}{code}: {fix}"
        case Decision.DEFER:
            text = "iFax answered 429, so something else uses the key. The account waits; find out what it is"
            return Result.WARN, text
        case _ if answer.http_status is None:
            text = f"could not tell: no clear answer ({answer.reason}): {answer.message}"
            return Result.FAIL, f"{text}; see the check `ifax`"
        case _:
            return None
