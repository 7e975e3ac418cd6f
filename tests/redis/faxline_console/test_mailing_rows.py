"""The rows and documents of a mailing: what each row becomes, and what is wrong with the others."""

import csv
import io

import pytest
import redis

from faxline.cli import recipients
from faxline.contract.phone_numbers import normalize_number
from faxline_console.pages import mailing_uploads
from tests.consoles import Console, shown
from tests.hostile_files import plain_pdf
from tests.redis.faxline_console.test_mailings import GIF, ROWS, draft_of, pushed, upload


def test_a_row_that_names_no_document_is_bad_and_gets_none_of_the_others(
    own_console: Console, redis_client: redis.Redis
) -> None:
    person = own_console.person("clerk")
    rows = "to,file\n+12025550147,smith.pdf\n+12025550148,\n+12025550149,jones.pdf\n"
    documents = [("files", (f"{name}.pdf", plain_pdf(1))) for name in ("smith", "jones", "brown")]
    answer = person.act("/mailings/new", [("csv", ("rows.csv", rows.encode())), *documents], account="north")
    assert "Ready 2 of 3 Bad rows 1" in shown(answer)
    assert "the file is missing" in shown(answer)
    person.act("/mailings/push", draft=draft_of(answer), name="results", bad="leave")
    got = {
        entry["id"]: [file["fileName"] for file in entry["fax"]["faxData"]] for entry in pushed(redis_client)
    }
    assert got == {"results.1": ["smith.pdf"], "results.3": ["jones.pdf"]}


