"""The search line: what it understands, and what it says of what it does not."""

from contextlib import suppress
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline.contract.states import JobState
from faxline.reading.job import Job
from faxline_console.access.people import Person, Role
from faxline_console.asking.asked import WHOLE, misread
from faxline_console.asking.number_words import names_number
from faxline_console.asking.parsing import QueryInvalid, line_of, parse_query, with_state
from faxline_console.asking.query import Query
from faxline_console.showing.formats import member

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)  # still the 23rd in New York


def parse(line: str) -> Query:
    return parse_query(line, NEW_YORK, NOW)


def job(**fields: object) -> Job:
    return Job(**({"id": "a-1", "account": "north", "state": JobState.FAILED} | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "text"),
    [("7", "7"), (7, "7"), (True, "true"), ("true", "true"), (False, "false"), (1.0, "1.0")],
)
def test_a_member_of_the_metadata_has_one_text_by_which_it_is_found_left_out_and_seen(
    value: object, text: str
) -> None:
    fax = job(metadata={"vip": value})
    assert parse(f"meta.vip:{text}").matches(fax)
    assert not parse(f"-meta.vip:{text}").matches(fax)
    assert Person("a", Role.CLERK, department=("vip", text)).sees("north", fax.metadata)
    assert member(value) == text


@pytest.mark.parametrize("value", [None, [True], {"a": 1e999}, 1e999])
def test_what_is_no_text_number_or_truth_value_is_found_by_nothing_and_shown_as_json(value: object) -> None:
    fax = job(metadata={"vip": value})
    assert not parse(f"meta.vip:{value},{member(value)}".replace(" ", "")).matches(fax)
    assert not Person("a", Role.CLERK, department=("vip", str(value))).sees("north", fax.metadata)


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
        ("since:23.11.2026 until:23.11.2026", {"created_at": datetime(2026, 11, 23, 5, tzinfo=UTC)}),
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
        ("state: failed", "state: has no value"),
        ("-state:delivered -state:canceled", "state: is there twice"),
        ("id:a id:b", "id: is there twice"),
        ("june letter", "“june” and “letter” were both read as ids"),
        ("to:0147 TO:0148", "to: is there twice"),
        ("meta.ward:a meta.ward:b", "meta.ward: is there twice"),
        ("since:today since:yesterday", "since: is there twice"),
        ("-since:today", "takes no minus"),
        ("to:+12025", "is no whole number"),
        ("0123 2026-11-30", "write since:2026-11-30 until:2026-11-30"),
        ("+12025550147 2026-11-30", "write since:2026-11-30 until:2026-11-30"),
        ("202 555 0147 2026-11-30", "write since:2026-11-30 until:2026-11-30"),
        ("030 901820 30.11.2026", "write since:2026-11-30 until:2026-11-30"),
        ("030 901820 11/30/2026", "is a day"),
        ("since:11/30/2026", "is no day"),
        ("x" * 1001, "longer than 1000"),
    ],
)
def test_what_makes_no_sense_is_named(line: str, said: str) -> None:
    with pytest.raises(QueryInvalid, match=said):
        parse(line)


def test_a_reason_that_no_fax_has_is_named_with_what_it_resembles() -> None:
    assert misread(parse("reason:bussy")) == "There is no reason bussy. Did you mean busy?"
    assert misread(parse("reason:busy,zzzz")) == "There is no reason zzzz."
    assert not misread(parse("reason:busy"))
    assert not misread(parse("-reason:bussy"))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Failed", "write state:failed."),
        ("yesterday", "write since:yesterday."),
        (
            "0123",
            f"of faxes on their way, write to:0123. {WHOLE} For a jobId write jobid:0123.",
        ),
        (
            "555-0147",
            f"For the end of a number, of faxes on their way, write to:5550147. {WHOLE}",
        ),
        ("12", "For a jobId write jobid:12."),
        ("radiology", "meta.NAME:radiology."),
    ],
)
def test_a_word_alone_is_told_to_be_an_id_with_what_else_it_may_be(line: str, said: str) -> None:
    assert misread(parse(line)).startswith(f"The word “{line}” alone was read as an id. ")
    assert misread(parse(line)).endswith(said)
    assert not misread(parse(f"id:{line}"))


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


@pytest.mark.parametrize(
    ("line", "number", "fits"),
    [
        ("to:+12025550147", "+12025550147", True),
        ("to:+12025550147", "+13035550147", False),
        ("to:+12025550147", "+4930550147", False),
        ("-to:+12025550147", "+12025550147", False),
        ("-to:+12025550147", "+13035550147", True),
        ("to:0147", "+13035550147", True),
        ("to:5550147", "+4930550147", False),
        ("-to:5550147", "+4930550147", True),
        ("to:+12025550100,0147", "+13035550147", True),
        ("to:+12025550147", "", False),
        ("0049 (0) 4930 / 550147", "+494930550147", True),
        ("0049 4930 550147", "+12025550147", False),
        ("04930/550147", "+494930550147", True),
        ("-to:04930550147", "+494930550147", False),
        ("to:0147", "+13035551147", False),
    ],
)
def test_a_whole_number_means_that_number_and_an_end_all_of_its_digits(
    line: str, number: str, fits: bool
) -> None:
    assert parse(line).matches(job(to="…0147"), number) is fits


