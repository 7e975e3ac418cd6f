"""What a process takes the account's steady clock to be."""

from hypothesis import given
from hypothesis import strategies as st

from faxline_worker.state.steady_clock import SteadyClock


@given(
    ahead=st.floats(0, 1e6),
    calls=st.lists(st.tuples(st.floats(0, 100), st.floats(0, 0.05)), min_size=1),
    later=st.floats(0, 100),
)
def test_the_steady_clock_is_never_ahead_of_what_a_process_takes_it_for(
    ahead: float, calls: list[tuple[float, float]], later: float
) -> None:
    moment = 0.0
    clock = SteadyClock(lambda: moment)
    for wait, way in calls:
        moment += wait
        asked = clock.asked()
        clock.learn(asked, int(ahead + (asked + way) * 1000))  # the scripts reply whole milliseconds
    moment += later
    assert float(clock.latest()) >= ahead + moment * 1000 - 1e-6
