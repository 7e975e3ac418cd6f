"""The transmission report: always one page, in words, whatever a name is written in."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pypdfium2
import pytest

from faxline.reading.archived import ArchivedFax, Numbers
from faxline_archive.report import write_report
from faxline_archive.report_fonts import fonts_for
from faxline_archive.report_text import Delivery, Report, Seal, duration_of, moment, outcome_of

AT = datetime(2026, 10, 27, 13, 3, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
FAX = ArchivedFax(
    id="invoice-77",
    account="default",
    state="delivered",
    queued_at=AT,
    submitted_at=AT + timedelta(minutes=6),
    call_started_at=AT + timedelta(minutes=7),
    call_ended_at=AT + timedelta(minutes=8, seconds=12),
    ended_at=AT + timedelta(minutes=9),
    metadata={"case": "A-1042"},
    job_id=12345,
    pages=3,
    transferred=3,
    documents=("5b" * 32,),
    receipt="9f" * 32,
    numbers=Numbers("+12025550123", "+12025550199", "Dr. Example", "City Hospital"),
)
TRIES = [Delivery(AT, "no answer", "0 of 3", 12344), Delivery(AT, "delivered", "3 of 3", 12345)]
SEAL = Seal(10, 20, 1042, "ab" * 32, AT, "cd" * 32)
HARD = "مستشفى الملك فهد (قسم 3) 山田太郎 クリニック 🦷👩‍⚕️🇯🇵 𓀀 \u202e\x07\ud800"


def text_of(pdf: bytes) -> str:
    document = pypdfium2.PdfDocument(pdf)
    assert len(document) == 1
    return str(document[0].get_textpage().get_text_bounded())


def test_a_report_tells_everything_in_words() -> None:
    text = text_of(write_report(Report(FAX, TRIES, BERLIN, AT, SEAL)))
    for told in (
        *("Transmission report", "The recipient's machine received all of 3 pages."),
        *("+12025550123", "Dr. Example", "+12025550199", "City Hospital", "3 of 3", "1 min 12 s"),
        *("2026-10-27 14:03:12 CET (UTC+01:00)", "no answer", "12344", "5b" * 32, "9f" * 32, "ab" * 32),
        *("invoice-77", "A-1042", "entries 10 to 20, in the tree of 1042"),
    ):
        assert told in text


@pytest.mark.parametrize("paper", ["A4", "Letter"])
@pytest.mark.parametrize("bases", [(), None])
def test_the_times_of_deliveries_have_their_whole_zone(
    paper: str, bases: tuple[tuple[str, str], ...] | None
) -> None:
    summer = Delivery(datetime(2026, 7, 1, 12, 3, 12, tzinfo=UTC), "no answer", "0 of 3", 12344)
    report = Report(FAX, [summer], BERLIN, AT)
    shown = text_of(write_report(report if bases is None else replace(report, bases=bases), paper))
    assert "2026-07-01 14:03:12 CEST (UTC+02:00)" in shown


def test_one_page_is_not_called_all_of_them() -> None:
    said = outcome_of(replace(FAX, pages=1, transferred=1))
    assert said == ("Delivered", "The recipient's machine received the one page.")


@pytest.mark.slow
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_a_report_is_one_page_however_much_there_is_to_tell(paper: str) -> None:
    full = replace(
        FAX,
        state="failed",
        reason="no_answer",
        of="invoice-76",
        group="g" * 128,
        send_at=AT,
        documents=("5b" * 32,) * 20,
        metadata={f"member {n}" * 20: "long " * 900 for n in range(50)},
    )
    text = text_of(write_report(Report(full, TRIES * 60, BERLIN, AT, SEAL), paper))
    assert "and 47 more members of metadata" in text
    assert "and 17 more documents" in text
    assert "120" in text  # the last delivery
    height = {"A4": 841.89, "Letter": 792}[paper]
    assert pypdfium2.PdfDocument(write_report(Report(full, TRIES, BERLIN, AT), paper))[0].get_height() == (
        pytest.approx(height, abs=0.1)
    )


@pytest.mark.parametrize("bases", [(), None])
def test_a_name_in_any_script_is_written_with_the_fonts_that_are_there(
    bases: tuple[tuple[str, str], ...] | None,
) -> None:
    fax = replace(FAX, numbers=Numbers("+12025550123", None, HARD, "\U00013000"))
    report = Report(fax, TRIES, BERLIN, AT)
    shown = text_of(write_report(report if bases is None else replace(report, bases=bases)))
    assert "+12025550123" in shown
    assert "[U+13000]" in shown or bases == ()


def test_a_character_without_a_glyph_is_shown_by_its_number() -> None:
    assert fonts_for("é 山", bases=()).shown("é 山 \x07") == "é [U+5C71] "


def test_a_font_that_is_broken_is_passed_over(tmp_path: Path) -> None:
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"no font")
    fonts = fonts_for("é", bases=((str(broken), str(broken)),), fallbacks=(str(broken),))
    assert (fonts.base, fonts.fallbacks, fonts.shown("é")) == (None, (), "é")


@pytest.mark.parametrize(
    ("state", "more", "word", "part"),
    [
        ("delivered", {"partial": True, "transferred": 2}, "Partly delivered", "2 of 3 pages"),
        ("delivered", {"pages": None}, "Delivered", "received the fax"),
        ("failed", {"reason": "no_answer"}, "Failed", "(no answer)"),
        ("unconfirmed", {}, "Unconfirmed", "not known"),
        ("queued", {}, "Not sent yet", "waits"),
    ],
)
def test_each_end_has_its_words(state: str, more: dict[str, object], word: str, part: str) -> None:
    found = outcome_of(replace(FAX, state=state, **more))  # type: ignore[arg-type]
    assert found[0] == word
    assert part in found[1]


def test_times_are_shown_with_their_zone_and_a_call_that_ran_backwards_lasts_nothing() -> None:
    assert moment(AT, ZoneInfo("UTC")) == "2026-10-27 13:03:12 UTC"
    assert moment(AT, ZoneInfo("America/Sao_Paulo")) == "2026-10-27 10:03:12 UTC-03:00"
    assert moment(None, BERLIN) == ""
    assert duration_of(replace(FAX, call_ended_at=AT)) == "0 s"
    assert duration_of(replace(FAX, call_ended_at=None)) == ""


def test_there_are_two_papers() -> None:
    with pytest.raises(ValueError, match="A4 or Letter"):
        write_report(Report(FAX, TRIES, BERLIN, AT), "A5")
