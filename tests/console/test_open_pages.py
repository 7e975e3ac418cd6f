"""Pages that stay open: what they show by themselves, and what they never do by themselves."""

import hashlib

from playwright.sync_api import Route, expect
from sqlalchemy import update

from faxline import JobState
from faxline_archive.database import open_database
from faxline_console.access.guard import COOKIE
from faxline_console.tables import sessions
from tests.console.office import Letter, Office
from tests.console.steps import pdf_file, upload_mailing
from tests.console.visitor import People

LATER = Letter("clinic.4700", "0131", "Followed", state=JobState.QUEUED)


def test_a_number_is_shown_as_it_will_be_dialled_while_it_is_typed_and_enter_sends_nothing(
    people: People, office: Office
) -> None:
    clerk = people("clerk")
    clerk.go("/send")
    dialled = clerk.page.locator("#dialled")
    clerk.page.get_by_label("Numbers, one a line").fill("(0) 30 901 820")
    expect(dialled).to_be_empty()
    clerk.page.get_by_label("Country of numbers without a code").select_option("Germany")
    expect(dialled).to_contain_text("+4930901820 Germany")
    clerk.page.get_by_label("Country of numbers without a code").select_option("Austria")
    expect(dialled).to_contain_text("+4330901820 Austria")
    clerk.page.locator("#files").set_input_files([pdf_file()])
    clerk.page.get_by_label("Subject").press("Enter")
    expect(clerk.note).to_contain_text("All is in order.")
    expect(dialled).to_contain_text("+4330901820 Austria")
    assert not [fax for fax in office.local.ledger() if fax["toNumber"].startswith("+43")]


def test_what_was_wrong_leaves_with_the_first_change_and_that_of_a_field_when_the_field_is_changed(
    people: People,
) -> None:
    clerk = people("clerk")
    clerk.go("/send")
    numbers, files = clerk.page.get_by_label("Numbers, one a line"), clerk.page.locator("#files")
    numbers.fill("12")
    files.set_input_files([pdf_file()])
    clerk.page.get_by_role("button", name="Check only").click()
    expect(clerk.page.get_by_role("alert")).to_contain_text("Nothing was sent.")
    wrong, again = clerk.page.locator("#w-to"), clerk.page.locator("#h-files")
    expect(again).to_have_text("Choose the file again: a browser does not keep it. letter.pdf")
    files.set_input_files([pdf_file()])
    expect(clerk.page.get_by_role("alert")).to_have_count(0)
    expect(again).to_have_count(0)
    expect(wrong).to_have_count(1)
    numbers.fill("+12025550124")
    expect(wrong).to_have_count(0)
    assert numbers.get_attribute("aria-invalid") is None


def test_that_a_number_lacks_its_country_leaves_when_the_country_is_chosen(people: People) -> None:
    clerk = people("clerk")
    clerk.go("/send")
    numbers = clerk.page.get_by_label("Numbers, one a line")
    numbers.fill("030 / 90 18 20")
    clerk.page.locator("#files").set_input_files([pdf_file()])
    clerk.page.get_by_role("button", name="Check only").click()
    expect(clerk.page.locator("#w-to")).to_contain_text("Line 1: the country code is missing; write it as")
    clerk.page.get_by_label("Country of numbers without a code").select_option("Germany")
    expect(clerk.page.locator("#dialled")).to_contain_text("+4930901820 Germany")
    expect(clerk.page.locator("#w-to")).to_have_count(0)
    assert numbers.get_attribute("aria-invalid") is None


def test_the_page_of_a_fax_follows_it_to_its_end_and_moves_no_focus(people: People, office: Office) -> None:
    clerk = people("clerk")
    office.line().pause(by="tests")
    office.send(LATER)
    office.await_state(LATER.id, JobState.QUEUED)
    clerk.go(f"/faxes/north/{LATER.id}")
    expect(clerk.page.locator(".why")).to_contain_text("Queued")
    clerk.page.evaluate("window.opened = true")
    clerk.page.get_by_role("link", name="Faxes", exact=True).last.focus()
    here = f"**/faxes/north/{LATER.id}"

    def once_archived(route: Route) -> None:
        office.await_archive("north", LATER.id)
        route.continue_()

    clerk.page.route(here, once_archived)
    office.line().resume(by="tests")
    expect(clerk.page.locator(".why")).to_contain_text("Delivered", timeout=60_000)
    clerk.page.unroute(here)
    expect(clerk.page.get_by_role("button", name="Transmission report (PDF)")).to_be_visible()
    assert clerk.page.evaluate("window.opened && document.activeElement.textContent") == "Faxes"


