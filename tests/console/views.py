"""Every page of the console as somebody sees it who works there: how to get to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.console.steps import plan, upload_mailing
from tests.console.visitor import Visitor


@dataclass(frozen=True)
class View:
    """A page.

    Attributes:
        name: of its picture.
        route: the address, as the console's routes have it.
        open: goes there.
    """

    name: str
    route: str
    open: Callable[[Visitor], object]


def at(path: str) -> Callable[[Visitor], object]:
    """Go to an address."""
    return lambda visitor: visitor.go(path)


def show_plan(visitor: Visitor) -> None:
    """The plan of a bulk action."""
    visitor.go("/faxes")
    plan(visitor, ["clinic.4601", "clinic.4602", "court.118-3"], "Resend")
    visitor.page.get_by_text("Left out, and why").wait_for()


def show_errors(visitor: Visitor) -> None:
    """The form with two mistakes."""
    visitor.go("/send")
    visitor.page.get_by_label("Numbers, one a line").fill("12\n+12025550124")
    visitor.page.get_by_label("Country of numbers").select_option("Germany")
    visitor.page.evaluate(
        "for (const field of document.querySelectorAll('[required]')) field.required = false"
    )
    visitor.page.get_by_role("button", name="Check only").click()
    visitor.page.get_by_role("alert").wait_for()


def show_settling(visitor: Visitor) -> None:
    """The second step after a jobId was typed for a doubt."""
    visitor.go("/faxes/north/lab.90311")
    visitor.page.get_by_label("jobId at iFax").fill("7004601")
    visitor.page.get_by_role("button", name="It is there: use this jobId").click()
    visitor.page.get_by_text("7004601").first.wait_for()


def show_preview(visitor: Visitor) -> None:
    """The preview of a mailing with bad rows."""
    upload_mailing(visitor)
    visitor.page.get_by_role("heading", name="2 bad rows").wait_for()


FAX = "/faxes/{account}/{job}"
VIEWS: Sequence[View] = (
    View("faxes", "/faxes", at("/faxes")),
    View("faxes-none", "/faxes", at("/faxes?q=id:nothing.1+state:failed")),
    View("plan", "/faxes/plan", show_plan),
    View("fax", FAX, at("/faxes/north/clinic.4600")),
    View("fax-waits", FAX, at("/faxes/south/court.118-3")),
    View("fax-failed", FAX, at("/faxes/north/clinic.4602")),
    View("fax-doubt", FAX, at("/faxes/north/lab.90311")),
    View("settle", FAX, show_settling),
    View("attention", "/attention", at("/attention")),
    View("mailings", "/mailings", at("/mailings")),
    View("mailing", "/mailings/{account}/{name}", at("/mailings/north/autumn-letters")),
    View("mailing-new", "/mailings/new", at("/mailings/new")),
    View("mailing-preview", "/mailings/new", show_preview),
    View("send", "/send", at("/send")),
    View("send-wrong", "/send", show_errors),
    View("accounts", "/accounts", at("/accounts")),
    View("usage", "/usage", at("/usage")),
    View("system", "/system", at("/system")),
    View("audit", "/audit", at("/audit")),
    View("sign-in", "/sign-in", at("/sign-in")),
    View("error", "/faxes/{account}/{job}", at("/faxes/north/nothing.1")),
)
"""All of them, as an administrator sees them."""
NOT_SEEN = frozenset(
    {
        *("/session", "/", "/healthz", "/readyz", "/static", "/live", "/sign-in/{token}"),
        *("/mailings/{account}/{name}/failures.csv", "/mailings/{account}/{name}/left-out.csv"),
        *("/usage.csv", "/audit.csv"),
    }
)
"""Addresses that show no page of their own, or one button."""
