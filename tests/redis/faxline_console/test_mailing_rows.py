"""The rows and documents of a mailing: what each row becomes, and what is wrong with the others."""

import pytest
import redis

from faxline.cli import recipients
from faxline.contract.phone_numbers import normalize_number
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
    assert "Rows.csv, line 10002: only 10,000 rows are taken at once" in shown(answer)
    assert len(read) == 10_000


def test_a_repeated_number_is_told_with_what_can_be_done_here(own_console: Console) -> None:
    page = shown(upload(own_console.person("clerk"), "to\n+12025550147\n+12025550147\n"))
    assert "each row is sent; to send to a number once, take its other rows out of the file." in page
    assert "--unique" not in page


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
