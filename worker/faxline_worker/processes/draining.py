"""How a process learns that an account that was removed need not be drained any more."""

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

    def is_listed(account: str) -> bool:
        nonlocal told
        try:
            return bool(client.sismember(ACCOUNTS, account))
        except redis.exceptions.NoPermissionError:
            if not told:
                text = (
                    "the Redis user may not SISMEMBER fax:accounts, so a removed account is drained for ever"
                )
                log.warning(text, account=account, error="load ops/redis/users.acl anew")
            told = True
        except redis.RedisError:
            pass
        return True  # it is not known

    live.is_listed = is_listed
