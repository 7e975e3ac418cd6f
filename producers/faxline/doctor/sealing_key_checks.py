"""Check the sealing keys: ours, those of the dispatchers, and those that seal stored values."""

from collections import Counter
from typing import Any

from faxline.contract.check import Check, Result
from faxline.contract.redis_keys import RedisKeys
from faxline.contract.sealing.seals import Seals, key_of_request
from faxline.reading.account_state import AccountState
from faxline.steps.commands import Pipeline, Steps

LOOKED_AT = 10
"""How many jobs of each index to check: the oldest ones, which an old key may have sealed."""


def keys_check(keys: RedisKeys, state: AccountState, seals: Seals | None) -> Steps[Check]:
    """Check the sealing keys of an account.

    Args:
        keys: the account's Redis keys.
        state: the account's state, with the ids of the dispatchers' sealing keys.
        seals: seals the account's entries here; None if that is unknown.

    Raises:
        redis.RedisError: the server did not answer or refused.
    """
    name, theirs = f"keys of {state.name}", state.keys
    ours = seals.keyring if seals is not None else None
    if theirs is None:
        return Check(name, Result.SKIP, "no dispatcher of this version has stored the ids of its keys")
    if ours is not None and ours.current not in theirs:
        text = (
            f"what is pushed from here is sealed by {ours.current}, which the dispatchers do not have: "
            "give it to workers and dispatchers first"
        )
        return Check(name, Result.FAIL, text)
    lost = yield from _lost(keys, theirs)
    if lost:
        lost_keys = ", ".join(f"{key_id} ({count})" for key_id, count in sorted(lost.items()))
        text = f"requests of open jobs are sealed by keys that dispatchers lack: {lost_keys}; put them back"
        return Check(name, Result.FAIL, text)
    if not theirs:
        text = "none: Redis holds documents and requests unsealed (docs/data-protection.md)"
        return Check(name, Result.SKIP, text)
    return Check(name, Result.OK, f"{theirs[0]} seals, {len(theirs)} open")


def _lost(keys: RedisKeys, theirs: tuple[str, ...]) -> Steps[Counter[str]]:
    """Count the checked requests by the sealing keys that the dispatchers lack."""

    def oldest(pipe: Any) -> None:
        for index in (keys.ready, keys.delayed, keys.waiting, keys.submitted, keys.in_doubt):
            pipe.zrange(index, 0, LOOKED_AT - 1)

    found = yield Pipeline(oldest)
    jobs = [name.decode() for names in found for name in names if not name.startswith(b"!")]
    if not jobs:
        return Counter()
    requests = yield Pipeline(lambda pipe: [pipe.hget(keys.job(job), "request") for job in jobs])
    ids = (key_of_request(request.decode()) for request in requests if request is not None)
    return Counter(key_id for key_id in ids if key_id is not None and key_id not in theirs)
