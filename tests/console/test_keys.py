"""The console by keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from tests.console.visitor import DESK, PHONE, People

FOCUSED = "document.activeElement.textContent.trim()"
SEEN = """(() => {
  const focus = document.activeElement, { left, top, bottom } = focus.getBoundingClientRect();
  return [top + 2, bottom - 2].every((y) => focus.contains(document.elementFromPoint(left + 4, y)));
})()"""
"""Whether what has the focus is covered by nothing."""


@pytest.fixture
def page(people: People) -> Page:
    admin = people("admin")
    admin.look("light", DESK)
    admin.go("/faxes")
    return admin.page


def focused(page: Page) -> str:
    found: str = page.evaluate(FOCUSED)
    return found


def test_a_slash_leads_to_the_search_line_where_letters_are_letters(page: Page) -> None:
    page.keyboard.press("/")
    search = page.get_by_role("searchbox")
    expect(search).to_be_focused()
    page.keyboard.type("jkx?gf/")
    expect(search).to_have_value("jkx?gf/")


def test_j_and_k_walk_the_rows_x_ticks_one_and_enter_opens_it(page: Page) -> None:
    first, second, third = page.locator("tbody tr a").all_inner_texts()[:3]
    for key, row in (("j", first), ("j", second), ("j", third), ("k", second), ("k", first), ("k", first)):
        page.keyboard.press(key)
        assert focused(page) == row
    ticks = page.locator("tbody .pick")
    page.keyboard.press("x")
    expect(ticks.nth(0)).to_be_checked()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    assert [ticks.nth(place).is_checked() for place in range(4)] == [True, True, True, False]
    page.keyboard.press("Enter")
    page.wait_for_url("**/faxes/*/*")


def test_no_focus_is_behind_the_bar_at_the_foot_or_at_the_head(page: Page) -> None:
    for width in (DESK, PHONE):
        page.set_viewport_size({"width": width, "height": 600})
        page.locator("tbody .pick").first.check()
        expect(page.locator(".bulk")).to_be_in_viewport()
        rows = page.locator("tbody tr").count()
        for key in ["j"] * rows + ["k"] * rows:
            page.keyboard.press(key)
            assert page.evaluate(SEEN)


def test_a_question_mark_shows_the_keys_and_escape_closes_them(page: Page) -> None:
    keys = page.get_by_role("heading", name="Keys")
    page.keyboard.press("?")
    expect(keys).to_be_visible()
    page.keyboard.press("Escape")
    expect(keys).to_be_hidden()


def test_escape_closes_what_is_open_and_no_key_sends_anything(page: Page) -> None:
    details = page.locator("main details").first
    page.get_by_text("Search by form").click()
    expect(details).to_have_attribute("open", "")
    page.keyboard.press("Escape")
    assert details.get_attribute("open") is None


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("f", "faxes"),
        ("n", "attention"),
        ("m", "mailings"),
        ("a", "accounts"),
        ("u", "usage"),
        ("s", "system"),
    ],
)
def test_g_and_a_letter_go_to_a_page(page: Page, key: str, path: str) -> None:
    page.goto("/audit")
    page.keyboard.press("g")
    page.keyboard.press(key)
    page.wait_for_url(f"**/{path}")


def test_the_first_stop_of_the_tab_key_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()


def test_one_letter_keys_that_are_turned_off_do_nothing_in_this_browser(page: Page) -> None:
    page.keyboard.press("?")
    page.get_by_label("One-letter keys are on").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    page.keyboard.press("j")
    assert focused(page) != page.locator("tbody tr a").first.inner_text()
    page.get_by_role("button", name="Keys").click()
    page.get_by_label("One-letter keys are on").check()
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    assert focused(page) == page.locator("tbody tr a").first.inner_text()
