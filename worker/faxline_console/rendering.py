"""Pages out of templates: one environment, its filters, and what every page shows."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse

from faxline_console.access.people import Person, Right
from faxline_console.acting.picks import pick
from faxline_console.live.kept_request import mask_name
from faxline_console.showing.formats import Times, duration, mask, member, number, plural
from faxline_console.spending import pause

if TYPE_CHECKING:
    from faxline_console.access.sessions import Session

HERE = Path(__file__).parent
STATIC = HERE / "static"
THEMES = ("auto", "light", "dark")
THEME_COOKIE = "faxline-theme"
PAGES: tuple[tuple[str, str, Right], ...] = (
    ("/faxes", "Faxes", Right.READ),
    ("/attention", "Needs attention", Right.SETTLE),
    ("/mailings", "Mailings", Right.READ),
    ("/send", "Send a fax", Right.SEND),
    ("/accounts", "Accounts", Right.ACCOUNTS),
    ("/usage", "Usage", Right.USAGE),
    ("/system", "System", Right.SYSTEM),
    ("/audit", "Audit", Right.AUDIT),
)
"""The pages of the rail, and what each takes."""
WORK = 4
"""The first pages of the rail are the daily work; the others follow apart."""


@cache
def make_environment() -> Environment:
    """The templates. What they show is escaped; a name that is missing is an error.

    All are read at once: those of an upgrade beside a process that still runs are not of its code.
    """
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": number,
        "mask": mask,
        "mask_name": mask_name,
        "duration": duration,
        "plural": plural,
        "pick": pick,
        "member": member,
    }
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


class Renderer:
    """Renders pages for a person.

    Args:
        environment: of `make_environment`.
        zone: of people who have none of their own.
    """

    def __init__(self, environment: Environment, zone: str) -> None:
        self._environment = environment
        self._zone = zone

    def times(self, request: Request) -> Times:
        """Shows times in the zone of a request's person."""
        session: Session | None = getattr(request.state, "session", None)
        return Times((session.person.zone if session else "") or self._zone)

    def page(
        self, request: Request, template: str, values: Mapping[str, Any], *, status: int = 200
    ) -> HTMLResponse:
        """Render a page.

        Args:
            request: of the person; without a session the page has no rail.
            template: its file.
            values: what the template shows besides what every page shows.
            status: of the answer.
        """
        session: Session | None = getattr(request.state, "session", None)
        person = session.person if session else None
        theme = request.cookies.get(THEME_COOKIE, "auto")
        shared = {
            "person": person,
            "form_token": session.form_token if session else "",
            "left": round(session.left) if session else 0,
            "rail": [page for page in PAGES if person and person.may(page[2])],
            "work": [path for path, *_ in PAGES[:WORK]],
            "path": request.url.path,
            "theme": theme if theme in THEMES else "auto",
            "attention": getattr(request.state, "attention", None),
            "counts": person is not None and is_at_work(person),
            "times": self.times(request),
            "may": person.may if person else lambda _: False,
            "Right": Right,
            "pause": pause,
        }
        text = self._environment.get_template(template).render({**shared, **values})
        return HTMLResponse(text, status)


def is_at_work(person: Person) -> bool:
    """Whether the count of what needs attention is shown to this person."""
    return person.may(Right.SETTLE) and person.department is None
