"""Check whether a stream ran out of ids, because a client added an id in the far future."""

from datetime import UTC, datetime

from faxline.contract.check import Check, Result
from faxline.contract.redis_keys import RedisKeys
from faxline.reading.account_state import AccountState
from faxline.steps.commands import Command, Steps
from faxline.steps.redis_errors import is_refusal

AHEAD = 86_400_000
"""An id this far (ms) ahead of the clock is in the far future: Redis itself makes none."""
_RECENT = 7 * 86_400_000
_WRITERS = {
    "intake": "as a producer or an operator",
    "status": "as the webhook",
    "orders": "as an operator",
}


def stream_checks(keys: RedisKeys, state: AccountState) -> Steps[list[Check]]:
    """Check the intake stream, and the streams that dispatchers replaced lately.

    Args:
        keys: the account's Redis keys.
        state: the account's state.
    """
    name, now = f"streams of {state.name}", state.now // 1000
    found = []
    if (yield from _is_out_of_ids(keys.intake, now)):
        text = "intake is out of ids, so nobody can push. A dispatcher replaces the stream: start one"
        found.append(Check(name, Result.FAIL, text))
    for stream, at in state.replaced.items():
        if now - at < _RECENT:
            moment = datetime.fromtimestamp(at / 1000, tz=UTC).isoformat(timespec="seconds")
            who = _WRITERS.get(stream, "as another part")
            text = (
                f"{stream} ran out of ids and was replaced at {moment}; nothing was lost. A client that may "
                f"add to it {who} used an id in the far future: ops/runbooks/FaxStreamReplaced.md"
            )
            found.append(Check(name, Result.WARN, text))
    return found or [Check(name, Result.OK, "there is room for new ids")]


def _is_out_of_ids(stream: str, now: int) -> Steps[bool]:
    """Whether the newest id is in the far future. Only such an entry is read: others may be large."""
    if (yield Command(lambda client: client.xrange(stream, min=str(now + AHEAD), count=1))):
        return True
    if (yield Command(lambda client: client.xlen(stream))):
        return False
    try:
        known = yield Command(lambda client: client.xinfo_stream(stream))
    except Exception as error:
        if not is_refusal(error):
            raise
        return False  # the stream does not exist yet
    last: bytes = known["last-generated-id"]
    return int(last.partition(b"-")[0]) > now + AHEAD
