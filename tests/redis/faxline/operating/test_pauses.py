"""A pause and its end, ordered by several people who look at the same account."""

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
import redis

from faxline import FaxLine, PauseChanged
from tests.stage.command_line import KEYS


@pytest.mark.usefixtures("dispatcher")
def test_a_pause_that_somebody_else_began_since_is_not_ended_by_who_saw_another_one(line: FaxLine) -> None:
    seen = line.pause(by="bob: the balance", timeout=20)
    line.resume(by="eve", timeout=20)
    line.pause(by="ada: wrong letters", timeout=20)
    with pytest.raises(PauseChanged, match="operator by ada: wrong letters"):
        line.resume(by="bob: it is topped up", pause=seen.pause, timeout=20)
    now = line.account_state()
    assert (now.paused, now.paused_by) == ("operator", "ada: wrong letters")
    assert line.resume(by="ada: they are out", pause=now.pause, timeout=20).paused == ""
    assert line.account_state().pause == ""


@pytest.mark.usefixtures("dispatcher")
def test_a_second_pause_begins_anew_for_both_so_that_the_first_one_does_not_end_it_unseen(
    line: FaxLine,
) -> None:
    first = line.pause(by="bob: lunch", timeout=20)
    second = line.pause(by="ada: wrong letters", timeout=20)
    assert second.paused_by == "bob: lunch; ada: wrong letters"
    again = line.pause(by="bob: lunch", timeout=20)
    assert (again.paused_by, again.pause) == (second.paused_by, second.pause)
    with pytest.raises(PauseChanged):
        line.resume(by="bob: back", pause=first.pause, timeout=20)
    assert line.account_state().paused == "operator"


def closed(redis_client: redis.Redis, reason: str, **more: Any) -> str:
    """The account is paused for this reason. Returns which pause it is, as `AccountState.pause` has it."""
    at = redis_client.time()[0] * 1_000_000
    paused: Any = {"paused": reason, "paused_at": at, "probe_at": at + 600_000_000, **more}
    redis_client.hset(KEYS.account_state, mapping=paused)
    return f"{reason} {at}"


@pytest.mark.usefixtures("dispatcher")
def test_a_probe_goes_now_and_only_into_the_pause_that_was_seen(
    line: FaxLine, redis_client: redis.Redis
) -> None:
    assert line.probe(by="ada", timeout=20) == "idle"
    seen = closed(redis_client, "insufficient_balance")
    assert line.account_state().pause == seen
    assert line.probe(by="ada: topped up", pause=seen, timeout=20) == "done"
    state = line.account_state()
    assert (state.paused, state.probe_at <= state.now) == ("insufficient_balance", True)
    redis_client.zadd(KEYS.permits, {"a call": float("inf")})
    assert line.probe(by="ada", pause=seen, timeout=20) == "busy"
    line.pause(by="bob: wrong letters", timeout=20)
    assert line.probe(by="ada", timeout=20) == "held"
    with pytest.raises(PauseChanged, match="operator by bob: wrong letters"):
        line.probe(by="ada", pause=seen, timeout=20)


@pytest.mark.usefixtures("dispatcher")
def test_the_command_lets_a_probe_go_and_says_which_pause_it_is_about(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine, redis_client: redis.Redis
) -> None:
    order = ("accounts", "probe", "default", "--timeout", "20")
    assert cli(*order) == (0, "account default is open: there is nothing to find out\n", "")
    closed(redis_client, "breaker")
    code, out, _ = cli(*order, "--by", "ada: iFax is back")
    assert (code, out.partition(" since")[0]) == (0, "account default is paused, breaker")
    assert "its probe goes now, or as soon as a fax waits" in out
    assert json.loads(cli(*order, "--json")[1]) == (
        {"account": "default", "paused": "breaker", "probe": "done"}
    )
    line.pause(by="bob: lunch", timeout=20)
    code, out, _ = cli(*order)
    assert (code, "paused, by an operator (bob: lunch): nothing was tried" in out) == (1, True)
    probes = [(entry.who, entry.outcome) for entry in line.audit() if entry.what == "probe"]
    assert ("ada: iFax is back", "done") in probes


@pytest.mark.usefixtures("dispatcher")
def test_the_command_tells_which_pause_it_ends_and_asks_nothing_in_a_script(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine
) -> None:
    order = ("accounts", "resume", "default", "--timeout", "20")
    line.pause(by="bob: lunch", timeout=20)
    is_open = "account default is open, 0 jobs queued\n"
    assert cli(*order) == (0, f"account default was paused, by an operator (bob: lunch)\n{is_open}", "")
    assert cli(*order) == (0, is_open, "")
    assert [entry.what for entry in line.audit()] == ["pause", "resume"]  # the second ordered nothing


@pytest.mark.usefixtures("dispatcher")
@pytest.mark.parametrize("answer", ["y", "n"])
def test_a_pause_that_begins_while_the_command_asks_about_another_one_is_not_ended(
    cli: Callable[..., tuple[int, str, str]], line: FaxLine, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:  # looked at once the command has read the pause
            line.pause(by="ada: wrong letters", timeout=20)
            return True

    line.pause(by="bob: lunch", timeout=20)
    monkeypatch.setattr(sys, "stdin", Terminal(f"{answer}\n"))
    code, _, err = cli("accounts", "resume", "default", "--timeout", "20")
    assert "Account default is paused, by an operator (bob: lunch). Resume it?" in err
    assert (code, "otherwise by now: operator by bob: lunch; ada: wrong letters" in err) == (
        *((1, True) if answer == "y" else (2, False)),
    )
    assert line.account_state().paused_by == "bob: lunch; ada: wrong letters"
    assert cli("accounts", "resume", "default", "--yes", "--timeout", "20")[0] == 0
