"""What people do again and again: push a mailing, tick faxes and carry out a plan."""

from collections.abc import Sequence
from pathlib import Path

from playwright.sync_api import FilePayload

from tests.console.visitor import Visitor
from tests.hostile_files import plain_pdf

GOOD = ("+12025550121", "+12025550122", "+12025550123")
BAD = ("12", "=1+1")
"""Numbers of which no fax can be made."""


def upload(name: str, content: bytes) -> FilePayload:
    """A file that somebody chooses."""
    kind = "text/csv" if name.endswith(".csv") else "application/pdf"
    return {"name": name, "mimeType": kind, "buffer": content}


def csv_file(numbers: Sequence[str]) -> FilePayload:
    """An upload with a row for each number."""
    rows = ["to,subject,metadata.department", *(f"{number},Autumn letter,legal" for number in numbers)]
    return upload("letters.csv", "\n".join(rows).encode())


def pdf_file(name: str = "letter.pdf", pages: int = 1) -> FilePayload:
    """An upload of a PDF of empty pages."""
    return upload(name, plain_pdf(pages))


def upload_mailing(visitor: Visitor, numbers: Sequence[str] = (*GOOD, *BAD)) -> None:
    """Have a mailing checked."""
    page = visitor.page
    visitor.go("/mailings/new")
    page.locator("input[name=csv]").set_input_files([csv_file(numbers)])
    page.locator("input[name=files]").set_input_files([pdf_file()])
    page.get_by_role("button", name="Check the mailing").click()


def push_mailing(visitor: Visitor, name: str, faxes: int = len(GOOD)) -> None:
    """Push the good rows of an upload that was checked."""
    page = visitor.page
    page.get_by_label("Name of the mailing").fill(name)
    page.get_by_label("Leave the 2 out").check()
    page.get_by_role("button", name=f"Push {faxes} faxes").click()


def find(visitor: Visitor, line: str) -> None:
    """Search for faxes by a line."""
    visitor.page.get_by_role("searchbox").fill(line)
    visitor.page.get_by_role("searchbox").press("Enter")
    visitor.page.wait_for_load_state()


def plan(visitor: Visitor, jobs: Sequence[str], verb: str) -> None:
    """Tick faxes of the list, and open the plan to cancel or resend them."""
    for job in jobs:
        visitor.page.get_by_label(f"Select {job}", exact=True).check()
    visitor.page.get_by_role("button", name=f"{verb}…").click()


def give_reason(visitor: Visitor, reason: str, button: str) -> None:
    """Fill in the reason of the form that is open, and send it."""
    form = visitor.page.locator("form").filter(has=visitor.page.get_by_role("button", name=button))
    form.get_by_label("Reason").fill(reason)
    form.get_by_role("button", name=button).click()


def saved(folder: Path, visitor: Visitor, button: str) -> Path:
    """The file that a click downloads."""
    with visitor.page.expect_download() as download:
        visitor.page.get_by_text(button, exact=True).click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path
