"""The accounts that a dispatcher serves now. They change as accounts and dispatchers come and go."""

from collections.abc import Iterable, Iterator, Mapping

from faxline_worker.state.store import Store


class Served(Mapping[str, Store]):
    """The stores of the accounts that this dispatcher serves. Thread-safe.

    A thread that keeps something for each account compares `version` with the one it saw last. The store of
    an account that is not served is found too: two dispatchers that serve one account do no harm, so a thread
    may finish what it began.

    Args:
        stores: the stores of all accounts. All are served at first.
    """

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._stores = stores
        self._names = dict.fromkeys(stores)
        self.draining: frozenset[str] = frozenset()
        """The accounts that are drained: no fax is taken or submitted; timers run, receipts are applied."""
        self.version = 0
        """Grows with every change."""

    def serve(
        self, names: Iterable[str], draining: Iterable[str] = (), changed: Iterable[str] = ()
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Serve these accounts from now on.

        Args:
            names: the accounts, with those that are drained.
            draining: the accounts that are drained.
            changed: accounts whose stores were made anew.

        Returns:
            The accounts that are new, and those that are no longer served.
        """
        before, after = self._names, dict.fromkeys(names)
        gone, new = frozenset(before.keys() - after.keys()), frozenset(after.keys() - before.keys())
        drained = frozenset(draining)
        if gone or new or drained != self.draining or set(changed):
            self._names, self.draining = after, drained
            self.version += 1
        return new, gone

    def takes_faxes(self, account: str) -> bool:
        """Whether faxes of the account are taken and submitted here."""
        return account in self._names and account not in self.draining

    def __getitem__(self, account: str) -> Store:
        return self._stores[account]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, account: object) -> bool:
        return account in self._names
