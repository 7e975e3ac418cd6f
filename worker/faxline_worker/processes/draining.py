"""What a process learns from Redis of accounts that were removed: which are drained, and for how long."""

from collections.abc import Collection, Sequence

import redis
from structlog.typing import FilteringBoundLogger

from faxline.contract.redis_keys import ACCOUNTS
from faxline_worker.config.live_accounts import LiveAccounts
from faxline_worker.state.account_list import AccountList


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


def account_list(live: LiveAccounts, client: redis.Redis, log: FilteringBoundLogger) -> AccountList:
    """The accounts in Redis, for a process with these accounts."""
    return AccountList(client, log, live.place, live.has_folder, str(live.settings.accounts_dir or ""))


def find_drained(
    live: LiveAccounts, accounts: AccountList, log: FilteringBoundLogger, *, missing: bool = False
) -> None:
    """Have accounts drained, too, that were removed before this process began.

    A webhook does not: the secrets went with the folder.

    Args:
        live: the accounts.
        accounts: the accounts in Redis, by a client with a short timeout.
        log: gets one warning if the Redis user may not look.
        missing: whether to look for those that no dispatcher drains yet. For a dispatcher.
    """
    if not live.watched:
        return
    looked, told, told_empty = not missing, False, False

    def noted() -> Collection[str]:
        nonlocal looked, told, told_empty
        try:
            if not looked and live.read:
                looked = accounts.drain_missing(live.known, empty=live.empty)
                if not looked and not told_empty:
                    log.error("no account of the directory has a folder, so none is drained", path=live.place)
                    told_empty = True
            return accounts.drained()
        except redis.exceptions.NoPermissionError:
            if not told:
                text = (
                    "the Redis user may not look which accounts are drained, so it finds none after a restart"
                )
                log.warning(text, error="load ops/redis/users.acl anew")
            told = True
        except redis.RedisError:
            pass  # the next look finds them
        return ()

    live.noted = noted
