"""Whether a process takes an account's calls: on a clock of the test's own."""

from collections.abc import Iterator
from unittest.mock import Mock, patch

import pytest

from faxline_worker.ifax import Answer, Decision
from faxline_worker.submission.standing import PASSES, Standing
from faxline_worker.wakeups.actors import Wakes, passed_on

LOST = Answer(Decision.UNREACHABLE, None, None, "no_route", "no route to iFax", None, None)
TAKEN = Answer(Decision.ACCEPTED, 200, 1, "accepted", "", 7, None)
DOUBT = Answer(Decision.IN_DOUBT, 502, None, "server_error", "", None, None)


class Clock:
    now = 1000.0


@pytest.fixture
def clock() -> Iterator[Clock]:
    made = Clock()
    with (
        patch("faxline_worker.submission.standing.time.monotonic", lambda: made.now),
        patch("faxline_worker.wakeups.actors.time.sleep", Mock()),
    ):
        yield made


@pytest.fixture
def on_change() -> Mock:
    return Mock()


@pytest.fixture
def standing(clock: Clock, on_change: Mock) -> Standing:
    del clock
    return Standing(1, 45, on_change)


def test_who_has_not_failed_takes_every_wake_up(standing: Standing) -> None:
    assert standing.takes(0)
    assert standing.away is None


def test_who_steps_back_takes_nothing_but_one_call_now_and_then(
    standing: Standing, clock: Clock, on_change: Mock
) -> None:
    standing.answered(LOST, standing.turn, apart=True)
    assert standing.away is not None
    assert standing.away.why == "no route to iFax"
    on_change.assert_called_once_with("no route to iFax")
    waits = []
    for _ in range(8):
        waited = 0
        while not standing.takes(PASSES):
            clock.now += 0.5
            waited += 1
        assert not standing.takes(PASSES)  # one at a time
        standing.answered(LOST, standing.turn, apart=True)
        waits.append(waited / 2)
    assert waits == [1, 2, 4, 8, 16, 32, 45, 45]


def test_an_answer_of_ifaxs_brings_it_back(standing: Standing, clock: Clock, on_change: Mock) -> None:
    standing.answered(LOST, standing.turn, apart=True)
    clock.now += 1
    assert standing.takes(0)
    standing.answered(TAKEN, standing.turn, apart=False)
    assert standing.away is None
    assert standing.takes(0)
    on_change.assert_called_with(None)


def test_a_doubt_brings_nobody_back_and_the_next_trial_follows(standing: Standing, clock: Clock) -> None:
    standing.answered(LOST, standing.turn, apart=True)
    clock.now += 1
    assert standing.takes(0)
    standing.answered(DOUBT, standing.turn, apart=False)
    standing.over()
    assert standing.away is not None
    assert not standing.takes(0)
    clock.now += 1
    assert standing.takes(0)


def test_where_nobody_else_is_accepted_the_process_is_not_at_fault(standing: Standing, clock: Clock) -> None:
    standing.answered(LOST, standing.turn, apart=True)
    clock.now += 1
    assert standing.takes(0)
    standing.answered(LOST, standing.turn, apart=False)  # the account is closed for all
    assert standing.away is None


def test_answers_of_calls_from_before_change_nothing(standing: Standing) -> None:
    before = standing.turn
    standing.answered(LOST, before, apart=True)
    standing.answered(TAKEN, before, apart=False)
    assert standing.away is not None


def test_who_failed_last_lets_others_go_first_a_few_times(standing: Standing) -> None:
    standing.answered(LOST, standing.turn, apart=False)
    assert [standing.takes(passed) for passed in range(PASSES + 1)] == [False] * PASSES + [True]
    standing.answered(TAKEN, standing.turn, apart=False)
    assert standing.takes(0)


def test_a_wake_up_that_is_passed_on_says_by_whom(standing: Standing) -> None:
    broker = Mock()
    wakes = Wakes(broker, "pod:1")
    assert not passed_on(wakes, standing, "default", "token", ())
    standing.answered(LOST, standing.turn, apart=True)
    assert passed_on(wakes, standing, "default", "token", ("other:2",))
    ((messages,), _) = broker.enqueue_all.call_args
    assert messages[0].args == ("default", "token", "other:2 pod:1")


def test_the_names_on_a_wake_up_do_not_grow_without_end(standing: Standing) -> None:
    broker = Mock()
    standing.answered(LOST, standing.turn, apart=True)
    by = ("pod:1",) * PASSES
    assert passed_on(Wakes(broker, "pod:1"), standing, "default", "token", by)
    ((messages,), _) = broker.enqueue_all.call_args
    assert messages[0].args[2].split() == list(by)
