"""What a log line may hold, and above all what it may not."""

import ast
import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import faxline_archive
import faxline_console
import faxline_worker
from faxline.contract.texts import mask_number
from faxline_worker.observability.log_keys import ALLOWED_KEYS, ID_KEYS, MEASURE_KEYS
from faxline_worker.observability.redaction import LONGEST_TEXT, Redactor

NUMBER = "+12345678901"


def redact(**event: Any) -> dict[str, Any]:
    return dict(Redactor()(None, "info", event))


def leaves(value: Any) -> list[str]:
    """Every text in a line, keys included."""
    if isinstance(value, dict):
        return [leaf for pair in value.items() for item in pair for leaf in leaves(item)]
    if isinstance(value, list):
        return [leaf for item in value for leaf in leaves(item)]
    return [str(value)]


def test_a_secret_among_thousands_is_found_in_every_spelling_and_a_short_one_too() -> None:
    secrets = [f"token {i:05} of an account" for i in range(2000)]
    redactor = Redactor([*secrets, "ab'c", secrets[7] + " and more"])
    text = f"{secrets[7]} and more, {secrets[1999]!r}; %27token%2001998%20of%20an%20account%27; 'ab\\'c'"
    assert redactor.text(text) == "***, '***'; %27***%27; '***'"


def test_keys_that_are_not_allowed_are_dropped_by_name() -> None:
    assert redact(event="e", token="t", fileData="JVBERi0", **{NUMBER: 1}) == {
        "event": "e",
        "dropped": ["fileData", "token", "…8901"],
    }


def test_every_key_of_our_own_lines_is_allowed() -> None:
    """A key that is not would be missing in the log, and nobody would notice."""
    calls = [
        (file.name, call)
        for package in (faxline_worker, faxline_archive, faxline_console)
        for file in Path(str(package.__file__)).parent.rglob("*.py")
        for call in ast.walk(ast.parse(file.read_text()))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute)
        if call.func.attr in {"bind", "debug", "info", "warning", "error", "exception"}
    ]
    named = [(name, key.arg) for name, call in calls for key in call.keywords if key.arg]
    assert len(named) > 100
    assert [key for key in named if key[1] not in {*ALLOWED_KEYS, "exc_info"}] == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+12345678901", "…8901"),
        ("12345678901", "…8901"),
        ("call 1234567 now", "call …4567 now"),
        ("tel:+12345678901;", "tel:…8901;"),
        ("x12345678901y", "x…8901y"),
        ("+1 (234) 567-8901", "…8901"),
        ("+44 1224 515014", "…5014"),
        ("(234) 567-8901", "…8901"),
        ("234-567-8901", "…8901"),
        ("٠١٢٣٤٥٦٧٨٩", "…٦٧٨٩"),
        ("123456", "123456"),
        ("code -3010 after 20 s on 10.0.0.17:6379", "code -3010 after 20 s on 10.0.0.17:6379"),
        ("2019-11-14T00:55:31.820Z", "2019-11-14T00:55:31.820Z"),
    ],
)
def test_a_phone_number_in_a_text_is_shown_by_its_mask_number_digits(text: str, shown: str) -> None:
    assert redact(event=text, reason=[{"a": (text,)}]) == {"event": shown, "reason": [{"a": [shown]}]}


def test_the_recipient_is_masked_however_short_the_number_is() -> None:
    assert redact(to="+12345678901") == {"to": "…8901"}
    assert redact(to="…8901") == {"to": "…8901"}
    assert redact(to="911-22") == {"to": "…1122"}
    assert mask_number(NUMBER) == "…8901"


def test_a_number_that_is_no_text_is_masked_unless_its_key_says_it_is_a_measure_or_an_id() -> None:
    assert redact(reason=12345678901, code=-3010) == {"reason": "…8901", "code": -3010}
    measures: dict[str, Any] = {
        "at": 1700000000000,
        "size": 20_000_000,
        "seconds": 1234567.5,
        "jobId": 12345678,
    }
    assert redact(**measures) == measures


def test_our_ids_stay_whole_but_for_what_is_written_as_a_phone_number() -> None:
    ids: dict[str, Any] = {
        "job": "12345678901",
        "entry": "1700000000000-0",
        "message_id": "01234567-89ab-cdef-0123-456789012345",
        "stream": "fax:{default}:intake",
    }
    assert redact(**ids) == ids
    assert redact(job="to:+12345678901") == {"job": "to:…8901"}


def test_ids_and_measures_are_allowed_keys() -> None:
    assert ALLOWED_KEYS >= ID_KEYS | MEASURE_KEYS


