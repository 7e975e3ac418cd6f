"""Random courses in which Redis goes back: nothing goes twice or after it was canceled, or stands still."""

import pytest

from tests.stage.courses_back import Course
from tests.stage.rollbacks import Process


@pytest.mark.parametrize("seed", range(30))
def test_no_fax_is_sent_twice_or_stands_still_however_redis_goes_back(a: Process, seed: int) -> None:
    course = Course(a, seed)
    course.play()
    assert course.requests
    assert course.stuck() == {}, course.log
