"""A process publishes the settings that all must share, and renews them; a difference is logged.

The strictest that any process offers holds for all (lua/offer.lua): a difference costs speed, never a limit.
"""

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis
from structlog.typing import FilteringBoundLogger

from faxline.reading.shared_settings import SharedSettings, describe_differences, find_differences
from faxline.steps.redis_errors import trouble
from faxline_worker.state.account_starts import slices
from faxline_worker.state.store import Store

EVERY = 60.0
"""Seconds between two renewals."""
AGAIN = 2.0
"""Seconds until the next try if Redis was away."""


class SettingsPublisher:
    """Publishes the settings of all accounts of a process, from `start` to `close`.

    Args:
        stores: returns the stores of the accounts for which the process works.
        who: the process, as `role host:pid`.
        log: gets one line when settings begin or cease to differ.
        every: seconds between two renewals.
    """

    def __init__(
        self,
        stores: Callable[[], Iterable[Store]],
        who: str,
        log: FilteringBoundLogger,
        *,
        every: float = EVERY,
    ) -> None:
        self._stores = stores
        self._who = who
        self._log = log
        self._every = every
        self._known: dict[str, Any] = {}
        self._wait = every
        self._away = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shared settings", daemon=True)

    def publish(self, stores: Iterable[Store] | None = None) -> None:
        """Publish them once, before the process takes its first job.

        Args:
            stores: of these accounts; None: of all.

        Raises:
            redis.RedisError: Redis is away or refuses. In a cluster that may be one node: the settings of the
                accounts on others are published all the same.
        """
        error: redis.RedisError | None = None
        for some in slices(self._stores() if stores is None else stores):
            try:
                self._publish(some)
            except redis.RedisError as why:
                error = why
        if error is not None:
            raise error

    def _publish(self, stores: Sequence[Store]) -> None:
        if len(stores) == 1:
            self._compare(stores[0].account, stores[0].offer(self._who))
            return
        asked = [store.offer_arguments(self._who) for store in stores]
        calls = [(store.keys, args) for store, (_, args) in zip(stores, asked, strict=True)]
        replies = stores[0].scripts.each("offer", calls)
        for store, (at, _), reply in zip(stores, asked, replies, strict=True):
            self._compare(store.account, store.offered(at, reply))

    def _compare(self, name: str, offers: tuple[SharedSettings, ...]) -> None:
        differ = find_differences(offers)
        values = {variable: tuple(values) for variable, values in differ.items()}
        if differ and values != self._known.get(name):
            self._log.warning(
                "settings differ between processes, and the strictest hold",
                account=name,
                settings=describe_differences(differ),
            )
        elif not differ and self._known.get(name):
            self._log.info("settings no longer differ between processes", account=name)
        self._known[name] = values

    def start(self) -> None:
        """Publish them before the process takes its first job, and renew them from now on."""
        self._wait = self._try()
        self._thread.start()

    def close(self) -> None:
        """Stop renewing them. They hold until the last call made under them has left its window."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._wait):
            self._wait = self._try()

    def _try(self) -> float:
        """Publish them. Returns the seconds until the next time."""
        try:
            self.publish()
        except redis.RedisError as error:
            if not self._away:
                self._log.warning("settings could not be published", error=trouble(error))
            self._away = True
            return AGAIN
        self._away = False
        return self._every
