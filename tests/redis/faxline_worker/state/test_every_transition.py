"""A walk of the whole transition table: every script, told everything it can be told, in every state.

What was seen is held against the expected table (tests/stage/expected.py) and against the table of
ARCHITECTURE.md; and as every call of the walk is made twice, as a client does that lost a reply, it must not
have acted twice.
"""

import re
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import redis
from jsonschema import Draft202012Validator

from faxline.schema import events_schema
from faxline_local.redis_server import RedisServer
from faxline_worker.state.results import Polled, Receipted, Reported, Settlement, TimerRun, WakePlan
from faxline_worker.state.store import SCRIPTS
from faxline_worker.state.streams import Replaced
from tests.stage.expected import expected
from tests.stage.inputs import INPUTS
from tests.stage.walk import Seen, Walk

if TYPE_CHECKING:
    from collections.abc import Sequence

ARCHITECTURE = Path(__file__).parents[4] / "ARCHITECTURE.md"
SCRIPT_FOLDER = Path(__file__).parents[4] / "worker" / "faxline_worker" / "state" / "lua"
Step = tuple[str, str, str, str]
"""Script, from, to, event (`none`)."""
RECORDED = {"delayed": "queued", "marked": "submitting"}
"""The states of the walk that a record does not tell apart."""


@pytest.fixture(scope="module")
def seen(redis_server: RedisServer) -> list[Seen]:
    with redis.Redis.from_url(redis_server.url(0)) as client:
        return list(Walk(client))


def test_the_walk_calls_every_script() -> None:
    assert {script for script, _ in INPUTS} == set(SCRIPTS)


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_input_does_in_every_state_what_the_table_says(seen: list[Seen], script: str) -> None:
    of_it = [s for s in seen if s.script == script]
    did = {(s.input, s.state): s.outcome for s in of_it}
    should = {(s.input, s.state): expected(s.script, s.input, s.state, s.before) for s in of_it}
    assert did == should


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_called_again_after_a_lost_reply_changes_nothing(seen: list[Seen], script: str) -> None:
    changed = {(s.input, s.state): s.second_changed for s in seen if s.script == script and s.second_changed}
    assert changed == {}


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_called_again_answers_the_same_or_that_it_is_done(seen: list[Seen], script: str) -> None:
    puzzling = {
        (s.input, s.state): (s.reply, s.second_reply)
        for s in seen
        if s.script == script and s.second_reply != s.reply and not says_done(s.reply, s.second_reply)
    }
    assert puzzling == {}


def says_done(first: object, second: object) -> bool:  # noqa: PLR0911 - one a reply
    """Whether the second answer tells the caller that the first call did it."""
    match first, second:
        case Settlement(), Settlement():
            # A job that was put back may be what the caller goes on with.
            state = "submitting" if first.next is not None else first.state
            done = second.result == "repeated" and second.state == state and not second.wakes
            return done and second.next == first.next
        case Reported(), Reported():
            return second.result == "repeated" and second.job == first.job
        case Receipted(), Receipted():
            return second.result == "gone"
        case TimerRun(), TimerRun():
            return second.changes == () and second.next == first.next
        case Polled(), Polled():
            return second.asked == 0 and second.next == first.next
        case WakePlan(), WakePlan():
            return second.wakes == () and second.next == first.next  # when they would be given up
    nothing = Replaced(None, 0, left=False)
    again: Sequence[object] = (
        "gone",
        "busy",
        "idle",
        [("gone", "")],
        [("done", "")],
        [],
        ([], False),
        (0, 0, 0),
        False,
    )
    return second in (*again, nothing)


def steps(seen: list[Seen]) -> set[Step]:
    """The transitions of the walk, one for each event; some inputs make two in one go."""
    found: set[Step] = set()
    for s in seen:
        state, after = (RECORDED.get(name, name) for name in (s.before, s.after))
        for event in s.events:
            moved = event.data.get("state")
            to = moved if moved and moved != "rejected" else state
            found.add((s.script, state, to, event.name))
            state = to
        if not s.events and s.after != s.before:
            found.add((s.script, state, after, "none"))
        else:
            assert state == after, s
    return found


def documented() -> set[Step]:
    """The rows of the transition table: every script and from of a row with every to and event."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    table = text.split("| script | from | to | event |\n|---|---|---|---|\n")[1].split("\n\n")[0]
    found: set[Step] = set()
    for row in table.splitlines():
        scripts, origins, targets, event_cell = (cell.strip() for cell in row.strip("|").split("|"))
        events = re.findall(r"fax\.\w+|none", event_cell)
        assert events, row
        ways = product(re.findall(r"\w+", scripts), origins.split(", "), targets.split(", "), events)
        for script, origin, target, event in ways:
            to = origin if target == "the same" else target
            found.add((script, origin, to, event.replace("STATE", to)))
    return found


def test_the_transition_table_of_the_architecture_is_what_was_seen(seen: list[Seen]) -> None:
    assert documented() - steps(seen) == set()
    assert steps(seen) - documented() == set()


def test_every_event_fits_its_schema_and_has_no_member_that_the_schema_does_not_describe(
    seen: list[Seen],
) -> None:
    schema = events_schema()
    definitions = schema["$defs"]
    models = {
        rule["if"]["properties"]["event"]["const"]: rule["then"]["properties"]["data"]["$ref"]
        for rule in schema["allOf"]
    }
    validator = Draft202012Validator(schema)
    newest = {event.name: event for s in seen for event in s.events}
    assert set(models) == {*newest, "fax.received"}  # which is of no job
    for s in seen:
        for event in s.events:
            entry = {"event": event.name, "job": event.job, "at": "0", "data": event.data}
            assert [error.message for error in validator.iter_errors(entry)] == [], (
                s.script,
                s.input,
                s.state,
            )
            described = definitions[models[event.name].rpartition("/")[2]]["properties"]
            assert set(event.data) <= set(described), (s.script, s.input, s.state)


def test_the_architecture_names_the_scripts_that_move_no_job(seen: list[Seen]) -> None:
    still = set(SCRIPTS) - {script for script, *_ in steps(seen)}
    text = ARCHITECTURE.read_text(encoding="utf-8")
    table = text.split("\n### Scripts that move no job\n")[1].split("\n### ")[0]
    named = {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.rpartition(" | ")[0])}
    scripts = {path.stem for path in SCRIPT_FOLDER.glob("*.lua")}
    assert named == still | (scripts - set(SCRIPTS))
