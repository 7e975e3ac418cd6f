"""`faxline-worker migrate`: brings what is stored to the layout of this version."""

from contextlib import closing

import redis

from faxline_worker.maintenance.schema_version import describe, upgrade
from faxline_worker.processes.common import give_up, load, require_redis
from faxline_worker.state.redis_clients import (
    state_client,
)
from faxline_worker.state.schema import NewerLayoutError
from faxline_worker.state.store import Store


def migrate(*, look: bool) -> int:
    """Bring all accounts to the present layout, while the daemon runs, and say what was done.

    Args:
        look: change nothing; 1 is returned where there is something to do.
    """
    settings, _ = load("migrate")
    require_redis(settings, "dispatcher")
    left = 0
    with closing(state_client(settings.redis_url, name="faxline-migrate")) as client:
        for name in settings.accounts:
            try:
                done = upgrade(client, Store(client, settings, name, who="migrate"), look=look)
            except NewerLayoutError as error:
                give_up(str(error))
            except redis.RedisError as error:
                give_up(f"Redis refused, and what was done stays; call it again: {error}")
            left += look and not done.nothing
            print(f"account {name}: {describe(done, look=look)}")  # noqa: T201 - the command's answer
    return 1 if left else 0
