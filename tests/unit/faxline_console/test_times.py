"""Times bear the zone that they were in, not the one of the day on which somebody looks."""

from datetime import UTC, datetime

import pytest

from faxline_console.showing.formats import Times

NOVEMBER = Times("America/New_York", datetime(2026, 11, 24, 18, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    ("at", "clock", "moment"),
    [
        (datetime(2026, 7, 1, 17, 18, 55, tzinfo=UTC), "1 Jul 13:18:55 EDT", "1 Jul 13:18:55 EDT"),
        (datetime(2026, 11, 1, 5, 30, tzinfo=UTC), "1 Nov 01:30:00 EDT", "1 Nov 01:30:00 EDT"),
        (datetime(2026, 11, 1, 6, 30, tzinfo=UTC), "1 Nov 01:30:00", "1 Nov 01:30:00 EST"),
        (datetime(2026, 11, 24, 17, 0, 1, tzinfo=UTC), "12:00:01", "12:00:01 EST"),
        (datetime(2025, 12, 24, 17, 0, tzinfo=UTC), "24 Dec 2025 12:00:00", "24 Dec 2025 12:00:00 EST"),
    ],
)
def test_a_time_of_another_season_has_the_zone_of_its_own_moment(
    at: datetime, clock: str, moment: str
) -> None:
    assert NOVEMBER.clock(at) == clock
    assert NOVEMBER.moment(at) == moment


def test_the_head_of_a_timeline_has_the_distance_from_utc_as_it_was_then() -> None:
    assert NOVEMBER.offset == "EST (UTC−5)"  # noqa: RUF001 - a minus, as the pages have it
    assert NOVEMBER.offset_at(datetime(2026, 7, 1, tzinfo=UTC)) == "EDT (UTC−4)"  # noqa: RUF001 - as above


@pytest.mark.parametrize(("zone", "place"), [("America/New_York", "New York time"), ("UTC", "UTC")])
def test_days_and_times_of_any_season_are_of_a_place(zone: str, place: str) -> None:
    assert Times(zone).place == place
