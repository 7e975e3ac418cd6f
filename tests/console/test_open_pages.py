"""Pages that stay open: what they show by themselves, and what they never do by themselves."""

from playwright.sync_api import expect

from faxline import JobState
from tests.console.office import Letter, Office
from tests.console.steps import pdf_file
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


def test_the_page_of_a_fax_follows_it_to_its_end_and_moves_no_focus(people: People, office: Office) -> None:
    clerk = people("clerk")
    office.line().pause(by="tests")
    office.send(LATER)
    office.await_state(LATER.id, JobState.QUEUED)
    clerk.go(f"/faxes/north/{LATER.id}")
    expect(clerk.page.locator(".why")).to_contain_text("Queued")
    clerk.page.evaluate("window.opened = true")
    clerk.page.get_by_role("link", name="Faxes", exact=True).last.focus()
    office.line().resume(by="tests")
    expect(clerk.page.locator(".why")).to_contain_text("Delivered", timeout=60_000)
    assert clerk.page.evaluate("window.opened && document.activeElement.textContent") == "Faxes"
