"""How many faxes each tab of the list has, as far as that is known at once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import monotonic

from faxline.contract.errors import ArchiveUnavailable
from faxline_console.ended import Ended
from faxline_console.people import Person
from faxline_console.query import Query, QueryInvalid, Term

MOST = 1000
"""The most faxes that are counted; of more, the page says that they are more."""
REMEMBERED = 1000
"""The most searches of which the count is remembered."""
FRESH = 10.0
"""Seconds that a count is used."""
LASTS = 600.0
"""Seconds that it is known that there are more than MOST: they become fewer by the retention alone."""
MOST_ACCOUNTS = 20
"""The most accounts of which the archive's faxes are counted."""
LIVE = ("queued", "sending", "in_doubt")
"""The states of faxes on their way, as the search line names them."""
ENDED = ("delivered", "partial", "failed", "unconfirmed", "canceled")
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
        self._counts: dict[str, tuple[float, int]] = {}

    def count(self, search: str) -> int | None:
        """How many faxes a search found, not long ago; None if it is to be counted."""
        until, count = self._counts.get(search, (0.0, 0))
        return count if until > self._now() else None

    def keep(self, search: str, count: int) -> None:
        """Remember a count."""
        if len(self._counts) >= REMEMBERED:
            self._counts.clear()
        self._counts[search] = self._now() + (LASTS if count > MOST else FRESH), count


def count_ended(
    ended: Ended, accounts: Sequence[str], query: Query, person: Person, counted: Known
) -> dict[str, Tally]:
    """Count in the archive what an index answers: by account, days, and one group or member of the metadata.

    It waits for the database: call it in a thread.
    """
    rest = query.any_state
    members = len(rest.metadata) + (person.department is not None)
    plain = all(_is_one(term) for word, term in rest.terms.items() if word == "group")
    named = members + ("group" in rest.terms)
    known = rest.terms.keys() <= _INDEXED and plain and all(map(_is_one, rest.metadata.values()))
    if not known or named > 1 or len(accounts) > MOST_ACCOUNTS:
        return {}
    states = [state for state in ENDED if state != "partial" or not named]
    found: dict[str, Tally] = {}
    try:
        for state in ("", *states):
            asked = replace(rest, terms={**rest.terms, "state": Term((state,))}) if state else rest
            search = repr(
                (state, *accounts, rest.terms, rest.metadata, rest.since, rest.until, person.department)
            )
            count = counted.count(search)
            if count is None:
                count = ended.count(accounts, asked, person, MOST + 1)
                counted.keep(search, count)
            found[state] = Tally(min(count, MOST), count > MOST)
    except (ArchiveUnavailable, QueryInvalid):
        return {}
    if named and not any(tally.more for tally in found.values()):  # no index has them, but the rest is known
        rest_of_all = 2 * found[""].count - sum(tally.count for tally in found.values())
        found["partial"] = Tally(max(0, rest_of_all))  # counts that are kept are not of the same moment
    return found


def _is_one(term: Term) -> bool:
    return len(term.values) == 1 and not term.without


def of_live(states: Sequence[str]) -> Counter[str]:
    """How many of these states there are, of those of faxes on their way."""
    return Counter(state for state in states if state in LIVE)