def test_the_page_of_a_mailing_says_why_some_failed_and_offers_to_resend_them_as_soon_as_they_do(
    people: People,
) -> None:
    clerk = people("clerk")
    upload_mailing(clerk, ["+12025550001", "+12025550121"])
    clerk.page.get_by_role("button", name="Push 2 faxes").click()
    expect(clerk.note).to_contain_text("Pushed.")
    clerk.page.evaluate("window.opened = true")
    expect(clerk.page.get_by_role("link", name="Unallocated number (code 1)")).to_be_visible(timeout=60_000)
    expect(clerk.page.get_by_role("button", name="Resend 1 failure…")).to_be_visible()
    assert clerk.page.evaluate("window.opened")


def test_back_after_a_fax_was_sent_leaves_no_file_of_it_in_the_form(people: People) -> None:
    clerk = people("clerk")
    clerk.go("/send")
    clerk.page.get_by_label("Numbers, one a line").fill("+12025550125")
    clerk.page.locator("#files").set_input_files([pdf_file()])
    clerk.page.get_by_role("button", name="Send", exact=True).click()
    expect(clerk.page.locator("main")).to_contain_text("Pushed")
    clerk.page.go_back()
    expect(clerk.page.get_by_role("heading", level=1)).to_have_text("Send a fax")
    assert clerk.page.locator("#files").evaluate("field => field.files.length") == 0


def test_a_page_that_hears_nothing_any_more_says_so_until_it_does(people: People) -> None:
    clerk = people("clerk")
    clerk.page.route("**/live", lambda route: route.abort())
    clerk.go("/faxes/north/lab.90311")
    note = clerk.page.locator("#newer")
    expect(note).to_contain_text("This page is not kept up to date any more.", timeout=30_000)
    clerk.page.unroute("**/live")
    expect(note).to_have_count(0, timeout=30_000)
    clerk.complaints.clear()  # of the aborted streams


def test_colours_are_chosen_without_leaving_a_plan_or_what_was_typed(people: People) -> None:
    clerk = people("clerk")
    clerk.go("/send")
    clerk.page.get_by_label("Numbers, one a line").fill("+12025550124")
    clerk.page.get_by_text("Dark", exact=True).click()
    expect(clerk.page.locator("html")).to_have_attribute("data-theme", "dark")
    assert clerk.page.get_by_label("Numbers, one a line").input_value() == "+12025550124"
    clerk.go("/faxes")
    expect(clerk.page.locator("html")).to_have_attribute("data-theme", "dark")
    clerk.page.locator("#main .pick").first.check()
    clerk.page.get_by_role("button", name="Resend…").click()
    heading = clerk.page.get_by_role("heading", level=1).inner_text()
    clerk.page.get_by_text("Auto", exact=True).click()
    expect(clerk.page.locator("html:not([data-theme])")).to_have_count(1)
    assert clerk.page.get_by_role("heading", level=1).inner_text() == heading


def test_a_session_that_is_about_to_end_is_told_and_goes_on_at_a_key_and_what_was_typed_outlives_it(
    people: People, office: Office, axe: str
) -> None:
    clerk = people.another()
    clerk.sign_in("clerk")
    clerk.page.clock.install()
    clerk.go("/send")
    token = next(one.get("value", "") for one in clerk.context.cookies() if one.get("name") == COOKIE)
    own = sessions.c.token == hashlib.sha256(token.encode()).hexdigest()

    def pass_by(minutes: int) -> None:
        with open_database(office.database, writes=True).begin() as database:
            database.execute(update(sessions).where(own).values(seen=sessions.c.seen - minutes * 60_000))
        clerk.page.clock.fast_forward("28:01")

    typed, told = clerk.page.get_by_label("Subject"), clerk.page.locator("#session")
    typed.fill("About the knee")
    with clerk.page.expect_response("/session"):
        pass_by(0)  # as if another page had used the session all the time
    expect(told).to_have_count(0)
    pass_by(29)
    expect(told).to_have_text("Your session ends in 1 min. Stay signed in")
    assert clerk.findings(axe) == []
    told.get_by_role("button").press("Enter")
    expect(told).to_have_count(0)
    pass_by(31)
    expect(told).to_contain_text("Your session has ended.")
    expect(typed).to_have_value("About the knee")
    expect(told.get_by_role("link")).to_have_attribute("href", "/sign-in")
    clerk.close()
