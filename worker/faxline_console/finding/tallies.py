"""How many faxes each tab of the list has, as far as that is known at once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from faxline.contract.errors import ArchiveUnavailable
from faxline_console.access.people import Person
from faxline_console.archive.ended import Ended
from faxline_console.archive.pages import count_faxes
from faxline_console.asking.parsing import QueryInvalid
from faxline_console.asking.query import Query, Term

MOST = 1000
"""The most faxes that are counted; of more, the page says that they are more."""
REMEMBERED = 1000
"""The most searches of which the count is remembered."""
FRESH = 10.0
"""Seconds that a count is used at least."""
SHARE = 100
"""A count is used at least this many times as long as it took."""
MOST_ACCOUNTS = 20
"""The most accounts of which the archive's faxes are counted."""
LIVE = ("queued", "sending", "in_doubt")
"""The states of faxes on their way, as the search line names them."""
_INDEXED = {"account", "state", "group"}


@dataclass(frozen=True, slots=True)
class Tally:
    """A number of faxes, or of more than that."""

    count: int
    more: bool = False

    def __str__(self) -> str:
        return f"{self.count:,}{'+' if self.more else ''}"


def tallies(live: Mapping[str, int] | None, ended: Mapping[str, Tally], *, whole: bool) -> dict[str, Tally]:
    """The numbers of the tabs by state; those of all states by "" if each is known.

    Args:
        live: how many faxes are on their way; None if that is not known.
        ended: of the archive.
        whole: whether `live` has all of them.
    """
    found = dict(ended)
    if live is not None:
        found |= {state: Tally(live.get(state, 0), not whole) for state in LIVE}
    known = [found[state] for state in LIVE if state in found]
    if "" in ended and len(known) == len(LIVE):
        every = [ended[""], *known]
        found[""] = Tally(sum(one.count for one in every), any(one.more for one in every))
    else:
        found.pop("", None)
    return found


class Known:
    """The latest counts, which all viewers share. It is used by several threads at once.

    Args:
        now: the clock, in seconds.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._counts: dict[str, tuple[float, dict[str, Tally]]] = {}

    def tallies(self, search: str, count: Callable[[], dict[str, Tally]]) -> dict[str, Tally]:
        """What a search found not long ago. It is counted again after SHARE times as long as that took."""
        until, found = self._counts.get(search, (0.0, {}))
        began = self._now()
        if until <= began:
            if len(self._counts) >= REMEMBERED:
                self._counts.clear()
            found = count()
            self._counts[search] = self._now() + max(FRESH, SHARE * (self._now() - began)), found
        return found


def count_ended(
    ended: Ended, accounts: Sequence[str], query: Query, person: Person, known: Known
) -> dict[str, Tally]:
    """Count in the archive what an index answers: by account, days, and one group or member of the metadata.

    It waits for the database: call it in a thread.
    """
    rest = query.any_state
    members = len(rest.metadata) + (person.department is not None)
    plain = all(_is_one(term) for word, term in rest.terms.items() if word == "group")
    named = members + ("group" in rest.terms)
    counted = rest.terms.keys() <= _INDEXED and plain and all(map(_is_one, rest.metadata.values()))
    if not counted or named > 1 or len(accounts) > MOST_ACCOUNTS:
        return {}

    def count() -> dict[str, Tally]:
        counts = count_faxes(ended, accounts, rest, person, MOST + 1)
        found = {state: _tally(counts[state]) for state in ("delivered", "unconfirmed", "canceled")}
        found["failed"] = _tally(counts["failed"] + counts["rejected"])
        if not (named and found["delivered"].more):  # of a whole account these have an index of their own
            asked = replace(rest, terms={**rest.terms, "state": Term(("partial",))})
            partial = count_faxes(ended, accounts, asked, person, MOST + 1)["delivered"]
            found["partial"] = _tally(partial)
            if not found["delivered"].more:
                found["delivered"] = Tally(max(0, counts["delivered"] - partial))  # one may end between
        return {"": _tally(counts.total()), **found}

    search = repr((accounts, rest.terms, rest.metadata, rest.since, rest.until, person.department))
    try:
        return known.tallies(search, count)
    except (ArchiveUnavailable, QueryInvalid):
        return {}


def _tally(count: int) -> Tally:
    return Tally(min(count, MOST), count > MOST)


def _is_one(term: Term) -> bool:
    return len(term.values) == 1 and not term.without


def of_live(states: Sequence[str]) -> Counter[str]:
    """How many of these states there are, of those of faxes on their way."""
    return Counter(state for state in states if state in LIVE)
