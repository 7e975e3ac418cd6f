"""The search line: what it understands, and what it says of what it does not."""

from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_console.query import Query, QueryInvalid, line_of, parse_query, with_state

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)  # still the 23rd in New York


def parse(line: str) -> Query:
    return parse_query(line, NEW_YORK, NOW)


def job(**fields: object) -> Job:
    return Job(**({"id": "a-1", "account": "north", "state": JobState.FAILED} | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a-1", {}),
        ("id:a-1", {}),
        ("state:failed", {}),
        ("state:failed,queued", {}),
        ("-state:delivered", {}),
        ("state:partial", {"state": JobState.DELIVERED, "pages": 5, "transferred": 2}),
        ("state:sending", {"state": JobState.SUBMITTED}),
        ("state:queued", {"state": JobState.INTAKE}),
        ("to:+12025550147", {"to": "…0147"}),
        ("to:0147", {"to": "…0147"}),
        ("-to:0100", {"to": "…0147"}),
        ("group:june", {"group": "june"}),
        ("jobid:88", {"job_id": 88}),
        ("reason:busy account:north", {"reason": "busy"}),
        ('meta.case:"EX 7"', {"metadata": {"case": "EX 7"}}),
        ("meta.floor:3", {"metadata": {"floor": 3}}),
        ("since:today until:today", {"created_at": datetime(2026, 11, 23, 5, tzinfo=UTC)}),
        ("since:2026-11-23", {"created_at": datetime(2026, 11, 23, 5, tzinfo=UTC)}),
        ("", {}),
    ],
)
def test_a_fax_that_fits_is_found(line: str, fields: dict[str, object]) -> None:
    assert parse(line).matches(job(**fields))


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("a-2", {}),
        ("state:delivered", {"state": JobState.DELIVERED, "pages": 5, "transferred": 2}),
        ("-state:failed", {}),
        ("to:0100", {"to": "…0147"}),
        ("to:0100", {"to": None}),
        ("meta.case:7", {}),
        ("since:today", {"created_at": datetime(2026, 11, 23, 4, 59, tzinfo=UTC)}),
        ("until:yesterday", {"created_at": datetime(2026, 11, 23, 5, tzinfo=UTC)}),
        ("since:today", {"created_at": None}),
    ],
)
def test_a_fax_that_does_not_fit_is_left_out(line: str, fields: dict[str, object]) -> None:
    assert not parse(line).matches(job(**fields))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("colour:red", "colour: is not known"),
        ("state:gone", "state:gone is not known"),
        ("to:12", "fewer than four digits"),
        ("since:tuesday", "is no day"),
        ("until:9999-12-31", "is no day"),
        ('id:""', "has no value"),
        ("x" * 1001, "longer than 1000"),
    ],
)
def test_what_makes_no_sense_is_named(line: str, said: str) -> None:
    with pytest.raises(QueryInvalid, match=said):
        parse(line)


@given(st.text())
def test_any_line_is_understood_or_refused(line: str) -> None:
    with suppress(QueryInvalid):
        assert parse(line).matches(job()) in {True, False}


@pytest.mark.parametrize(
    ("line", "state", "wanted"),
    [
        ("", "failed", "state:failed"),
        ("state:queued", "failed", "state:failed"),
        ('meta.a:"b c" -state:queued', "", 'meta.a:"b c"'),
        ("meta.state:x", "failed", "meta.state:x state:failed"),
    ],
)
def test_a_tab_changes_only_the_state_of_a_line(line: str, state: str, wanted: str) -> None:
    assert with_state(line, state) == wanted


def test_the_forms_fields_become_a_line_that_says_the_same() -> None:
    line = line_of({"to": '+1 "202" 555 0147', "state": "failed", "meta": "ward=a b", "since": "2026-11-17"})
    assert line == 'to:"+1 202 555 0147" state:failed since:2026-11-17 meta.ward:"a b"'
    assert parse(line).metadata["ward"].values == ("a b",)
