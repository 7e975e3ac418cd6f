"""Without JavaScript, and without the right password."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from faxline import JobState
from tests.console.office import Letter, Office
from tests.console.steps import find, give_reason, pdf_file, plan
from tests.console.visitor import PHONE, People, Visitor


@pytest.fixture
def stranger(everybody: People) -> Iterator[Visitor]:
    """Somebody who has not signed in."""
    one = everybody.another()
    yield one
    one.close()
    assert one.complaints == []


@pytest.fixture(scope="module")
def plain(everybody: People) -> Iterator[Visitor]:
    """A clerk whose browser runs no script."""
    one = everybody.another(script=False)
    one.sign_in("clerk")
    yield one
    one.close()
    assert one.complaints == []


def test_with_a_wrong_password_nobody_gets_in_and_is_not_told_which_was_wrong(stranger: Visitor) -> None:
    said = []
    stranger.go("/sign-in")
    expect(stranger.page.get_by_label("User name")).to_be_focused()
    for name in ("clerk", "nobody"):
        stranger.sign_in(name, "wrong horse battery")
        said.append(stranger.page.get_by_role("alert").inner_text())
        assert stranger.page.get_by_label("User name").input_value() == name
        assert stranger.page.get_by_label("Password").input_value() == ""
    assert said[0] == said[1]
    assert "did not match" in said[0]
    stranger.go("/faxes")
    assert "/sign-in" in stranger.page.url


def test_a_page_that_was_asked_for_before_comes_after_the_sign_in_and_who_signs_out_is_out(
    stranger: Visitor,
) -> None:
    stranger.go("/mailings")
    stranger.page.get_by_label("User name").fill("viewer")
    stranger.page.get_by_label("Password").fill("correct horse battery")
    stranger.page.get_by_label("Password").press("Enter")
    stranger.page.wait_for_url("**/mailings")
    stranger.page.get_by_role("button", name="Sign out").click()
    stranger.go("/mailings")
    assert "/sign-in" in stranger.page.url


def test_without_javascript_a_fax_is_found_by_the_form_and_read(plain: Visitor) -> None:
    plain.go("/faxes")
    plain.page.get_by_text("Search by form").click()
    plain.page.get_by_label("To", exact=True).fill("+1 202 555 0104")
    plain.page.get_by_role("button", name="Search by these fields").click()
    plain.page.get_by_role("link", name="Appointment list").click()
    expect(plain.page.locator(".say")).to_contain_text("4 pages")


def test_without_javascript_a_fax_is_sent_and_another_canceled_by_its_plan(
    plain: Visitor, office: Office
) -> None:
    plain.go("/send")
    plain.page.get_by_label("Numbers, one a line").fill("+12025550126")
    plain.page.locator("#files").set_input_files([pdf_file()])
    plain.page.get_by_role("button", name="Send", exact=True).click()
    job = plain.page.url.rpartition("/")[2].partition("?")[0]
    office.await_state(job, JobState.DELIVERED)

    letter = Letter("plain.1", "0127", "Waits", "south", state=JobState.QUEUED)
    office.send(letter)
    office.await_state(letter.id, JobState.QUEUED, "south")
    plain.go("/faxes")
    find(plain, "id:plain.1")
    plan(plain, ["plain.1"], "Cancel")
    give_reason(plain, "no longer needed", "Cancel 1 fax")
    office.await_state(letter.id, JobState.CANCELED, "south")


def test_without_javascript_the_menu_opens_on_a_phone_and_the_colours_can_be_chosen(plain: Visitor) -> None:
    plain.look("light", PHONE)
    plain.go("/faxes")
    link = plain.page.get_by_role("link", name="Mailings")
    expect(link).to_be_hidden()
    plain.page.get_by_role("button", name="Menu").click()
    expect(link).to_be_visible()
    plain.page.get_by_text("Dark", exact=True).click()
    plain.page.get_by_role("button", name="Set").click()
    expect(plain.page.locator("html")).to_have_attribute("data-theme", "dark")
