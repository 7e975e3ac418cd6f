"""A pause and its end, ordered by several people who look at the same account."""

import pytest

from faxline import FaxLine, PauseChanged


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
