"""How a process learns that an account that was removed need not be drained any more."""

from collections.abc import Collection, Sequence

import redis
from structlog.typing import FilteringBoundLogger

from faxline.contract.redis_keys import ACCOUNTS
from faxline_worker.config.live_accounts import LiveAccounts


def drain_by_redis(live: LiveAccounts, client: redis.Redis, log: FilteringBoundLogger) -> None:
    """Have accounts that were removed drained for as long as Redis lists them.

    A dispatcher takes an account off the list once none of its faxes is under way.

    Args:
        live: the accounts.
        client: with a short timeout.
        log: gets one warning if the Redis user may not look.
    """
    told = False

    def listed(names: Sequence[str]) -> Collection[str]:
        nonlocal told
        try:
            found = client.smismember(ACCOUNTS, list(names))
        except redis.exceptions.NoPermissionError:
            if not told:
                text = (
                    "the Redis user may not SMISMEMBER fax:accounts, so removed accounts are drained for ever"
                )
                log.warning(text, error="load ops/redis/users.acl anew")
            told = True
            return names
        except redis.RedisError:
            return names  # it is not known
        return [name for name, there in zip(names, found, strict=True) if there]

    live.listed = listed