@pytest.mark.parametrize(
    "line",
    [
        "+1 202 555 0147",
        "to:+1 202 555 0147",
        "to:(202) 555-0147",
        "(202) 555-0147",
        "202-555-0147",
        "1-202-555-0147",
        "202 555 0147 state:failed",
        "12025550147",
        "state:failed +1 (202) 555-0147",
        '"+1 202 555 0147"',
        "-to:+12025550147",
        "meta.phone:+12025550147",
        "id:x +1-202-555-0147",
        "fax-12025550147",
        "group:+1.202.555.0147",
        "TO:0147",
        "to:+12025550147 state:bogus",
        "202\N{EN DASH}555\N{EN DASH}0147",
        "030 / 90 18 20",
    ],
)
def test_a_line_with_what_may_be_a_number_is_kept_out_of_addresses(line: str) -> None:
    assert names_number(line)


@pytest.mark.parametrize(
    "line",
    ["", "clinic-north.4660", "since:2026-11-17 until:2026-11-18", "group:letters-2026-11-17", "a 4711"],
)
def test_a_line_without_one_may_be_in_an_address(line: str) -> None:
    assert not names_number(line)


@pytest.mark.parametrize(
    ("line", "to"),
    [
        ("+1 202 555 0147", "+1 202 555 0147"),
        ("-to:+1 202 555 0147 state:failed", "+1 202 555 0147"),
        ("to:(202) 555-0147", "(202) 555-0147"),
        ("account:north (202) 555-0147", "(202) 555-0147"),
        ("202-555-0147", "202-555-0147"),
        ("12025550147", "12025550147"),
        ("030/901820", "030/901820"),
        ("030 / 90 18 20 state:failed", "030 / 90 18 20"),
        ("0049 (0) 30 / 90 18 20", "0049 (0) 30 / 90 18 20"),
        ("202\N{EN DASH}555\N{EN DASH}0147", "202\N{EN DASH}555\N{EN DASH}0147"),
        ("+49 30 \N{EN DASH} 901820", "+49 30 \N{EN DASH} 901820"),
        ("+49/30/901820", "+49/30/901820"),
    ],
)
def test_a_number_is_understood_as_people_write_it(line: str, to: str) -> None:
    assert parse(line).terms["to"].values == (to,)
    assert "id" not in parse(line).terms


@pytest.mark.parametrize("line", ["4711", "lab.20261117-0042", "2026-11-17.5", "to:0147 4711"])
def test_an_id_of_digits_stays_an_id(line: str) -> None:
    assert parse(line).terms["id"].values == (line.rpartition(" ")[2],)


RECORD = {
    "state": "delivered",
    "number": "+12025550147",
    "group": "june",
    "job_id": "88",
    "reason": "busy",
    "pages": "5",
    "transferred": "2",
    "metadata": '{"case": "7", "department": "radiology"}',
    "created_at": str(NOW.timestamp() * 1000 - 60_000),
}
ANYBODY = Person("ada", Role.VIEWER)
RADIOLOGIST = Person("eve", Role.CLERK, department=("department", "radiology"))


@pytest.mark.parametrize(
    "line", ["", "to:0147", "group:june", "jobid:88", "reason:busy", "meta.case:7", "since:today"]
)
@pytest.mark.parametrize("person", [ANYBODY, RADIOLOGIST])
def test_the_fields_that_a_line_names_decide_as_the_whole_record_does(line: str, person: Person) -> None:
    query = parse(line)
    part = {name: RECORD[name] for name in ("state", *query.fields(person))}
    few = Job.from_record("north", "a-1", part)
    assert query.matches(few)
    assert person.sees("north", few.metadata)
    assert few.created_at == Job.from_record("north", "a-1", RECORD).created_at


@pytest.mark.parametrize("line", ["id:a-1 state:partial", "a-1 state:partial", "group:june state:partial"])
def test_a_fax_that_arrived_in_part_is_told_from_a_whole_one_where_ended_ones_are_read(line: str) -> None:
    query = parse(line)
    assert query.matches(
        Job.from_record("north", "a-1", {name: RECORD[name] for name in ("state", *query.fields(ANYBODY))})
    )


def test_no_more_of_a_record_decides_than_is_asked_for() -> None:
    assert parse("reason:busy").fields(ANYBODY) == ["created_at", "reason"]
    assert parse("state:queued account:north").fields(ANYBODY) == ["created_at"]
    assert parse("-meta.case:7").fields(ANYBODY) == ["created_at", "metadata"]
    assert parse("").fields(RADIOLOGIST) == ["created_at", "metadata"]
