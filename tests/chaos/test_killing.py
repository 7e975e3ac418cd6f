"""The hits of a run are carried out in their time, and an interlude alone."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from faxline_chaos import killing
from faxline_chaos.killing import run_hits
from faxline_chaos.schedule import Hit, Timetable
from faxline_local.processes import Part

SLOW = 2
"""Looks until a process that was started again is ready."""


class Scene:
    """Two workers that note what happens to them, in place of real processes."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.down: set[str] = set()
        self.starting: dict[str, int] = {}
        self.metrics = {"worker-1": 1, "worker-2": 2}
        self.parts: list[Any] = []

    def names(self, role: str) -> list[str]:
        return [name for name in self.metrics if name.startswith(role)]

    def part(self, name: str) -> Any:
        return Worker(self, name)

    def ready(self, name: str) -> bool:
        self.starting[name] = self.starting.get(name, 0) - 1
        return name not in self.down and self.starting[name] < 0


class Worker(Part):
    def __init__(self, scene: Scene, name: str) -> None:
        self._scene = scene
        self.name = name

    def kill(self) -> None:
        self._scene.down.add(self.name)
        self._scene.log.append(f"{self.name} killed")

    def start(self) -> None:
        self._scene.down.discard(self.name)
        self._scene.starting[self.name] = SLOW
        self._scene.log.append(f"{self.name} started")


class Interlude:
    """Notes who is at work."""

    def __init__(self, scene: Scene, now: Callable[[], float]) -> None:
        self._scene = scene
        self._now = now

    def play(self, seconds: float) -> None:
        begun = self._now()
        ready = sum(self._scene.starting.get(name, 0) < 0 for name in self._scene.metrics)
        self._scene.log.append(f"interlude of {seconds:g} s, {ready} ready, {len(self._scene.down)} down")
        assert self._now() == begun


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(killing, "WATCH", 0.01)
    monkeypatch.setattr(killing, "POSTPONE", 0.01)
    return Scene()


def test_an_interlude_waits_until_all_works_again_and_nothing_is_hit_meanwhile(scene: Scene) -> None:
    timetable = Timetable()
    interlude = Interlude(scene, lambda: timetable.now)
    hits = [Hit(0.0, "worker-1", 0.2, stall=False), Hit(0.0, "restore", 3.0, stall=False)]
    hits.append(Hit(0.01, "worker-2", 0.0, stall=False))
    assert run_hits(cast("Any", scene), hits, timetable, {}, {"restore": interlude}) == []
    assert scene.log == [
        *("worker-1 killed", "worker-1 started", "interlude of 3 s, 2 ready, 0 down"),
        *("worker-2 killed", "worker-2 started"),
    ]
