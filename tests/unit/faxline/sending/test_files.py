"""What a producer gives to `send`: files, URLs and their names, and values of a wrong type."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline import EntryRejected, Fax, FaxLine, Rejection, Selection
from faxline.sending.files import name_of_url
from faxline.testing import MemoryLine

TO = "+12025550123"
URL = "https://h.example/letter.pdf"


def pushed(files: Any, **more: Any) -> list[dict[str, Any]]:
    line = MemoryLine(deliver=False)
    line.send(to=TO, files=files, **more)
    found: list[dict[str, Any]] = line.entries[-1][1]["fax"]["faxData"]
    return found


def refused(**given: Any) -> EntryRejected:
    line: Any = MemoryLine()
    with pytest.raises(EntryRejected) as caught:
        line.send(**{"to": TO, "files": [URL], **given})
    assert line.entries == ()
    return caught.value


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (f"{URL}?next=/inbox/7", "letter.pdf"),
        (f"{URL}?sig=a/b%3D", "letter.pdf"),
        ("https://h.example/9f86d081?signature=ab", "9f86d081"),
        (f"{URL}#a/b", "letter.pdf"),
        ("https://h.example/%C3%9Cbersicht.pdf", "Übersicht.pdf"),
        ("https://h.example/a%2Fb.pdf", "b.pdf"),
        ("https://h.example/folder/", "document"),
        ("https://h.example", "document"),
        ("https://h.example?a=b/c.pdf", "document"),
        ("https://[::1]/a.pdf", "a.pdf"),
        ("https://h.example/" + "a" * 300 + ".pdf", "a" * 251 + ".pdf"),
    ],
)
def test_the_file_name_of_a_url_is_the_last_part_of_its_path(url: str, name: str) -> None:
    assert pushed([url]) == [{"fileName": name, "fileUrl": url}]


@given(st.text())
def test_any_url_has_a_name_that_a_fax_may_have(rest: str) -> None:
    assert 1 <= len(name_of_url("https://h.example/" + rest)) <= 255


def test_a_url_and_a_path_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("Hello")
    url, path = pushed([("invoice.pdf", URL + "/9f86d081"), ("hello.txt", tmp_path / "x.txt")])
    assert url == {"fileName": "invoice.pdf", "fileUrl": URL + "/9f86d081"}
    assert path["fileName"] == "hello.txt"
    (selected,) = pushed([Selection(file=("invoice.pdf", URL), pages=["1"])])
    assert selected == {"fileName": "invoice.pdf", "fileUrl": URL, "pages": ["1"]}


def test_one_file_needs_no_list(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("Hello")
    for one in (str(path), path, ("letter.txt", b"Hello")):
        assert [file["fileName"] for file in pushed(one)] == ["letter.txt"]
    assert pushed(URL) == [{"fileName": "letter.pdf", "fileUrl": URL}]
    assert pushed(Selection(file=URL, pages="1-5, 7")) == [
        {"fileName": "letter.pdf", "fileUrl": URL, "pages": ["1-5", "7"]}
    ]
    assert [file["fileName"] for file in pushed((str(path), str(path)))] == ["letter.txt"] * 2


def test_a_url_of_another_scheme_is_no_path() -> None:
    for url in ("ftp://h.example/a.pdf", "file:///tmp/a.pdf", "HTTPS://h.example/a.pdf"):
        found = refused(files=[url])
        assert (found.member, found.reason) == ("fax.faxData[0].fileUrl", Rejection.BAD_VALUE)
        assert "http or https" in found.message


@pytest.mark.parametrize(
    ("files", "member"),
    [
        (None, "fax.faxData"),
        (7, "fax.faxData"),
        (b"content", "fax.faxData"),
        (iter([URL]), "fax.faxData"),
        ([None], "fax.faxData[0]"),
        ("", "fax.faxData[0]"),
        ([URL, b"content"], "fax.faxData[1]"),
        ([("a.pdf",)], "fax.faxData[0]"),
        ([("a.pdf", None)], "fax.faxData[0]"),
        ([(b"a.pdf", b"content")], "fax.faxData[0]"),
        ([{"file": URL}], "fax.faxData[0]"),
        ([{"file": URL, "pages": 5}], "fax.faxData[0]"),
        ([{"file": {"file": 5, "pages": []}, "pages": []}], "fax.faxData[0]"),
    ],
)
def test_what_is_no_file_is_told_with_its_place_and_what_a_file_is(files: Any, member: str) -> None:
    found = refused(files=files)
    assert (found.member, found.reason) == (member, Rejection.BAD_VALUE)
    assert "a file is a path, a URL, (name, content)" in found.message


@pytest.mark.parametrize(
    ("to", "member"),
    [
        (12025550123, "fax.faxNumber"),
        (None, "fax.faxNumber"),
        (b"+12025550123", "fax.faxNumber"),
        (iter([TO]), "fax.faxNumber"),
        ([TO, 12025550123], "fax.faxNumber[1]"),
    ],
)
def test_a_number_that_is_no_text_is_told_with_the_fix(to: Any, member: str) -> None:
    found = refused(to=to)
    assert (found.member, found.reason) == (member, Rejection.BAD_VALUE)
    assert '"+12345678901"' in found.message


@pytest.mark.parametrize(
    ("given", "member"),
    [
        ({"metadata": {"x": object()}}, "metadata"),
        ({"metadata": 7}, "metadata"),
        ({"metadata": {"x": float("nan")}}, "metadata"),
        ({"attempts": float("inf")}, "attempts"),
        ({"metadata": {"x": b"content"}}, "metadata"),
        ({"subject": b"Hello"}, "fax.subject"),
        ({"expires_at": b"2030"}, "expires_at"),
        ({"expires_at": datetime(2030, 1, 1)}, "expires_at"),  # noqa: DTZ001 - which is what is refused
        ({"id": {1}}, "id"),
    ],
)
def test_a_value_that_json_has_not_is_told_with_its_member(given: Mapping[str, Any], member: str) -> None:
    assert refused(**given).member == member


def test_metadata_that_holds_itself_is_told() -> None:
    circle: dict[str, Any] = {}
    circle["x"] = circle
    assert refused(metadata=circle).member == "metadata"


def test_a_time_and_any_mapping_are_written_as_json() -> None:
    line: Any = MemoryLine(deliver=False)
    line.send(
        to=TO, files=URL, expires_at=datetime(2039, 1, 1, tzinfo=UTC), metadata=MappingProxyType({"x": 1})
    )
    _, entry = line.entries[-1]
    assert (entry["expires_at"], entry["metadata"]) == ("2039-01-01T00:00:00+00:00", {"x": 1})


def test_a_path_that_no_system_can_have_is_an_error_of_the_file() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        MemoryLine().send(to=TO, files=["a\0b.pdf"])


def test_a_ready_made_entry_with_a_value_that_json_has_not_is_told() -> None:
    with pytest.raises(EntryRejected, match=r"fax\.subject: JSON has no such value"):
        MemoryLine().push("send", {"id": "a", "fax": {"subject": b"Hello"}})


def test_numbers_are_normalized_and_the_job_tells_which_one_was_understood() -> None:
    line = MemoryLine(region="DE", deliver=False)
    job = line.send(to="030 901820", files=URL, id="a")
    assert line.entries[-1][1]["fax"]["faxNumber"] == "+4930901820"
    assert (job.to, line.job("a").to) == ("…1820", "…1820")
    line.send(to=["0049 30 901821", "+1 (202) 555-0123"], files=URL, id="b")
    assert line.entries[-1][1]["fax"]["faxNumber"] == ["+4930901821", TO]
    line.submit("a")
    again = line.resend("a", to="030 901822", id="c")
    assert (line.entries[-1][1]["faxNumber"], again.to) == ("+4930901822", "…1822")
    line.send_many([Fax(to="030 901823", files=URL)], group="june")
    assert line.entries[-1][1]["fax"]["faxNumber"] == "+4930901823"


@pytest.mark.parametrize(
    ("caller", "pushed"),
    [
        ("(202) 555-0100", "+12025550100"),
        ("+1 202 555 0100", "+12025550100"),
        ("Main desk", "Main desk"),
        ("", ""),
    ],
)
def test_a_caller_id_is_pushed_as_receipts_tell_it(caller: str, pushed: str) -> None:
    line = MemoryLine(region="US")
    line.send(to=TO, files=URL, callerId=caller)
    assert line.entries[-1][1]["fax"]["callerId"] == pushed


def test_without_a_region_a_national_number_is_refused() -> None:
    assert "the country code is missing" in refused(to="030 901820").message
    assert refused(to=[TO, "030 901820"]).member == "fax.faxNumber[1]"


def test_a_region_that_there_is_not_is_told_at_once() -> None:
    with pytest.raises(ValueError, match="two letters"):
        FaxLine("redis://localhost", region="Germany")


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.datetimes()
    | st.sampled_from([TO, URL, Path("none.pdf"), object(), bytearray(b"x"), range(2)]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["file", "pages", "x", ""]) | st.integers(), inner, max_size=3)
    ),
)


@given(st.dictionaries(st.sampled_from(sorted(Fax.__annotations__)), VALUES, min_size=1, max_size=2))
def test_whatever_is_given_is_pushed_or_an_error_that_names_a_member(given: dict[str, Any]) -> None:
    line: Any = MemoryLine(deliver=False)
    try:
        line.send(**{"to": TO, "files": [URL], **given})
    except EntryRejected as error:
        assert error.member or "is there twice" in str(error)  # noqa: PT017 - {1: 0, "1": 0} is one in JSON
        assert line.entries == ()
    except OSError as error:
        assert error.filename is not None  # noqa: PT017 - a path that is not there
    else:
        assert line.events(after="0")
