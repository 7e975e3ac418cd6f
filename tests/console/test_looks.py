"""How every page looks: nothing sideways, nothing that axe finds, in both themes, on a phone and a desk."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from tests.console.steps import push_mailing, upload_mailing
from tests.console.views import NOT_SEEN, VIEWS, View
from tests.console.visitor import DESK, PHONE, People
from tests.consoles import Console

LOOKS = (("light", DESK), ("dark", PHONE))
MORE_OF_THE_SAME = {"fax", "fax-failed", "mailing-new", "send"}
"""Pages whose template is looked at in another view as well."""
OTHERS = (("light", PHONE), ("dark", DESK))
DOCS = Path(__file__).parents[2] / "docs"
OPEN = "for (const one of document.querySelectorAll('main details')) one.open = true"
THEME = "theme => { document.documentElement.dataset.theme = theme; }"


def look_at(view: View) -> Any:
    """A view of every day, or one for the slow run."""
    marks = [pytest.mark.slow] if view.name in MORE_OF_THE_SAME else []
    return pytest.param(view, id=view.name, marks=marks)


@pytest.fixture(scope="module", autouse=True)
def mailing(everybody: People) -> None:
    """The mailing that is looked at."""
    admin = everybody("admin")
    upload_mailing(admin)
    push_mailing(admin, "autumn-letters")


def test_every_page_that_the_console_has_is_looked_at(tmp_path: Path) -> None:
    routes = {
        route.path
        for route in Console("redis://localhost:6379/0", tmp_path).routes
        if not isinstance(route, Route) or "GET" in (route.methods or ())
    }
    assert routes - NOT_SEEN == {view.route for view in VIEWS} - {"/faxes/plan"}


def test_every_page_has_its_two_pictures_and_the_docs_show_them() -> None:
    names = {f"{view.name}{where}.png" for view in VIEWS for where in ("", "-phone")}
    assert {path.name for path in (DOCS / "console").iterdir()} == names
    shown = re.findall(r"\(console/([\w.-]+)\)", (DOCS / "console.md").read_text(encoding="utf-8"))
    assert sorted(shown) == sorted(names)


@pytest.mark.parametrize("looks", [LOOKS, pytest.param(OTHERS, marks=pytest.mark.slow)], ids=str)
@pytest.mark.parametrize("view", [look_at(view) for view in VIEWS])
def test_a_page_goes_not_sideways_and_axe_finds_nothing_with_all_of_it_open(
    people: People, axe: str, view: View, looks: Sequence[tuple[str, int]]
) -> None:
    admin = people("admin")
    admin.resize(DESK)
    view.open(admin)
    found: dict[str, list[str]] = {}
    for theme, width in looks:
        admin.resize(width)
        admin.page.evaluate(THEME, theme)
        assert admin.sideways() == 0
        admin.page.evaluate(OPEN)
        assert admin.sideways() == 0
        found[f"{theme} {width}"] = admin.findings(axe)
    assert found == {look: [] for look in found}
