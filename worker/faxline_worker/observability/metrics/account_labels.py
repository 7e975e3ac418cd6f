"""The accounts whose label sets a process exports."""

import threading
from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from typing import Generic, TypeVar

from prometheus_client import Counter, Gauge, Histogram

_Family = TypeVar("_Family", Counter, Gauge, Histogram)
AT_START = 100
"""With more accounts than this, an account's label sets are made when it is first served. 10,000 accounts
that have nothing to do would otherwise make a scrape take ten seconds and more."""


class Children(Generic[_Family]):
    """The label sets of a family. It looks them up faster than `Family.labels`."""

    def __init__(self, family: _Family) -> None:
        self._family: _Family = family
        self._known: dict[tuple[str, ...], _Family] = {}

    def __call__(self, *labels: str) -> _Family:
        """The label set with these values, which is made if it is new."""
        found = self._known.get(labels)
        if found is None:
            found = self._known[labels] = self._family.labels(*labels)
        return found

    def forget(self, accounts: AbstractSet[str]) -> None:
        """Look the label sets of these accounts up anew."""
        known = self._known.copy()
        self._known = {labels: child for labels, child in known.items() if accounts.isdisjoint(labels)}


class AccountLabels:
    """The accounts whose label sets a process exports. Thread-safe.

    With up to AT_START accounts all are there at 0 from the start. With more, an account's label sets are
    made, at 0, by `serve`.

    Args:
        names: the accounts of the process.
    """

    def __init__(self, names: Iterable[str]) -> None:
        all_names = tuple(names)
        self.many = len(all_names) > AT_START
        self._served = dict.fromkeys(() if self.many else all_names)
        self._families: list[tuple[Counter | Gauge | Histogram, list[tuple[str, ...]]]] = []
        self._caches: list[Children[Counter] | Children[Gauge] | Children[Histogram]] = []
        self._lock = threading.Lock()

    def serves(self, name: str) -> bool:
        """Whether the account's label sets are made."""
        return name in self._served

    def start(self, family: Counter | Gauge | Histogram, others: Iterable[tuple[str, ...]]) -> None:
        """Make the label sets of a new family, whose first label is the account's name.

        Args:
            family: the family.
            others: the values of the further labels, for each label set of an account.
        """
        sets = list(others)
        self._families.append((family, sets))
        for name in self._served:
            _make(family, name, sets)

    def remember(self, cached: "Children[Counter] | Children[Gauge] | Children[Histogram]") -> None:
        """Tell this cache when an account is dropped."""
        self._caches.append(cached)

    def serve(self, name: str) -> None:
        """Make the account's label sets, unless they are there. Call it before work for an account begins."""
        if name in self._served:
            return
        with self._lock:
            for family, sets in self._families:
                _make(family, name, sets)
            self._served[name] = None

    def drop(self, names: Iterable[str]) -> None:
        """Export nothing more about these accounts, which were removed or are served elsewhere.

        One pass over the label sets, however many accounts they are.
        """
        gone = frozenset(names)
        if not gone:
            return
        with self._lock:
            self._served = {name: None for name in self._served if name not in gone}
            for family, _ in self._families:
                made = family._metrics.copy()  # noqa: SLF001 - the library finds them for one account only
                for labels in made:
                    if labels[0] in gone:
                        family.remove(*labels)
            for cached in self._caches:
                cached.forget(gone)


def _make(family: Counter | Gauge | Histogram, name: str, sets: Iterable[tuple[str, ...]]) -> None:
    for others in sets:
        family.labels(name, *others)
