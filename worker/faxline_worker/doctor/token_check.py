"""Does iFax take the key? A call that costs nothing, under the same limits as any other.

It is fax-lists and, where that is not known or answers oddly, the list of numbers (docs/ifax.md, fact 8): a
good key meets status 1, a bad one 12001, -3 or -3009. Each takes a permit by `knock`; a 429 closes the gate.
A key that is refused pauses nobody, for the workers may have another; one that is taken ends a pause.
Only iFax's own code says that a key is bad: any other answer proves nothing about it.
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

_ASKED = (Endpoint.LISTS, Endpoint.NUMBERS)
_EMPTY = b"{}"
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
    odd: list[str] = []
    for endpoint in _ASKED:
        asked = store.submission.acquire_check_permit(uuid4().hex)
        if isinstance(asked, Held):
            held = _unasked(store.account, asked.limit)
            return Check(name, Result.WARN, _could_not_tell(odd)) if odd else Check(name, Result.SKIP, held)
        answer = _ask(store, client, token, asked, endpoint)
        if answer is None:
            return Check(name, Result.SKIP, "it took too long until the call could begin: look again")
        if (verdict := _verdict(answer)) is not None:
            return Check(name, *verdict)
        odd.append(f"to {endpoint}, HTTP {answer.http_status}, {answer.reason}: {answer.message}")
    return Check(name, Result.WARN, _could_not_tell(odd))


def _ask(store: Store, client: IfaxClient, token: str, asked: Admitted, endpoint: Endpoint) -> Answer | None:
    """One call; None where it could not begin in time."""

    def mark() -> None:
        if store.submission.mark(asked) is Mark.LOST:
            raise LeaseLostError

    try:
        answer = client.call(endpoint, token, _EMPTY, mark)
    except LeaseLostError:
        return None
    store.submission.report(asked, _told(answer, endpoint))
    return answer


def _could_not_tell(odd: Sequence[str]) -> str:
    return f"could not tell, for iFax answered {'; '.join(odd)}. Is FAXLINE_IFAX_URL iFax's?"


def _unasked(account: str, limit: str) -> str:
    """Why no call was made; a pause is ended by an operator or a probe, not by waiting for room."""
    if limit == "paused":
        return (
            "not asked, for the account is paused: `faxline accounts` says why; once that is mended, "
            f"`faxline accounts resume {account}`, and look again"
        )
    return f"the limit {limit} leaves no room for a call now: look again later"


def _told(answer: Answer, endpoint: Endpoint) -> dict[str, object]:
    """The answer as `report` takes it, in ms. A good one accepted no fax; `refuse` ends a pause, too."""
    decision = Decision.REFUSE if answer.decision is Decision.ACCEPTED else answer.decision
    return {
        "decision": str(decision),
        "code": answer.code,
        "reason": answer.reason,
        "seconds": answer.seconds,
        "gate": round(answer.retry_after * 1000) if answer.retry_after is not None else None,
        "jitter": random.uniform(1.0, 1.5),  # noqa: S311 - of a backoff
        "silent": answer.silent or None,
        "call": str(endpoint),
        "outcome": RESULTS[answer.decision],
        "status": answer.http_status,
        "ms": round(answer.seconds * 1000),
    }


def _verdict(answer: Answer) -> tuple[Result, str] | None:
    """What an answer says of the key; None where it says nothing, and iFax may be asked otherwise."""
    match answer.decision:
        case Decision.ACCEPTED:
            return Result.OK, "iFax takes it"
        case Decision.PAUSE if answer.code is not None or answer.http_status is None:
            fix = _FIXES.get(answer.reason, "write it anew")
            code = "" if answer.code is None else f" ({answer.code}: {answer.message})"
            return Result.FAIL, f"refused, {answer.reason}{code}: {fix}"
        case Decision.DEFER:
            text = "iFax answered 429, so somebody else uses the key; the account waits: find out who"
            return Result.WARN, text
        case _ if answer.http_status is None:
            text = f"could not tell, no clear answer ({answer.reason}): {answer.message}"
            return Result.FAIL, f"{text}; look at the check `ifax`"
        case _:
            return None
