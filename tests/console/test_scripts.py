"""Scripts wherever a stranger's text can get in: they are shown as text."""

import pytest
from playwright.sync_api import expect

from faxline import JobState
from tests.console.office import Letter, Office
from tests.console.steps import csv_file, find, give_reason, pdf_file, plan, upload
from tests.console.visitor import People, Visitor

HACK = "<img src=x onerror=window.hacked=1>"
SCRIPT = "<script>window.hacked=1</script>"
BREAK = "\"'><svg onload=window.hacked=1>{{7*7}}"
LETTER = Letter("hostile.1", "0128", f"{SCRIPT}{HACK}{BREAK}", department=HACK)
WAITING = Letter("hostile.2", "0129", BREAK, "south", SCRIPT, state=JobState.QUEUED)


@pytest.fixture(scope="module", autouse=True)
def pushed(office: Office) -> None:
    """Faxes of somebody who means harm."""
    for letter in (LETTER, WAITING):
        office.send(letter, {f"key{BREAK}"[:60]: HACK, "case": SCRIPT})
        office.await_state(letter.id, letter.state, letter.account)
    office.await_archive("north", LETTER.id)


def unharmed(visitor: Visitor, *texts: str) -> None:
    """No script ran, and the texts are there to be read."""
    assert visitor.page.evaluate("window.hacked") is None
    shown = visitor.page.locator("body").text_content() or ""
    assert [text for text in texts if text not in shown] == []


def test_subjects_and_metadata_are_text_in_lists_and_on_the_faxs_page(people: People) -> None:
    admin = people("admin")
    admin.go("/faxes")
    unharmed(admin, LETTER.subject, WAITING.subject)
    for letter in (LETTER, WAITING):
        admin.go(f"/faxes/{letter.account}/{letter.id}")
        unharmed(admin, letter.subject, HACK, SCRIPT)
    admin.go("/usage?by=metadata&key=department")
    unharmed(admin, HACK)


@pytest.mark.parametrize(
    "line", [SCRIPT, HACK, BREAK, f'meta.case:"{SCRIPT}"', f"state:{HACK}", f"to:{SCRIPT}"]
)
def test_a_search_line_is_text_whether_it_is_right_or_wrong(people: People, line: str) -> None:
    admin = people("admin")
    admin.go("/faxes")
    find(admin, line)
    unharmed(admin)
    assert admin.page.get_by_role("searchbox").input_value() == line


def test_a_reason_is_text_in_the_plan_on_the_account_and_in_the_audit(people: People, office: Office) -> None:
    admin = people("admin")
    admin.go("/accounts")
    admin.page.locator("#south").get_by_text("Pause…").click()
    give_reason(admin, HACK, "Pause south")
    unharmed(admin, f"admin: {HACK}")
    admin.go("/attention")
    unharmed(admin, HACK)
    office.line("south").resume(by=SCRIPT)
    admin.go("/faxes")
    plan(admin, [WAITING.id], "Cancel")
    unharmed(admin, WAITING.subject)
    give_reason(admin, BREAK, "Cancel 1 fax")
    unharmed(admin)
    office.await_state(WAITING.id, JobState.CANCELED, "south")
    admin.go("/audit")
    unharmed(admin, HACK, SCRIPT, BREAK)


def test_what_was_typed_into_the_form_and_the_names_of_files_are_text(people: People) -> None:
    admin = people("admin")
    admin.go("/send")
    admin.page.get_by_label("Numbers, one a line").fill(SCRIPT)
    admin.page.get_by_label("Subject").fill(BREAK)
    admin.page.get_by_label("Message").fill(f"</textarea>{SCRIPT}")
    admin.page.locator("#files").set_input_files([pdf_file(f"{HACK}.pdf")])
    unharmed(admin, f"{HACK}.pdf")
    admin.page.get_by_role("button", name="Send", exact=True).click()
    expect(admin.page.get_by_role("alert")).to_be_visible()
    unharmed(admin)
    assert admin.page.get_by_label("Message").input_value() == f"</textarea>{SCRIPT}"
    admin.page.locator("#files").set_input_files([upload(f"{HACK}.pdf", b"no pdf")])
    admin.page.get_by_label("Numbers, one a line").fill("+12025550130")
    admin.page.get_by_role("button", name="Send", exact=True).click()
    expect(admin.page.locator("#w-files")).to_be_visible()
    unharmed(admin, HACK)


def test_rows_and_the_name_of_a_mailing_are_text(people: People) -> None:
    admin = people("admin")
    admin.go("/mailings/new")
    bad = upload(f"{HACK}.csv", csv_file([SCRIPT, HACK, "+12025550131"])["buffer"])
    admin.page.locator("input[name=csv]").set_input_files([bad])
    admin.page.locator("input[name=files]").set_input_files([pdf_file()])
    admin.page.get_by_role("button", name="Check the mailing").click()
    unharmed(admin, "2 bad rows", f"{HACK}.csv")
    admin.page.get_by_label("Name of the mailing").fill(SCRIPT)
    admin.page.get_by_label("Leave the 2 out").check()
    admin.page.get_by_role("button", name="Push 1 fax").click()
    unharmed(admin, "Nothing was pushed.")
    assert admin.page.get_by_label("Name of the mailing").input_value() == SCRIPT
