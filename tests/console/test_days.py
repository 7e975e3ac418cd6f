"""The day of each role, walked in a real browser before a whole Faxline."""

import csv
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import expect

from faxline import JobState
from tests.console.office import Letter, Office
from tests.console.steps import find, give_reason, pdf_file, plan, push_mailing, saved, upload_mailing
from tests.console.visitor import People


def test_a_viewer_finds_a_fax_by_id_and_day_but_not_by_a_whole_number_and_reads_it_and_can_do_nothing(
    people: People,
) -> None:
    viewer = people("viewer")
    viewer.go("/faxes")
    assert viewer.page.locator("nav[aria-label=Pages] a").all_inner_texts() == ["Faxes", "Mailings"]
    find(viewer, "to:+12025550104 since:today")
    assert "0104" not in viewer.page.url
    expect(viewer.page.locator("main")).to_contain_text("Your role does not reveal numbers")
    expect(viewer.page.locator("tbody tr")).to_have_count(0)
    find(viewer, "id:clinic.4600 since:today")
    expect(viewer.page.locator("tbody tr")).to_have_count(1)
    viewer.page.get_by_role("link", name="Appointment list").click()
    expect(viewer.page.locator(".say")).to_contain_text("4 pages")
    assert "Delivered" in viewer.text
    assert "2025550104" not in viewer.page.content()
    assert viewer.page.locator("main form").count() == 0
    assert viewer.go("/attention").status == 403


def test_a_clerk_sends_a_fax_with_a_file_and_sees_it_arrive(people: People, office: Office) -> None:
    clerk = people("clerk")
    clerk.go("/send")
    clerk.page.get_by_label("Numbers, one a line").fill("12\n+12025550124")
    clerk.page.get_by_label("Subject").fill("Sent by hand")
    clerk.page.locator("#files").set_input_files([pdf_file(pages=3)])
    clerk.page.get_by_role("button", name="Send", exact=True).click()
    expect(clerk.page.get_by_role("alert")).to_contain_text("Nothing was sent.")
    clerk.page.get_by_label("Numbers, one a line").fill("+12025550124")
    clerk.page.locator("#files").set_input_files([pdf_file(pages=3)])
    assert clerk.page.locator("#chosen li").inner_text().startswith("letter.pdf")
    clerk.page.get_by_role("button", name="Send", exact=True).click()
    expect(clerk.page.locator("main")).to_contain_text("Pushed")  # a dispatcher may not have taken it yet
    job = clerk.page.url.rpartition("/")[2].partition("?")[0]
    office.await_state(job, JobState.DELIVERED)
    clerk.page.reload()
    expect(clerk.page.locator(".say")).to_contain_text("3 pages")
    sent = next(fax for fax in office.local.ledger() if fax["toNumber"] == "+12025550124")
    assert (sent["pages"], sent["subject"]) == (3, "Sent by hand")


def test_a_clerk_pushes_a_mailing_without_its_bad_rows_and_watches_it_end(
    people: People, office: Office, tmp_path: Path
) -> None:
    clerk = people("clerk")
    upload_mailing(clerk)
    expect(clerk.page.get_by_role("heading", name="2 bad rows")).to_be_visible()
    bad = list(csv.reader(saved(tmp_path, clerk, "Download them (CSV)").read_text("utf-8-sig").splitlines()))
    assert [line for line, *_ in bad] == ["line", "5", "6"]
    clerk.page.get_by_label("Name of the mailing").fill("by-hand")
    clerk.page.get_by_role("button", name="Push 3 faxes").click()
    expect(clerk.page.get_by_label("Leave the 2 out")).to_be_focused()  # the browser asks for it
    push_mailing(clerk, "by-hand")
    expect(clerk.note).to_contain_text("Pushed.")
    expect(clerk.page.locator("#live .say")).to_have_text("3 of 3 have ended.", timeout=30_000)  # no reload
    assert office.line().group("by-hand").succeeded
    clerk.go("/mailings")
    expect(clerk.page.get_by_role("link", name="by-hand")).to_be_visible()


def test_a_clerk_resends_and_cancels_through_plans_that_say_what_is_left_out(
    people: People, office: Office
) -> None:
    clerk = people("clerk")
    clerk.go("/faxes")
    plan(clerk, ["clinic.4601", "clinic.4605", "court.118-3"], "Resend")
    expect(clerk.page.locator("main")).to_contain_text("Resend 2 faxes?")
    expect(clerk.page.locator("main")).to_contain_text("court.118-3 is still queued")
    give_reason(clerk, "asked again", "Resend 2 faxes")
    expect(clerk.page.get_by_role("heading", level=1)).to_have_text("2 faxes pushed again")
    clerk.go("/faxes")
    plan(clerk, ["court.118-4", "clinic.4600"], "Cancel")
    expect(clerk.page.locator("main")).to_contain_text("clinic.4600 is delivered already")
    give_reason(clerk, "wrong letter", "Cancel 1 fax")
    office.await_state("court.118-4", JobState.CANCELED, "south")
    office.await_archive("south", "court.118-4")
    clerk.go("/faxes/south/court.118-4")
    expect(clerk.page.locator(".say")).to_contain_text("ancel")


