"""The orders to forget: they are carried out once all events from before them are archived.

The archive may be behind, and reads an account's audit ahead of its events. An order that came first would
miss its fax, or reach an older one with the same id.
"""

from collections.abc import Iterable, Mapping

from sqlalchemy import Engine, select

from faxline_archive.forgetting import forget_jobs, forget_numbers
from faxline_archive.reader import NUMBERS, Batch, Reader
from faxline_archive.schema import accounts


class Orders:
    """The orders that wait. Use it from one thread.

    Args:
        engine: of `open_database` with `writes`.
        reader: has the numbers.
    """

    def __init__(self, engine: Engine, reader: Reader) -> None:
        self._engine = engine
        self._reader = reader
        self._waiting: dict[str, int] = {}
        """The accounts with orders, and below which leaf those are that were stored by then."""

    @property
    def accounts(self) -> Iterable[str]:
        """The accounts with orders."""
        return self._waiting

    def load(self) -> None:
        """Look which orders wait: another archive may have stored them.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away or refuses.
        """
        asked = select(accounts.c.account, accounts.c.size).where(accounts.c.ordered >= 0)
        with self._engine.connect() as connection:
            self._waiting = {row.account: row.size for row in connection.execute(asked)}

    def take(self, ordered: Mapping[str, int]) -> None:
        """Take orders that were stored just now, by account: all those below a leaf."""
        self._waiting |= ordered

    def carry_out(self, batch: Batch) -> None:
        """Carry out the orders that were stored before a batch was read, which is committed by now.

        Raises:
            sqlalchemy.exc.DBAPIError: the database is away or refuses. The orders wait.
            redis.RedisError: Redis is away or refuses. The orders wait.
        """
        for account in [name for name in self._waiting if name in batch.whole]:
            found = batch.numbers.get(account, [])
            (privacy,) = self._reader.privacies([account]).values()
            forget_numbers(self._engine, account, privacy, batch.forgotten.get(account, []))
            self._reader.forget(account, found)  # before the order is done: nothing reads them afterwards
            if len(found) < NUMBERS and forget_jobs(self._engine, account, self._waiting[account]):
                del self._waiting[account]