def test_a_file_with_too_many_rows_is_not_read_to_its_end(
    own_console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def normalize(number: str, region: str | None) -> str:
        read.append(number)
        return normalize_number(number, region)

    monkeypatch.setattr(recipients, "normalize_number", normalize)
    answer = upload(own_console.person("clerk"), "to\n" + "+12025550147\n" * 30_000)
    assert answer.status_code == 400
    assert "rows.csv, line 10002: only 10,000 rows are taken at once" in shown(answer)
    assert len(read) == 10_000


def test_a_mended_file_is_told_to_send_again_what_went_with_the_first_one(
    own_console: Console, redis_client: redis.Redis
) -> None:
    person = own_console.person("clerk")
    first = upload(person, f"{ROWS}none,Reminder\n")
    assert "go again" not in shown(first)
    person.act("/mailings/push", draft=draft_of(first), name="june", bad="leave")
    mended = f"{ROWS}+12025550149,Reminder\n"
    again = upload(person, mended)
    text = shown(again)
    assert "2 of these rows went to the same numbers with the same documents in june , pushed " in text
    assert "They go again. " in text
    assert 'href="/mailings/north/june"' in again.text
    colleague = upload(own_console.person("operator"), "to\n+12025550147\n")
    assert "1 of these rows went" in shown(colleague)
    for other in (
        upload(own_console.person("radiologist"), mended),
        upload(person, mended, account="south"),
        upload(person, "to\n+12025550149\n"),
        person.act("/mailings/new", [("csv", ("rows.csv", mended.encode()))], account="north", region=""),
    ):
        assert "go again" not in shown(other)
    named = person.act("/mailings/push", draft=draft_of(again), name="june")
    assert named.status_code == 400
    assert len(pushed(redis_client)) == 2


def test_a_repeated_number_is_told_with_what_can_be_done_here(own_console: Console) -> None:
    page = shown(upload(own_console.person("clerk"), "to\n+12025550147\n+12025550147\n"))
    assert "each row is sent; to send to a number once, take its other rows out of the file." in page
    assert "--unique" not in page


def test_the_preview_shows_how_each_number_without_a_code_will_be_dialled(
    own_console: Console,
) -> None:
    rows = "to\n2025550113\n030 123456\n+1 202 555 0114\n0171 5550115\n+44 20 7946 0018\n00441632960116\n"
    files = [("csv", ("rows.csv", rows.encode())), ("files", ("letter.gif", GIF))]
    answer = own_console.person("clerk").act("/mailings/new", files, account="north", region="DE")
    text = shown(answer)
    assert "3 numbers without a country code" in text
    lines = ["2 +49 ••• 0113 Germany", "3 +49 ••• 3456 Germany", "5 +49 ••• 0115 Germany"]
    assert f"Line Will be dialled Country {' '.join(lines)}" in text
    assert "0114" not in text
    assert "492025550113" not in answer.text
    assert "without a country code" not in shown(upload(own_console.person("clerk"), ROWS))


def test_the_preview_shows_the_countries_of_few_rows_before_those_of_many(
    own_console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing_uploads, "SHOWN", 2)
    rows = "to\n030 123451\n030 123452\n+49\n030 123453\n"
    files = [("csv", ("rows.csv", rows.encode())), ("files", ("letter.gif", GIF))]
    clerk = own_console.person("clerk")
    text = shown(clerk.act("/mailings/new", files, account="north", region="DE"))
    assert "2 of 3 shown, the country of the fewest first" in text
    rows = "to\n" + "".join(f"202 555 010{place}\n" for place in range(3)) + "242 322 0117\n"
    files[0] = ("csv", ("rows.csv", rows.encode()))
    text = shown(clerk.act("/mailings/new", files, account="north", region="US"))
    assert "Country 5 +1 ••• 0117 Bahamas 2 +1 ••• 0100 United States" in text


def test_the_page_of_a_mailing_offers_the_rows_that_were_left_out_to_who_pushed_it(
    own_console: Console, redis_client: redis.Redis
) -> None:
    person, colleague = own_console.person("clerk"), own_console.person("operator")
    rows = "to;subject\nsee file;Ms Byrne\n+12025550147;x\n"
    for name, file in (("june", rows), ("july", ROWS)):
        person.act("/mailings/push", draft=draft_of(upload(person, file)), name=name, bad="leave")
    here = "/mailings/north/june/left-out.csv"
    assert f'<a href="{here}">Download it (CSV)</a>' in person.get("/mailings/north/june").text
    (row,) = csv.DictReader(io.StringIO(person.get(here).text.lstrip("\ufeff")))
    assert (row["line"], row["row"]) == ("2", "see file;Ms Byrne")
    assert "not one fax number" in row["problem"]
    assert colleague.get("/mailings/north/june").status_code == 200
    assert "left-out.csv" not in colleague.get("/mailings/north/june").text
    assert colleague.get(here).status_code == 404
    assert "left-out.csv" not in person.get("/mailings/north/july").text
    assert person.get("/mailings/north/july/left-out.csv").status_code == 404
    assert pushed(redis_client)


@pytest.mark.parametrize("names", [("letter.pdf", "letter.pdf"), ("a/letter.pdf", "b\\letter.pdf")])
def test_two_documents_of_one_name_are_refused_because_a_row_would_get_the_wrong_one(
    own_console: Console, names: tuple[str, str]
) -> None:
    files = [("csv", ("rows.csv", ROWS.encode())), *(("files", (name, GIF)) for name in names)]
    answer = own_console.person("clerk").act("/mailings/new", files, account="north", region="")
    assert answer.status_code == 400
    assert "Two files have the same name: letter.pdf." in shown(answer)
    assert draft_of(answer) == ""


def test_a_document_of_a_kind_that_is_not_sent_is_refused_before_the_preview(own_console: Console) -> None:
    files = [("csv", ("rows.csv", ROWS.encode())), ("files", ("a.gif", GIF)), ("files", ("b.docx", b"PK"))]
    answer = own_console.person("clerk").act("/mailings/new", files, account="north", region="")
    assert answer.status_code == 400
    assert "b.docx: a file ends in .pdf, .tif, .tiff, .png, .jpg, .jpeg, .gif or .txt." in shown(answer)
    assert "Choose this file and the documents again: a browser does not keep them." in shown(answer)
    assert draft_of(answer) == ""
