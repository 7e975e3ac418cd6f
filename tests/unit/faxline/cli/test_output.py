"""How the command writes JSON, moments and lengths of time."""

import json
import re
import time
from datetime import UTC, datetime, timedelta

import pytest

from faxline.cli.explaining import used_of
from faxline.cli.output import clock, moment, span, write_json
from faxline.reading.account_state import LimitState
from tests.stage.command_line import NOW


def test_a_line_of_json_is_one_line_to_any_reader(capsys: pytest.CaptureFixture[str]) -> None:
    data = {"x": "a\u2028b\u2029c\x85d\x0be\x0cf\x1cg\x1dh\x1ei"}
    write_json(data)
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line) == data


@pytest.mark.parametrize(
    ("used", "shown"), [(0, "0 of 50"), (0.03, "1 of 50"), (1.0, "1 of 50"), (12.4, "13 of 50")]
)
def test_what_is_used_of_a_burst_is_told_in_whole_requests(used: float, shown: str) -> None:
    assert used_of(LimitState(used, 50, 50)) == shown


def test_a_length_of_time_is_said_in_two_units_at_most() -> None:
    lengths = {0.4: "0 s", 12: "12 s", 60: "1 min", 125: "2 min 5 s", 7500: "2 h 5 min", 273_600: "3 d 4 h"}
    assert {seconds: span(seconds) for seconds in lengths} == lengths


def test_a_moment_has_its_date_if_that_is_another_day() -> None:
    assert re.fullmatch(r"\d\d:\d\d:\d\d \(1 min ago\)", moment(NOW - timedelta(minutes=1), NOW))
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d \(in 2 d\)", moment(NOW + timedelta(days=2), NOW))


@pytest.mark.parametrize(
    ("zone", "at"), [("UTC-9", datetime.max.replace(tzinfo=UTC)), ("UTC+9", datetime.min.replace(tzinfo=UTC))]
)
def test_a_moment_at_the_end_of_the_calendar_is_shown_wherever_one_is(
    monkeypatch: pytest.MonkeyPatch, zone: str, at: datetime
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert clock(at, NOW) == f"{at:%Y-%m-%d %H:%M:%S}"
    finally:
        monkeypatch.undo()
        time.tzset()