def test_documents_are_shown_by_their_size() -> None:
    assert redact(reason=b"%PDF-1.4") == {"reason": "(8 bytes)"}
    assert redact(event="sent " + "JVBERi0x" * 100 + "==") == {"event": "sent …(802 characters)"}


def test_a_long_text_keeps_its_two_ends() -> None:
    text = redact(event="begin " + "a b " * LONGEST_TEXT + "end")["event"]
    assert len(text) == LONGEST_TEXT + 3
    assert text.startswith("begin ")
    assert text.endswith(" end")


def test_values_of_other_kinds_become_plain_ones() -> None:
    some = UUID("01234567-89ab-cdef-0123-456789012345")
    assert redact(reason=some, result=datetime(2026, 1, 2, 3, 4, 5), limit=None, state=True) == {  # noqa: DTZ001 - its text is what matters
        "reason": str(some),
        "result": "2026-01-02 03:04:05",
        "limit": None,
        "state": True,
    }
    assert redact(error=ValueError(f"bad {NUMBER}")) == {"error": "bad …8901"}


NUMBERS = st.from_regex(r"\A\+?[0-9]{7,15}\Z")
KEYS = st.sampled_from(sorted(ALLOWED_KEYS - ID_KEYS - MEASURE_KEYS))
WRAPS: st.SearchStrategy[Callable[[str], Any]] = st.sampled_from(
    [
        lambda text: text,
        lambda text: [text],
        lambda text: {"a": (text, {text: 1})},
        lambda text: {text},
        ValueError,
        repr,
        json.dumps,
    ]
)


@given(number=NUMBERS, before=st.text(), after=st.text(), key=KEYS, wrap=WRAPS)
def test_no_text_around_a_number_lets_it_through(
    number: str, before: str, after: str, key: str, wrap: Callable[[str], Any]
) -> None:
    line = redact(**{key: wrap(before + number + after)})
    assert not any(number.lstrip("+") in text for text in leaves(line))


@given(number=NUMBERS, before=st.text(), after=st.text(), key=st.sampled_from(sorted(ID_KEYS)))
def test_no_text_around_a_number_with_a_plus_lets_it_through_as_an_id(
    number: str, before: str, after: str, key: str
) -> None:
    e164 = "+" + number.lstrip("+")
    assert e164 not in redact(**{key: before + e164 + after})[key]


@given(
    secret=st.text(st.characters(exclude_characters="*", exclude_categories=["Cs"]), min_size=8),
    before=st.text(),
    after=st.text(),
    key=KEYS,
    wrap=WRAPS,
)
def test_no_text_around_a_secret_lets_it_through(
    secret: str, before: str, after: str, key: str, wrap: Callable[[str], Any]
) -> None:
    line = Redactor([secret])(None, "info", {key: wrap(before + secret + after)})
    spellings = (secret, repr(secret)[1:-1], repr(secret + "'\"")[1:-4], json.dumps(secret)[1:-1])
    assert not any(spelling in text for text in leaves(line) for spelling in spellings)


@given(value=st.one_of(st.integers(), st.floats(allow_nan=False), st.booleans(), st.none()), key=KEYS)
def test_a_number_is_treated_alike_by_itself_and_within_something(value: Any, key: str) -> None:
    redactor = Redactor()
    assert redactor(None, "info", {key: value})[key] == redactor(None, "info", {key: [value]})[key][0]


def test_a_secret_that_is_learnt_later_is_hidden_in_texts_that_were_harmless_before() -> None:
    redactor = Redactor()
    assert redactor(None, "info", {"reason": "sesame"}) == {"reason": "sesame"}
    redactor.learn(["sesame"])
    assert redactor(None, "info", {"reason": "sesame"}) == {"reason": "***"}


def test_a_document_is_recognized_from_200_characters_on() -> None:
    assert redact(event="x" * 199) == {"event": "x" * 199}
    assert redact(event="x" * 200) == {"event": "…(200 characters)"}


def test_what_is_harmless_as_an_id_is_hidden_elsewhere() -> None:
    redactor = Redactor()
    assert redactor(None, "info", {"job": "12345678901"}) == {"job": "12345678901"}
    assert redactor(None, "info", {"reason": "12345678901"}) == {"reason": "…8901"}


def test_a_secret_that_looks_like_a_part_of_a_time_is_hidden_in_times_too() -> None:
    line = Redactor(["11-24T11"])(None, "info", {"timestamp": "2026-11-24T11:52:31.123456Z"})
    assert line == {"timestamp": "2026-***:52:31.123456Z"}
