"""The chart of the usage: a place for each day or month, also for those without a fax."""

from datetime import date
from urllib.parse import quote

from starlette.requests import Request

from faxline.reading.archived import Usage
from faxline_console.pages.usage import Asked, bars, labels_of, slots_of


def test_a_month_in_other_digits_counts_as_not_given() -> None:
    request = Request({"type": "http", "query_string": quote("month=٢٠٢٦-11", safe="=").encode()})
    assert Asked.read(request, date(2026, 10, 5), []).month == "2026-10"


def test_each_day_of_the_month_has_its_place() -> None:
    slots = slots_of(Asked("day", "2026-11", date(2026, 11, 1), date(2026, 12, 1), ""))
    assert (slots[0], slots[-1], len(slots)) == ("2026-11-01", "2026-11-30", 30)
    first, last = bars([Usage("2026-11-01", 10, 8, 2, 9), Usage("2026-11-30", 5, 5, 0, 5)], slots)
    assert (first.x, last.x) == (5.0, 971.7)
    assert (first.delivered, first.failed, last.delivered) == (100.0, 25.0, 62.5)
    assert [label for label in labels_of(slots) if label] == ["1", "8", "15", "22", "29"]


def test_each_of_twelve_months_has_its_place() -> None:
    slots = slots_of(Asked("month", "2026-11", date(2025, 12, 1), date(2026, 12, 1), ""))
    assert (slots[0], slots[-1], len(slots)) == ("2025-12", "2026-11", 12)
    assert labels_of(slots) == slots


def test_without_a_fax_there_is_no_bar() -> None:
    assert bars([], ["2026-11-01"]) == []