def test_an_operator_settles_a_doubt_and_pauses_and_resumes_an_account_with_a_reason(
    people: People, office: Office
) -> None:
    operator = people("operator")
    operator.go("/attention")
    case = operator.page.locator("article.case").filter(has_text="lab.90312")
    expect(case.get_by_text("Read timeout. iFax may have it.")).to_be_visible()
    case.get_by_placeholder("jobId at iFax").fill("7x")
    case.get_by_role("button", name="It is there").click()
    expect(operator.page.get_by_role("alert")).to_contain_text("A jobId has digits only.")
    assert case.get_by_placeholder("jobId at iFax").input_value() == "7x"
    case.get_by_text("Give up…").click()
    give_reason(operator, "it is not at iFax", "Give up 1 fax")
    expect(operator.note).to_contain_text("Done.")
    office.await_state("lab.90312", JobState.FAILED)
    expect(operator.page.locator("article.case").filter(has_text="lab.90312")).to_have_count(0)

    operator.go("/accounts")
    south = operator.page.locator("#south")
    south.get_by_text("Pause…").click()
    give_reason(operator, "the line is down", "Pause south")
    expect(south).to_contain_text("Paused")
    expect(south).to_contain_text("operator: the line is down")
    assert office.line("south").account_state().paused
    operator.go("/attention?kind=paused")
    expect(operator.page.locator("main")).to_contain_text("Account south is paused")
    operator.go("/accounts")
    south.get_by_text("Resume…").click()
    give_reason(operator, "the line is back", "Resume south")
    expect(south).not_to_contain_text("Paused")
    assert not office.line("south").account_state().paused


def test_a_clerk_sends_a_copy_to_another_number_that_the_plan_shows_as_it_is_dialled(
    people: People, office: Office, axe: str
) -> None:
    clerk = people("clerk")
    clerk.go("/faxes/north/billing.2210")
    clerk.page.get_by_text("Send a copy elsewhere…").click()
    clerk.page.get_by_label("Number, with +").fill("+1 (202) 555-0125")
    give_reason(clerk, "they moved", "Check the number")
    expect(clerk.page.get_by_role("heading", level=1)).to_have_text("Send a copy to +12025550125?")
    expect(clerk.page.locator("main")).to_contain_text("+12025550125, United States, 3 pages")
    assert clerk.findings(axe) == []
    clerk.page.get_by_role("button", name="Send 1 copy").click()
    expect(clerk.page.locator("main")).to_contain_text("Pushed")
    office.await_state("billing.2210.r1", JobState.DELIVERED)


def test_an_operator_has_ifax_asked_about_a_fax_whose_receipt_never_came_and_it_was_delivered(
    people: People, office: Office
) -> None:
    operator = people("operator")
    operator.go("/attention?kind=unconfirmed")
    operator.page.get_by_text("Ask iFax again…").click()
    give_reason(operator, "the clinic called", "Ask iFax")
    expect(operator.note).to_contain_text("iFax is asked.")
    office.await_state("clinic.4604", JobState.DELIVERED)
    operator.go("/faxes/north/clinic.4604")
    expect(operator.page.locator(".why")).to_contain_text("Delivered")
    expect(operator.page.locator("ol.line")).to_contain_text("By operator: the clinic called")


def test_an_operator_drops_an_entry_that_nobody_can_read(people: People, office: Office) -> None:
    operator = people("operator")
    operator.go("/attention?kind=dead")
    operator.page.get_by_text("Drop it…").click()
    give_reason(operator, "sealed with a key that is lost", "Drop 1 entry")
    expect(operator.note).to_contain_text("The entry was dropped. The audit has it.")
    assert office.line().account_state().dead == 0


def test_an_auditor_downloads_report_and_proof_and_reads_in_the_audit_who_did_what(
    people: People, office: Office, tmp_path: Path
) -> None:
    office.line().pause(by="somebody: to be seen in the audit")
    office.line().resume(by="somebody: it was")
    auditor = people("auditor")
    auditor.go("/faxes")
    find(auditor, "id:billing.2210")
    auditor.page.get_by_role("link", name="Cost estimate").click()
    report = saved(tmp_path, auditor, "Transmission report (PDF)")
    assert report.read_bytes().startswith(b"%PDF")
    proof = saved(tmp_path, auditor, "Proof (ZIP)")
    command = [
        str(Path(sys.executable).with_name("faxline")),
        "verify",
        str(proof),
        "--key",
        str(office.public_key),
    ]
    verified = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert verified.returncode == 0, verified.stdout + verified.stderr
    assert "billing.2210" in verified.stdout
    auditor.page.get_by_role("button", name="Reveal the number").click()
    expect(auditor.page.locator("main")).to_contain_text("+12025550110")
    auditor.go("/audit")
    rows = auditor.page.locator("tbody tr").all_inner_texts()
    assert any("somebody: to be seen in the audit" in row and "pause" in row.lower() for row in rows), rows
    assert any("auditor" in row and "reveal" in row.lower() and "billing.2210" in row for row in rows), rows


def test_an_admin_sees_every_page_and_forgets_a_fax(people: People, office: Office) -> None:
    letter = Letter("gone.1", "0125", "To be forgotten")
    office.send(letter)
    office.await_state(letter.id, JobState.DELIVERED)
    office.await_archive("north", letter.id)
    admin = people("admin")
    admin.go("/faxes")
    for address in admin.page.locator("nav[aria-label=Pages] a").all():
        assert admin.context.request.get(address.get_attribute("href") or "").status == 200
    assert admin.page.locator("nav[aria-label=Pages] a").count() == 8
    admin.go("/faxes/north/gone.1")
    admin.page.get_by_text("Forget…").click()
    give_reason(admin, "the patient asked for it", "Forget this fax")
    expect(admin.note).to_contain_text("erased")
    office.await_gone("gone.1")
    assert admin.go("/faxes/north/gone.1").status == 404
    assert "To be forgotten" not in admin.page.content()
    admin.go("/audit")
    rows = admin.page.locator("tbody tr").all_inner_texts()
    assert any("admin: the patient asked for it" in row and "gone.1" in row for row in rows), rows
