"""How processes share the accounts, as they come and go."""

import random
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from faxline.reading.processes import EVERY, GONE, UNITS, units_from_text, units_to_text
from faxline_worker.state.units import (
    ALL,
    KEPT,
    OWNERS,
    OwnUnits,
    owners_of,
    unit_of,
    units_of,
)

NAMES = st.sets(st.text("abcdef0123456789:", min_size=1), min_size=1, max_size=20)


@given(NAMES)
def test_every_unit_belongs_to_two_processes_or_to_all_if_there_are_fewer(names: set[str]) -> None:
    owned = Counter(unit for name in names for unit in units_of(name, names))
    assert owned == dict.fromkeys(ALL, min(OWNERS, len(names)))


@given(NAMES, st.data())
def test_when_a_process_leaves_only_its_own_units_move_and_each_to_one_other(
    names: set[str], data: st.DataObject
) -> None:
    leaver = data.draw(st.sampled_from(sorted(names)))
    for unit in ALL:
        before, after = set(owners_of(unit, names)), set(owners_of(unit, names - {leaver}))
        assert after - before == (after - before if leaver in before else set())
        assert before - after <= {leaver}
        assert len(after - before) <= 1


@given(NAMES)
def test_what_a_heartbeat_says_of_units_is_read_back(names: set[str]) -> None:
    owned = units_of(min(names), names)
    assert units_from_text(units_to_text(owned)) == owned


def test_ten_thousand_accounts_are_spread_over_the_units() -> None:
    sizes = Counter(unit_of(f"account-{i}") for i in range(10_000))
    assert len(sizes) == UNITS
    assert max(sizes.values()) < 2 * min(sizes.values())


@given(st.integers(3, 12))
def test_the_units_of_a_process_are_about_its_share(count: int) -> None:
    names = [f"host-{i}:17:{i:08x}" for i in range(count)]
    sizes = [len(units_of(name, names)) for name in names]
    assert sum(sizes) == OWNERS * UNITS
    assert max(sizes) < 2.5 * OWNERS * UNITS / count


@dataclass
class Dispatcher:
    """One that beats and looks as a real one does, each at moments of its own."""

    name: str
    beats_at: float
    looks_at: float
    units: OwnUnits
    owned: frozenset[int] = ALL


@dataclass
class Fleet:
    """Dispatchers in simulated time. `beats` is what Redis knows."""

    chance: random.Random
    now: float = 0.0
    running: dict[str, Dispatcher] = field(default_factory=dict)
    beats: dict[str, float] = field(default_factory=dict)
    unowned_since: dict[int, float] = field(default_factory=dict)
    longest: float = 0.0
    made: int = 0

    def start(self) -> None:
        self.made += 1
        name = f"pod-{self.made}"
        units = OwnUnits(name, lambda: self.now)
        beats, looks = (self.now + self.chance.uniform(0, EVERY) for _ in range(2))
        self.running[name] = Dispatcher(name, beats, looks, units)

    def kill(self) -> None:
        """It says nothing: its heartbeat stays until it is too old."""
        del self.running[self.chance.choice(sorted(self.running))]

    def stop(self) -> None:
        """It says that it ended."""
        name = self.chance.choice(sorted(self.running))
        del self.running[name]
        self.beats.pop(name, None)

    def go(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            self.now += 0.25
            for one in self.running.values():
                if one.beats_at <= self.now:
                    self.beats[one.name], one.beats_at = self.now, self.now + EVERY
                if one.looks_at <= self.now:
                    living = [name for name, at in self.beats.items() if self.now - at <= GONE]
                    one.owned, one.looks_at = one.units.saw(living), self.now + EVERY
            self._look()

    def _look(self) -> None:
        served = frozenset[int]().union(*(one.owned for one in self.running.values()))
        for unit in ALL:
            if unit in served or not self.running:
                self.unowned_since.pop(unit, None)
            else:
                since = self.unowned_since.setdefault(unit, self.now)
                self.longest = max(self.longest, self.now - since)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32),
    st.lists(st.tuples(st.sampled_from(["start", "kill", "stop"]), st.floats(0.0, 20.0)), max_size=25),
)
def test_no_account_is_without_a_living_owner_for_longer_than_a_lost_heartbeat_and_a_look(
    seed: int, events: list[tuple[str, float]]
) -> None:
    fleet = Fleet(random.Random(seed))
    for _ in range(4):
        fleet.start()
    fleet.go(10)
    for event, wait in events:
        if event == "start" or len(fleet.running) > 1:
            getattr(fleet, event)()
        fleet.go(wait)
    fleet.go(60)
    assert fleet.unowned_since == {}
    assert fleet.longest <= GONE + 2 * EVERY


def test_one_that_is_killed_alone_leaves_no_account_without_an_owner() -> None:
    fleet = Fleet(random.Random(7))
    for _ in range(5):
        fleet.start()
    fleet.go(20)
    for _ in range(3):
        fleet.kill()
        fleet.go(GONE + 3 * EVERY)
        fleet.start()
        fleet.go(20)
    assert fleet.longest == 0


def test_a_unit_that_goes_to_another_is_kept_for_a_while() -> None:
    now = [100.0]
    units = OwnUnits("a", lambda: now[0])
    assert units.saw([]) == ALL
    now[0] += 1
    assert units.saw(["b", "c"]) == ALL
    now[0] += KEPT
    assert units.saw(["b", "c"]) == units_of("a", ["b", "c"]) < ALL
