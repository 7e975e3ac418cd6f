"""What an administrator asks, answered in the browser by as many clicks as docs/console.md tells."""

import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from tests.console.visitor import DESK, People, Visitor

DOCS = Path(__file__).parents[2] / "docs/console.md"
ROW = re.compile(r"^\| ([^|]+\?) \| [^|]+ \| (\d+) \| (\d+) \| [\d.]+ \|$", re.MULTILINE)
TOLD = {
    question: (int(clicks), int(fields)) for question, clicks, fields in ROW.findall(DOCS.read_text("utf-8"))
}
"""The clicks and the typed fields of each question."""


class Hand:
    """A hand at mouse and keyboard, which counts."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page = visitor.page
        self.clicks = self.fields = 0

    def click(self, what: Locator | str) -> None:
        """Click on a link, a button or a text."""
        self.clicks += 1
        (self.page.get_by_role("link", name=what) if isinstance(what, str) else what).click()

    def type(self, field: Locator, text: str, *, enter: bool = False) -> None:
        """Fill in a field, and press Enter if asked."""
        self.fields += 1
        field.fill(text)
        if enter:
            field.press("Enter")


def arrived(hand: Hand) -> None:
    hand.page.keyboard.press("/")
    hand.type(hand.page.get_by_role("searchbox"), "to:+12025550111 since:today", enter=True)
    hand.click("Invoice 2211")
    expect(hand.page.locator(".say")).to_contain_text("All 2 pages arrived at")


def proven(hand: Hand) -> None:
    hand.visitor.go("/faxes/north/billing.2211")
    with hand.page.expect_download() as download:
        hand.click(hand.page.get_by_role("button", name="Proof (ZIP)"))
    assert download.value.suggested_filename == "north-billing.2211.zip"


def sent_again(hand: Hand) -> None:
    hand.visitor.go("/faxes/north/billing.2211")
    hand.click(hand.page.get_by_text("Resend…"))
    form = hand.page.locator("form[action$='/resend']")
    hand.type(form.get_by_label("Reason"), "the patient lost it")
    hand.click(hand.page.get_by_role("button", name="Resend 1 fax"))
    expect(hand.page.locator("main")).to_contain_text("Pushed")


def waits(hand: Hand) -> None:
    hand.click(hand.page.locator("nav.tabs").get_by_text("Queued"))
    hand.click("Filing 0-2026-119")
    expect(hand.page.locator(".why")).to_contain_text("Waiting for the hourly limit (2 of 2 used).")
    expect(hand.page.locator("main")).to_contain_text("Expected start")


def numbers_that_fail(hand: Hand) -> None:
    hand.click(hand.page.locator("nav.tabs").get_by_text("Failed"))
    rows = hand.page.locator("tbody tr").all_inner_texts()
    assert any("0017" in row and "Busy (code 17)" in row for row in rows), rows
    assert any("0001" in row and "Unallocated number (code 1)" in row for row in rows), rows


def pages_of_a_department(hand: Hand) -> None:
    hand.click("Usage")
    hand.clicks += 1  # the list opens and closes by one
    hand.page.locator("select[name=by]").select_option("metadata")
    hand.type(hand.page.get_by_label("Key of the metadata"), "department")
    hand.click(hand.page.get_by_role("button", name="Show"))
    row = hand.page.locator("tbody tr").filter(has=hand.page.get_by_role("link", name="billing"))
    expect(row).to_be_visible()
    assert int(row.locator("td").nth(2).inner_text()) >= 5


QUESTIONS: dict[str, Callable[[Hand], None]] = {
    "Did the fax to this number arrive that day?": arrived,
    "Can I prove it?": proven,
    "Can it go again?": sent_again,
    "Why does this fax wait, and until when?": waits,
    "Which numbers fail, and why?": numbers_that_fail,
    "How many pages did a department send this month?": pages_of_a_department,
}


def test_the_docs_tell_of_these_questions() -> None:
    assert list(TOLD) == list(QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_is_answered_by_as_many_clicks_as_the_docs_tell(people: People, question: str) -> None:
    operator = people("operator")
    operator.look("light", DESK)
    operator.go("/faxes")
    hand, began = Hand(operator), time.monotonic()
    QUESTIONS[question](hand)
    seconds = time.monotonic() - began
    print(f"{question} {hand.clicks} clicks, {hand.fields} fields, {seconds:.1f} s")
    assert (hand.clicks, hand.fields) == TOLD[question]
