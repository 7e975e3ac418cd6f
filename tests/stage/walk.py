"""The walk: every input in every state, and what it did, called once and called again."""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

import redis

from tests.stage.inputs import INPUTS, PLAIN, Input
from tests.stage.scene import Event, Moment, Scene
from tests.stage.states import AGAIN, EVERY_STATE, JOB, Actors, look, put


@dataclass(frozen=True)
class Seen:
    """What one input did to the job in one state."""

    script: str
    input: str
    state: str
    before: str
    """The state, without ` again`, at the moment of the call: what is prepared may have moved the job."""
    after: str
    events: tuple[Event, ...]
    reply: Any
    second_reply: Any
    second_changed: frozenset[str]
    """Keys that the second call changed."""

    @property
    def outcome(self) -> tuple[str, ...]:
        """The state after it and the events."""
        return (self.after, *(event.name for event in self.events))


class Walk:
    """Calls every script with every input in every state, twice."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._scenes: dict[frozenset[tuple[str, str]], Scene] = {}
        self._moments: dict[tuple[str, frozenset[tuple[str, str]]], tuple[Moment, Actors]] = {}

    def __iter__(self) -> Iterator[Seen]:
        for (script, name), entry in INPUTS.items():
            for state in EVERY_STATE:
                if not (state.endswith(AGAIN) and (entry.first_only or script in PLAIN)):
                    yield self._step(script, name, entry, state)

    def _step(self, script: str, name: str, entry: Input, state: str) -> Seen:
        actors = self._put(entry, state)
        scene = actors.scene
        call = entry.prepare(actors)
        before, _ = look(scene)
        reply = call()
        after, events = look(scene)
        events = [event for event in events if event.job]  # an entry that was not read is about no known job
        assert all(event.job == JOB for event in events)
        once = scene.content()
        again, twice = call(), scene.content()
        changed = frozenset(k for k in once.keys() | twice.keys() if once.get(k) != twice.get(k))
        return Seen(script, name, state, before, after, tuple(events), reply, again, changed)

    def _put(self, entry: Input, state: str) -> Actors:
        """The job in the state, which is brought about once and then restored."""
        setting = frozenset(entry.settings.items())
        scene = self._scenes.get(setting) or Scene(self._client, **entry.settings)
        self._scenes[setting] = scene
        way = state, frozenset(entry.fields.items())
        if way in self._moments:
            moment, actors = self._moments[way]
            scene.restore(moment)
        else:
            actors = put(scene, state, **entry.fields)
            self._moments[way] = scene.save(), copy(actors)
        actors = copy(actors)
        actors.scene = scene
        return actors
