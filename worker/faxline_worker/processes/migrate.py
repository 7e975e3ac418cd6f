"""`faxline-worker migrate`: upgrades the stored records to the layout of this version."""

from contextlib import closing

import redis

from faxline_worker.maintenance.schema_version import describe, upgrade
from faxline_worker.processes.common import (
    give_up,
    load,
)
from faxline_worker.processes.redis_at_start import require_redis
from faxline_worker.state.redis_clients import (
    state_client,
)
from faxline_worker.state.schema import NewerLayoutError
from faxline_worker.state.store import Store


def migrate(*, look: bool) -> int:
    """Upgrade all accounts to this version's layout, while the daemon runs, and print what was done.

    Args:
        look: change nothing.

    Returns:
        The exit code: 1 if `look` found records to upgrade, else 0.
    """
    settings = load("migrate")[0].settings
    require_redis(settings, "dispatcher")
    left = 0
    with closing(state_client(settings.redis_url, name="faxline-migrate")) as client:
        for name in settings.accounts:
            try:
                done = upgrade(client, Store(client, settings, name, who="migrate"), look=look)
            except NewerLayoutError as error:
                give_up(str(error))
            except redis.RedisError as error:
                give_up(f"Redis refused a command. What was done stays done; run it again: {error}")
            left += look and not done.nothing
            print(f"account {name}: {describe(done, look=look)}")  # noqa: T201 - the command's answer
    return 1 if left else 0
