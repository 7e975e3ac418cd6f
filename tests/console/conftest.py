"""One Faxline, one Chromium and a context for each person, for all tests of this folder."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from faxline_local.redis_access import Access
from faxline_local.server_binaries import ServerBinary
from tests.console.office import Office
from tests.console.visitor import People
from tests.npm import do_without, installed

HERE = Path(__file__).parent
NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """The Chromium of this machine."""
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        do_without("chromium is not on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def office(
    server_binary: ServerBinary, access: Access, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Office]:
    """Faxline at the end of an ordinary day."""
    with Office(tmp_path_factory.mktemp("office"), server_binary, access) as office:
        office.live_through_a_day()
        yield office


@pytest.fixture(scope="package")
def everybody(chromium: Browser, office: Office) -> Iterator[People]:
    """People of every role."""
    people = People(chromium, office.url)
    yield people
    people.close()


@pytest.fixture
def people(everybody: People) -> Iterator[People]:
    """The same; the browser has nothing to complain of: no error, and nothing that the policy refuses."""
    yield everybody
    assert everybody.complaints() == []


@pytest.fixture(scope="package")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core."""
    folder = installed(HERE / "axe", tmp_path_factory.mktemp("axe") / "node")
    return (folder / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")
