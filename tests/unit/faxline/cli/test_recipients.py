"""A mailing's CSV file: what the reader takes from it, whatever program wrote it."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faxline.cli.app import UsageError
from faxline.cli.output import masked
from faxline.cli.recipients import Recipients, read_recipients
from faxline.contract.phone_numbers import EXAMPLE

FIRST, SECOND = "+12025550123", "+12025550124"


@pytest.fixture
def read(tmp_path: Path) -> Any:
    def reading(text: str | bytes, region: str | None = None, *, unique: bool = False) -> Recipients:
        path = tmp_path / "r.csv"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return read_recipients(path, region, unique=unique)

    return reading


def rows(found: Recipients) -> list[tuple[str, str]]:
    return [(row.fax["to"], row.fax.get("subject", "")) for row in found.rows]


BREAKS = ["\u2028", "\u2029", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85"]


@pytest.mark.parametrize("character", BREAKS)
def test_a_character_that_only_python_takes_for_the_end_of_a_line_cuts_no_row(
    read: Any, character: str
) -> None:
    found = read(f'subject,to\n"ok",{FIRST}\nRe: your order{character}(ref 77,{SECOND}\n')
    assert rows(found) == [(FIRST, "ok"), (SECOND, f"Re: your order{character}(ref 77")]
    assert [(row.place, row.line) for row in found.rows] == [(1, 2), (2, 3)]


@given(st.lists(st.text(), min_size=1, max_size=5), st.sampled_from(["\n", "\r\n", "\r"]))
def test_any_text_in_quotes_is_read_as_it_stands(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], end: str
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    texts = [text.replace("\0", "") for text in texts]
    quoted = ['"' + text.replace('"', '""') + '"' for text in texts]
    lines = ["subject,to", *(f"{text},+120255501{i:02}" for i, text in enumerate(quoted))]
    (folder / "r.csv").write_bytes(end.join(lines).encode("utf-8", "ignore"))
    found = read_recipients(folder / "r.csv")
    shutil.rmtree(folder)
    expected = [text.encode("utf-8", "ignore").decode().strip() for text in texts]
    assert [row.fax.get("subject", "") for row in found.rows] == expected


@pytest.mark.parametrize(
    "text",
    [
        f"to,subject\r\n{FIRST},Hi\r\n",
        f"to,subject,,\r\n{FIRST},Hi,,\r\n",
        f"to,,subject\r\n{FIRST},,Hi\r\n",
        f"To,SUBJECT\n{FIRST},Hi\n",
        f"FAXNUMBER;Subject\n{FIRST};Hi\n",
        f"sep=;\r\nto;subject\r\n{FIRST};Hi\r\n",
        f'"sep=|"\nto|subject\n{FIRST}|Hi\n',
        f"SEP=\t\nto\tsubject\n{FIRST}\tHi\n",
        f"to\tsubject\n{FIRST}\tHi\n",
        f"to,subject\r{FIRST},Hi\r",
        f"\ufeffsep=,\nto,subject\n{FIRST},Hi",
        f"\ufeffto\tsubject\r\n{FIRST}\tHi\r\n".encode("utf-16-le"),
        f"\ufeffto,subject\n{FIRST},Hi\n".encode("utf-16-be"),
    ],
)
def test_what_a_spreadsheet_writes_is_read(read: Any, text: str | bytes) -> None:
    assert rows(read(text)) == [(FIRST, "Hi")]


def test_the_name_of_a_metadata_column_keeps_its_case(read: Any) -> None:
    (row,) = read(f"to,Metadata.Customer\n{FIRST},7\n").rows
    assert row.fax["metadata"] == {"Customer": "7"}


def test_the_lines_are_counted_from_the_first_of_the_file(read: Any) -> None:
    found = read(f'sep=,\nto,subject\n{FIRST},"two\nlines"\n{SECOND},x\n')
    assert [row.line for row in found.rows] == [4, 5]
    with pytest.raises(UsageError, match="line 4: unexpected end of data"):
        read(f'sep=,\nto,subject\n{FIRST},x\n{FIRST},"\n')


@pytest.mark.parametrize("row", [f"{FIRST},Hello, World,", f"{FIRST},Hello,,World"])
def test_a_row_whose_values_slid_under_no_name_is_a_problem(read: Any, row: str) -> None:
    (found,) = read(f"to,subject,,\n{row}\n").rows
    assert "in a column without a name" in found.problem


def test_a_row_that_is_longer_than_the_header_is_a_problem(read: Any) -> None:
    (found,) = read(f"to,subject,message\n{FIRST},Hello, World,\n").rows
    assert "4 values for 3 columns" in found.problem


def test_a_file_without_a_header_line_is_told_without_its_number(read: Any) -> None:
    with pytest.raises(UsageError, match="the first line names the columns") as caught:
        read("12025550123,Hi\n12025550124,Hi\n")
    assert "2025550123" not in str(caught.value)


@pytest.mark.parametrize("text", [b"to\n\xff", f"to\n{FIRST}\n".encode("utf-16-le"), b"\xff\xfea"])
def test_a_file_in_another_encoding_is_told(read: Any, text: bytes) -> None:
    with pytest.raises(UsageError, match="save it as CSV UTF-8"):
        read(text)


def test_numbers_are_read_as_people_write_them_and_what_they_were_read_as_is_told(read: Any) -> None:
    found = read(f"to\n{FIRST}\n+1 (202) 555-0124\n0049 30 901820\n030 901821\ntel:+49-30-901822\n", "DE")
    assert [number for number, _ in rows(found)] == [
        *(FIRST, SECOND, "+4930901820", "+4930901821", "+4930901822"),
    ]
    assert found.notes == ("numbers that are not written as E.164 are read: 3 as +49, 1 as +1",)


def test_numbers_in_e164_need_no_word(read: Any) -> None:
    assert read(f"to\n{FIRST}\n{SECOND}\n").notes == ()


def test_a_number_that_stands_again_is_told_with_its_lines(read: Any) -> None:
    found = read(f"to,subject\n{FIRST},Hi\n+1 202 555 0123,Hi\n{SECOND},Hi\n{FIRST},Hi\n")
    assert len(list(found.rows)) == 4
    assert found.notes[-1] == (
        "a number is repeated (line 3 has that of line 2, line 5 has that of line 2): each row is sent; "
        "--unique sends to a number once"
    )


def test_of_many_numbers_that_stand_again_some_are_named(read: Any) -> None:
    (note,) = read("to\n" + f"{FIRST}\n" * 10).notes
    assert "line 5 has that of line 2, and 6 more)" in note


def test_a_number_is_taken_once_where_that_is_asked_for_and_the_others_keep_their_places(read: Any) -> None:
    text = f"to\n{FIRST}\n{FIRST}\n{SECOND}\n"
    found = read(text, unique=True)
    assert [(row.place, row.fax["to"]) for row in found.rows] == [(1, FIRST), (3, SECOND)]
    assert found.notes == ("a number is repeated (line 3 has that of line 2): the repeats are left out",)
    assert found.name == read(text).name


def test_what_is_no_number_stands_again_for_nobody(read: Any) -> None:
    found = read("to\n123\n123\n", unique=True)
    assert (len(list(found.rows)), found.notes) == (2, ())


def test_a_url_in_the_column_of_files_may_have_a_name(read: Any) -> None:
    url = "https://h.example/9f86?x=1"
    found = read(f"to,file\n{FIRST},invoice.pdf={url}\n{SECOND},{url}\n{SECOND},a=b.pdf\n")
    assert [row.fax["files"] for row in found.rows] == [[("invoice.pdf", url)], [url], ["a=b.pdf"]]


def test_an_example_is_shown_and_a_number_is_not() -> None:
    assert masked(f"such as {EXAMPLE}, not +13105550147") == f"such as {EXAMPLE}, not …0147"
